"""Why a call of another service failed, in one word that is the same whatever client made it."""

from __future__ import annotations

from collections.abc import Iterator

TIMEOUT, TLS, DNS, CONNECT, PROTOCOL = "timeout", "tls", "dns", "connect", "protocol"
TOO_MANY = "429"
"""Apart from other 4xx: it is about how often one calls, not about what."""

# By parts of the name of an error's class, since no client is imported here. Not of its base classes: urllib3 derives
# "nobody listens" from its timeout. The order matters: ConnectTimeout is a timeout.
_PARTS = (
    (TIMEOUT, ("timeout", "timedout")),
    (TLS, ("ssl", "certificate")),
    (DNS, ("gaierror", "dns", "nameresolution")),
    (CONNECT, ("connect", "networkerror", "brokenpipe")),
    (PROTOCOL, ("protocolerror", "decodingerror", "payloaderror", "toomanyredirects", "badstatusline")),
)
_DEEPEST = 8


def error_kind(error: BaseException) -> str:
    """A kind from above, "4xx", "429" or "5xx" of an error that carries a status, or the name of its class."""
    status = _status_of(error)
    if status is not None and status >= 400:
        return status_kind(status)
    found = ""
    for one in _chain(error):
        kind = _kind_of(one)
        # A handshake or a look-up that fails is often shown as a connection that does.
        if kind in (TLS, DNS) or (kind and not found):
            found = kind
        if found and found != CONNECT:
            break
    return found or type(error).__name__


def _kind_of(error: BaseException) -> str:
    name = type(error).__name__.lower()
    for kind, parts in _PARTS:
        if any(part in name for part in parts):
            return kind
    if isinstance(error, TimeoutError):
        return TIMEOUT
    return CONNECT if isinstance(error, ConnectionError) else ""


def status_kind(status: int) -> str:
    return TOO_MANY if status == 429 else f"{status // 100}xx"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised for, hidden or not: clients wrap the reason in errors of their own."""
    current: BaseException | None = error
    for _ in range(_DEEPEST):
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__


def _status_of(error: BaseException) -> int | None:
    try:
        for owner in (getattr(error, "response", None), error):
            for name in ("status_code", "status"):
                status = getattr(owner, name, None)
                if isinstance(status, int) and 100 <= status < 600:
                    return status
    except Exception:  # noqa: BLE001 - properties of foreign errors: httpx raises when there is no response
        pass
    return None
