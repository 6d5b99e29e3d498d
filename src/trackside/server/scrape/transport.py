"""The way to a target: one connection kept open to each, HTTP/1.1.

The client's own transport searches all its connections, twice, at each request: at 300 targets a scrape then costs 20 ms,
most of it in asking the kernel about sockets of other targets. Here a target's connection is found by its address, and
the bytes are taken apart by the parser that also serves our pages.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator

import httptools
import httpx

# Waiting for the next request. Beyond it the connection that waits longest is closed.
MAX_IDLE = 1_024
MAX_HEAD_BYTES = 64 << 10
# Of a body that nobody has asked for yet: then the target has to wait.
MAX_AHEAD_BYTES = 1 << 20

Origin = tuple[str, str, int, str]
"""Scheme, host, port, and the name that the certificate must have."""


class KeepAliveTransport(httpx.AsyncBaseTransport):
    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._idle: OrderedDict[Connection, Origin] = OrderedDict()
        self._by_origin: dict[Origin, Connection] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """
        Raises:
            httpx.ConnectError: nobody is there.
            httpx.RemoteProtocolError: what comes back is not HTTP.
        """
        origin = _origin(request)
        connection = self._take(origin)
        if connection is not None:
            try:
                return await self._ask(connection, origin, request)
            except ConnectionResetError:
                # The target closed it while it waited, which it may do at any time. Nothing was answered: ask anew.
                pass
        fresh = await _connected(origin, self._context)
        try:
            return await self._ask(fresh, origin, request)
        except ConnectionResetError as error:
            raise httpx.RemoteProtocolError("the connection was closed without an answer") from error

    async def aclose(self) -> None:
        for connection in list(self._idle):
            connection.abort()
        self._idle.clear()
        self._by_origin.clear()

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
        body = _Body(connection, lambda: self._give_back(connection, origin))
        return httpx.Response(connection.status, headers=connection.headers, stream=body)

    def _take(self, origin: Origin) -> Connection | None:
        connection = self._by_origin.pop(origin, None)
        if connection is not None:
            del self._idle[connection]
        return connection if connection is not None and connection.usable else None

    def _give_back(self, connection: Connection, origin: Origin) -> None:
        if not connection.reusable or origin in self._by_origin:
            connection.abort()
            return
        self._idle[connection] = origin
        self._by_origin[origin] = connection
        if len(self._idle) > MAX_IDLE:
            oldest, its_origin = self._idle.popitem(last=False)
            del self._by_origin[its_origin]
            oldest.abort()


class _Body(httpx.AsyncByteStream):
    def __init__(self, connection: Connection, done: httpx.AsyncBaseTransport | object) -> None:
        self._connection = connection
        self._done = done

    async def __aiter__(self) -> AsyncIterator[bytes]:
        raise NotImplementedError
        yield b""
