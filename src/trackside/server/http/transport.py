"""The way to those who are asked often, targets and receivers: connections that are kept open, HTTP/1.1.

The client's own transport looks at all its connections, twice, for each request: with 300 targets a scrape then costs
20 ms, most of it in asking the kernel about the sockets of other targets; and a notification that is one of sixteen on
their way to one receiver costs 1 ms, ten times as much as here. A connection is found by its address, and the bytes are
taken apart by the parser that also serves our pages.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from functools import partial

import httpx

from trackside.server.http.connecting import Origin, connected, origin_of
from trackside.server.http.connection import Connection

# Waiting for the next request. Beyond it the connection that waits longest is closed.
MAX_IDLE = 1_024
# As long as it is worth to wait: those of servers that are gone must go too.
IDLE_S = 300.0
REPEATABLE = frozenset({"GET"})


class KeepAliveTransport(httpx.AsyncBaseTransport):
    """For requests with a body at hand, or none."""

    def __init__(
        self, context: ssl.SSLContext | None, *, max_idle: int = MAX_IDLE, idle_s: float = IDLE_S, each: int = 1
    ) -> None:
        """`context` None: only for addresses without TLS. `each`: how many connections to one server may wait."""
        if context is not None:
            context.set_alpn_protocols(["http/1.1"])
        self._context = context
        self._max_idle, self._idle_s, self._each = max_idle, idle_s, each
        self._idle: dict[Origin, list[Connection]] = {}
        """The one that was used last is last."""
        self._waiting: dict[Connection, Origin] = {}
        """All of them; the one that waits longest is first."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """
        Raises:
            httpx.ConnectError, httpx.ConnectTimeout: nobody is there.
            httpx.RemoteProtocolError: what comes back is not HTTP.
            httpx.ReadTimeout: the server keeps silent.
            httpx.UnsupportedProtocol: it wants TLS, which is for another transport.
        """
        origin = origin_of(request)
        if (waiting := self._take(origin)) is not None:
            try:
                return await self._ask(waiting, origin, request)
            except ConnectionResetError as error:
                # The other side may close what waits at any time. Nothing was answered: ask anew. Not so with what it
                # may have taken: should the second attempt fail to connect, nobody would know of the first.
                if request.method not in REPEATABLE:
                    raise _lost() from error
        try:
            timeout_s = request.extensions.get("timeout", {}).get("connect")
            return await self._ask(await connected(origin, self._context, timeout_s), origin, request)
        except ConnectionResetError as error:
            raise _lost() from error

    async def aclose(self) -> None:
        for connection in list(self._waiting):
            self._drop(connection)

    async def _ask(self, connection: Connection, origin: Origin, request: httpx.Request) -> httpx.Response:
        """
        Raises:
            ConnectionResetError: the connection ended before the first byte of an answer.
        """
        try:
            patience_s = request.extensions.get("timeout", {}).get("read")
            await connection.ask(request, await request.aread(), patience_s)
        except BaseException:
            connection.abort()
            raise
        body = _Body(connection, partial(self._give_back, connection, origin))
        extensions = {"reason_phrase": connection.reason}
        return httpx.Response(connection.status, headers=connection.headers, stream=body, extensions=extensions)

    def _take(self, origin: Origin) -> Connection | None:
        while waiting := self._idle.get(origin):
            connection = waiting[-1]
            self._forget(connection)
            if connection.reusable and not connection.is_left:
                return connection
            connection.abort()
        return None

    def _give_back(self, connection: Connection, origin: Origin) -> None:
        waiting = self._idle.get(origin, [])
        if not connection.reusable or len(waiting) >= self._each:
            connection.abort()
            return
        self._idle[origin] = [*waiting, connection]
        self._waiting[connection] = origin
        connection.on_lost = partial(self._drop, connection)
        connection.expiry = asyncio.get_running_loop().call_later(self._idle_s, self._drop, connection)
        if len(self._waiting) > self._max_idle:
            self._drop(next(iter(self._waiting)))

    def _drop(self, connection: Connection) -> None:
        self._forget(connection)
        connection.abort()

    def _forget(self, connection: Connection) -> None:
        """It does not wait any more."""
        origin = self._waiting.pop(connection)
        left = [one for one in self._idle[origin] if one is not connection]
        if left:
            self._idle[origin] = left
        else:
            del self._idle[origin]
        connection.on_lost = None
        if connection.expiry is not None:
            connection.expiry.cancel()


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


def _lost() -> httpx.RemoteProtocolError:
    return httpx.RemoteProtocolError("the connection was closed without an answer")
