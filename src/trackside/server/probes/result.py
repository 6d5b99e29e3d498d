"""What one probe found out, and how an attempt is kept from taking too long or taking anything down with it."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import unicodedata
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from trackside.exceptions import TracksideError
from trackside.server.clock import Clock

MAX_ERROR_CHARS = 300


class Kind(Enum):
    HTTP = "http"
    WEBSOCKET = "websocket"
    TCP = "tcp"
    DNS = "dns"


class Reason(Enum):
    """Why a probe failed, in as many words as a label may have values."""

    NONE = "none"
    TIMEOUT = "timeout"
    RESOLVE = "resolve"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    CLOSED = "closed"
    TLS = "tls"
    CERTIFICATE = "certificate"
    PROTOCOL = "protocol"
    REDIRECT = "redirect"
    STATUS = "status"
    HEADER = "header"
    BODY = "body"
    ANSWER = "answer"
    INTERNAL = "internal"


class ProbeError(TracksideError):
    """The service is not as it should be; the text says how."""

    def __init__(self, reason: Reason, text: str, *, by_regex: bool = False) -> None:
        """`by_regex`: what came was read, and did not match."""
        super().__init__(text)
        self.reason = reason
        self.by_regex = by_regex


@dataclass(frozen=True, slots=True)
class TlsFacts:
    version: str = ""
    """"TLS 1.3"; "" when the handshake failed and only the certificates were looked at."""
    cipher: str = ""
    earliest_expiry_s: float | None = None
    """Unix time at which the first of the certificates that were shown ends."""
    verified_expiry_s: float | None = None
    """Of the chain that leads to an authority we trust."""
    about: Mapping[str, str] = field(default_factory=dict)
    """The server's own certificate in that chain: subject, issuer, fingerprint."""


@dataclass(frozen=True, slots=True)
class HttpFacts:
    status: int = 0
    version: float = 0
    redirects: int = 0
    over_tls: bool = False
    content_length: int = -1
    """As the server says; -1: it does not."""
    body_bytes: int = 0
    """Read, and unpacked."""
    last_modified_s: float | None = None


@dataclass(frozen=True, slots=True)
class DnsFacts:
    answered: bool = False
    rcode: int = -1
    answers: int = 0
    authorities: int = 0
    additionals: int = 0
    serial: int | None = None
    """Of a zone, when its SOA record was asked for."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    kind: Kind
    success: bool
    duration_s: float
    reason: Reason = Reason.NONE
    error: str = ""
    """One line, for pages."""
    by_regex: bool = False
    lookup_s: float = 0.0
    phases_s: Mapping[str, float] = field(default_factory=dict)
    ip: str = ""
    """That was connected to, or tried last."""
    tls: TlsFacts | None = None
    http: HttpFacts | None = None
    dns: DnsFacts | None = None

    @property
    def ip_version(self) -> int:
        return 0 if not self.ip else 6 if ":" in self.ip else 4


class Trace:
    """What became known so far: a probe that runs out of time still tells how far it got."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self._clock, self._timeout_s = clock, timeout_s
        self._started_s = clock.monotonic_s()
        self.phases_s: dict[str, float] = {}
        self.phase_now = ""
        self.lookup_s = 0.0
        self.ip = ""
        self.tls: TlsFacts | None = None
        self.http: HttpFacts | None = None
        self.dns: DnsFacts | None = None

    def now_s(self) -> float:
        return self._clock.monotonic_s()

    def unix_s(self) -> float:
        return self._clock.now_ms() / 1000

    def elapsed_s(self) -> float:
        return max(0.0, self._clock.monotonic_s() - self._started_s)

    def left_s(self) -> float:
        return max(0.0, self._timeout_s - self.elapsed_s())

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Times of a phase that comes again, after a redirect, add up."""
        self.phase_now = name
        started_s = self._clock.monotonic_s()
        try:
            yield
        finally:
            spent_s = self._clock.monotonic_s() - started_s
            self.phases_s[name] = self.phases_s.get(name, 0.0) + max(0.0, spent_s)


async def attempted(
    kind: Kind, clock: Clock, timeout_s: float, work: Callable[[Trace], Awaitable[None]]
) -> ProbeResult:
    """What `work` found out within its time. Never raises, except when it is cancelled."""
    trace = Trace(clock, timeout_s)
    reason, text, by_regex = Reason.NONE, "", False
    try:
        async with asyncio.timeout(timeout_s):
            await work(trace)
    except TimeoutError:
        during = f" (while in phase {trace.phase_now})" if trace.phase_now else ""
        reason, text = Reason.TIMEOUT, f"no complete answer within {timeout_s:g} s{during}"
    except ProbeError as error:
        reason, text, by_regex = error.reason, str(error), error.by_regex
    except Exception as error:  # noqa: BLE001 - whatever a service answers, it is only this probe that fails
        reason, text = explained(error)
    return ProbeResult(
        kind,
        reason is Reason.NONE,
        trace.elapsed_s(),
        reason,
        one_line(text),
        by_regex,
        trace.lookup_s,
        dict(trace.phases_s),
        trace.ip,
        trace.tls,
        trace.http,
        trace.dns,
    )


_BY_ERRNO = {
    errno.ECONNREFUSED: (Reason.REFUSED, "connection refused: nothing listens on that port"),
    errno.ECONNRESET: (Reason.CLOSED, "the connection was reset"),
    errno.EPIPE: (Reason.CLOSED, "the connection was closed while we were sending"),
    errno.ENETUNREACH: (Reason.UNREACHABLE, "no way to that network"),
    errno.EHOSTUNREACH: (Reason.UNREACHABLE, "no way to that host"),
    errno.EADDRNOTAVAIL: (Reason.UNREACHABLE, "this machine has no address of that kind"),
}


def explained(error: Exception) -> tuple[Reason, str]:
    match error:
        case ssl.SSLCertVerificationError():
            return Reason.CERTIFICATE, f"the certificate is not trusted: {error.verify_message or error}"
        case ssl.SSLError():
            return Reason.TLS, f"no TLS with the service: {error.reason or error}"
        case socket.gaierror():
            return Reason.RESOLVE, f"the host name cannot be resolved: {error.strerror or error}"
        case EOFError() | ConnectionAbortedError():
            return Reason.CLOSED, "the connection was closed before the end of the answer"
        case OSError() if error.errno in _BY_ERRNO:
            return _BY_ERRNO[error.errno]
        case OSError():
            return Reason.UNREACHABLE, f"the connection failed: {error}"
    return Reason.INTERNAL, f"the probe itself failed: {type(error).__name__}: {error}"


def one_line(text: str) -> str:
    """`text` as it may stand on a page: what a service sent may be in it."""
    plain = "".join(" " if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char for char in text)
    plain = " ".join(plain.split())
    return plain if len(plain) <= MAX_ERROR_CHARS else plain[: MAX_ERROR_CHARS - 1] + "…"
