"""The way to the targets: one connection kept open to each, HTTP/1.1.

The client's own transport looks at all its connections, twice, for each request: with 300 targets a scrape then costs
20 ms, most of it in asking the kernel about the sockets of other targets. Here a target's connection is found by its
address, and the bytes are taken apart by the parser that also serves our pages.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from functools import partial

import httpx

from trackside.server.scrape.connection import Connection

# Waiting for the next request. Beyond it the connection that waits longest is closed.
MAX_IDLE = 1_024
# As long as it is worth to wait: those of targets that are gone must go too.
IDLE_S = 300.0

Origin = tuple[str, str, int, str]
"""Scheme, host, port, and the name that the certificate must have."""


class KeepAliveTransport(httpx.AsyncBaseTransport):
    def __init__(self, context: ssl.SSLContext, max_idle: int = MAX_IDLE, idle_s: float = IDLE_S) -> None:
        self._context = context
        self._max_idle, self._idle_s = max_idle, idle_s
        self._idle: OrderedDict[Origin, Connection] = OrderedDict()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """
        Raises:
            httpx.ConnectError: nobody is there.
            httpx.RemoteProtocolError: what comes back is not HTTP.
        """
        origin = _origin(request)
        if (waiting := self._take(origin)) is not None:
            try:
                return await self._ask(waiting, origin, request)
            except ConnectionResetError:
                # The target may close what waits at any time. Nothing was answered: ask anew.
                pass
        try:
            return await self._ask(await _connected(origin, self._context), origin, request)
        except ConnectionResetError as error:
            raise httpx.RemoteProtocolError("the connection was closed without an answer") from error

    async def aclose(self) -> None:
        for origin in list(self._idle):
            self._drop(origin)

    async def _ask(self, connection: Connection, origin: Origin, request: httpx.Request) -> httpx.Response:
        """
        Raises:
            ConnectionResetError: the connection ended before the first byte of an answer.
        """
        try:
            await connection.ask(request)
        except BaseException:
            connection.abort()
            raise
        body = _Body(connection, partial(self._give_back, connection, origin))
        return httpx.Response(connection.status, headers=connection.headers, stream=body)

    def _take(self, origin: Origin) -> Connection | None:
        connection = self._idle.pop(origin, None)
        if connection is None:
            return None
        connection.on_lost = None
        if connection.expiry is not None:
            connection.expiry.cancel()
        return connection if connection.open else None

    def _give_back(self, connection: Connection, origin: Origin) -> None:
        if not connection.reusable or origin in self._idle:
            connection.abort()
            return
        self._idle[origin] = connection
        connection.on_lost = partial(self._drop, origin)
        connection.expiry = asyncio.get_running_loop().call_later(self._idle_s, self._drop, origin)
        if len(self._idle) > self._max_idle:
            self._drop(next(iter(self._idle)))

    def _drop(self, origin: Origin) -> None:
        if (connection := self._take(origin)) is not None:
            connection.abort()


class _Body(httpx.AsyncByteStream):
    def __init__(self, connection: Connection, give_back: Callable[[], None]) -> None:
        self._connection = connection
        self._give_back: Callable[[], None] | None = give_back

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._connection.body():
            yield chunk

    async def aclose(self) -> None:
        # Once: the connection may serve another request by the time of a second call.
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


def _origin(request: httpx.Request) -> Origin:
    url = request.url
    port = url.port or (443 if url.scheme == "https" else 80)
    return url.scheme, url.host, port, str(request.extensions.get("sni_hostname") or url.host)


async def _connected(origin: Origin, context: ssl.SSLContext) -> Connection:
    """
    Raises:
        httpx.ConnectError: none of the host's addresses takes the connection; its cause says why.
    """
    scheme, host, port, server_name = origin
    loop = asyncio.get_running_loop()
    tls, name = (context, server_name) if scheme == "https" else (None, None)
    last: OSError | None = None
    try:
        addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError(f"the host name {host!r} cannot be resolved") from error
    for *_, address in addresses:
        try:
            _, connection = await loop.create_connection(
                Connection, str(address[0]), port, ssl=tls, server_hostname=name
            )
        except OSError as error:
            last = error
        else:
            return connection
    raise httpx.ConnectError(str(last) or "no connection") from last
