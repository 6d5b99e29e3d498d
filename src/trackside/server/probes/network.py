"""From a host's name to an open connection, phase by phase: resolve, connect, tls."""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from trackside.server.clock import Clock
from trackside.server.probes.certificates import about, expiry_s, shown, verified
from trackside.server.probes.result import ProbeError, Reason, TlsFacts, Trace

READ_AHEAD_BYTES = 64 << 10
# Of a name with very many addresses; the deadline is shared among those that are tried.
MAX_ADDRESSES = 4
LOOKUP_THREADS = 16
PEEK_S = 2.0


@dataclass(frozen=True, slots=True)
class Found:
    """One address of a host."""

    family: socket.AddressFamily
    address: tuple[str | int | bytes, ...]
    """As sockets take it."""

    @property
    def ip(self) -> str:
        return str(self.address[0])


class Resolve(Protocol):
    async def __call__(self, host: str, port: int, family: socket.AddressFamily) -> Sequence[Found]:
        """
        Raises:
            OSError: the name is not known.
        """
        ...


class SystemResolver:
    """The machine's own way to look up names, /etc/hosts included, on threads of its own: look-ups cannot be cancelled,
    and a name server that is dead must not hold up everybody else's threads."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="trackside-lookup")

    async def __call__(self, host: str, port: int, family: socket.AddressFamily) -> Sequence[Found]:
        look_up = partial(socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM)
        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        except UnicodeError as error:
            raise socket.gaierror(socket.EAI_NONAME, f"not a host name: {host[:100]!r}") from error
        return [Found(socket.AddressFamily(of_kind), address) for of_kind, _, _, _, address in answers]

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Network:
    """What every probe needs of the machine it runs on."""

    clock: Clock
    resolve: Resolve


@dataclass(frozen=True, slots=True)
class Endpoint:
    host: str
    port: int
    ip: str = "any"
    """"any", "4" or "6"."""


@dataclass(frozen=True, slots=True)
class TlsWish:
    context: ssl.SSLContext
    server_name: str = ""
    """That the certificate must have, where it is not the host's."""
    valid_for_s: float = 0
    """How much longer its certificates must hold."""


@dataclass(frozen=True, slots=True)
class Stream:
    reader: StreamReader
    writer: StreamWriter

    def end(self) -> None:
        # Not close(), which waits for the other side's farewell.
        self.writer.transport.abort()


_FAMILIES = {"any": socket.AF_UNSPEC, "4": socket.AF_INET, "6": socket.AF_INET6}


@asynccontextmanager
async def dialled(network: Network, to: Endpoint, tls: TlsWish | None, trace: Trace) -> AsyncIterator[Stream]:
    """A connection, ended at the end of the block.

    Raises:
        ProbeError: the name has no address of the wanted kind, or the certificate ends too soon.
        OSError: nobody is there, or TLS failed.
    """
    sock = await _connected(await resolved(network, to, trace), trace)
    stream = await (_plain(sock) if tls is None else _over_tls(sock, to, tls, trace))
    try:
        yield stream
    finally:
        stream.end()


async def resolved(network: Network, to: Endpoint, trace: Trace) -> Sequence[Found]:
    with trace.phase("resolve"):
        started_s = trace.now_s()
        try:
            found = await network.resolve(to.host, to.port, _FAMILIES[to.ip])
        finally:
            trace.lookup_s += max(0.0, trace.now_s() - started_s)
    if not found:
        wanted = "" if to.ip == "any" else f" of IPv{to.ip}"
        raise ProbeError(Reason.RESOLVE, f"{to.host} has no address{wanted}")
    trace.ip = found[0].ip
    return found[:MAX_ADDRESSES]


async def _connected(addresses: Sequence[Found], trace: Trace) -> socket.socket:
    last: OSError | None = None
    with trace.phase("connect"):
        for index, one in enumerate(addresses):
            trace.ip = one.ip
            try:
                # The last one has all the time that is left: it is the deadline that ends it.
                share_s = None if index == len(addresses) - 1 else trace.left_s() / (len(addresses) - index)
                async with asyncio.timeout(share_s):
                    return await _socket(one)
            except OSError as error:
                last = error
    raise last or OSError("no address to connect to")


async def _socket(to: Found) -> socket.socket:
    sock = socket.socket(to.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, to.address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _plain(sock: socket.socket) -> Stream:
    return Stream(*await asyncio.open_connection(sock=sock, limit=READ_AHEAD_BYTES))


async def _over_tls(sock: socket.socket, to: Endpoint, tls: TlsWish, trace: Trace) -> Stream:
    peer = sock.getpeername()
    family = sock.family
    name = tls.server_name or to.host
    with trace.phase("tls"):
        try:
            stream = await _handshake(sock, tls.context, name)
        except ssl.SSLCertVerificationError:
            trace.tls = await _looked_at(Found(family, peer), name)
            raise
    trace.tls = _facts(stream)
    left_s = (trace.tls.earliest_expiry_s or float("inf")) - trace.unix_s()
    if left_s < tls.valid_for_s:
        stream.end()
        raise ProbeError(Reason.CERTIFICATE, f"the certificate ends in {left_s / 86_400:.1f} days")
    return stream


async def _handshake(sock: socket.socket, context: ssl.SSLContext, name: str) -> Stream:
    return Stream(*await asyncio.open_connection(sock=sock, ssl=context, server_hostname=name, limit=READ_AHEAD_BYTES))


async def _looked_at(to: Found, name: str) -> TlsFacts | None:
    """The dates of certificates that were not trusted: most often they are the reason."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(PEEK_S):
            stream = await _handshake(await _socket(to), context, name)
    except (OSError, ValueError):
        return None
    try:
        facts = _facts(stream)
        return TlsFacts(earliest_expiry_s=facts.earliest_expiry_s)
    finally:
        stream.end()


def _facts(stream: Stream) -> TlsFacts:
    connection: ssl.SSLObject = stream.writer.get_extra_info("ssl_object")
    version = (connection.version() or "").replace("TLSv", "TLS ")
    cipher = connection.cipher()
    trusted = verified(connection)
    used = cipher[0] if cipher else ""
    return TlsFacts(version, used, expiry_s(shown(connection)), expiry_s(trusted), about(trusted))
