"""One connection to a server: a request goes out, an answer comes in as far as it is asked for."""

from __future__ import annotations

import asyncio
import select
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import cast

import httptools
import httpx

# A head that is longer is none.
MAX_HEAD_BYTES = 64 << 10
# Of a body that nobody has asked for yet: then the target has to wait.
MAX_AHEAD_BYTES = 1 << 20
_LINE_ENDS = (b"\r", b"\n", b"\0")


class Connection(asyncio.Protocol):
    """For one request at a time."""

    def __init__(self) -> None:
        self.on_lost: Callable[[], None] | None = None
        self.expiry: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None
        self._patience_s: float | None = None
        self._begin()

    def _begin(self) -> None:
        self.status = 0
        self.reason = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: deque[bytes] = deque()
        self._ahead = 0
        self._head_bytes = 0
        self._head_done = self._complete = self._keep_alive = self._paused = False
        self._error: Exception | None = None

    @property
    def open(self) -> bool:
        return not self._closed and self._transport is not None and not self._transport.is_closing()

    @property
    def is_left(self) -> bool:
        """Whether the server has closed it, or said something unasked, since it was used: perhaps the event loop has
        not heard of it yet, and the kernel has."""
        descriptor = -1 if self._transport is None else self._transport.get_extra_info("socket").fileno()
        if descriptor < 0:
            return True
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))

    @property
    def reusable(self) -> bool:
        """The answer was read to its end, and the server takes another request."""
        return self.open and self._complete and self._keep_alive and not self._chunks and self._error is None

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def ask(self, request: httpx.Request, body: bytes, patience_s: float | None) -> None:
        """Send a request and wait for the head of its answer.

        `patience_s`: how long the server may keep silent, here and within the answer.

        Raises:
            ConnectionResetError: the connection ended before the first byte of an answer.
            httpx.RemoteProtocolError: what comes back is not HTTP.
            httpx.LocalProtocolError: a header holds a line end.
            httpx.ReadTimeout: nothing comes back.
        """
        self._begin()
        self._patience_s = patience_s
        if self._transport is None or not self.open:
            raise ConnectionResetError("the connection is closed")
        self._transport.write(_head(request) + body)
        while not self._head_done:
            if self._error is not None:
                raise self._error
            await self._more()

    async def body(self) -> AsyncIterator[bytes]:
        """
        Raises:
            httpx.RemoteProtocolError: the answer ended before its end.
            httpx.ReadTimeout: the rest of it does not come.
        """
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._ahead -= len(chunk)
                yield chunk
            if self._error is not None:
                raise self._error
            if self._complete:
                return
            if self._paused and self._transport is not None and not self._closed:
                self._paused = False
                self._transport.resume_reading()
            await self._more()

    async def _more(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._patience_s):
                await self._waiter
        except TimeoutError as error:
            raise httpx.ReadTimeout("the server keeps silent") from error
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- What the event loop calls -----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast and no check: the transports of other event loops have its methods without being of its class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # What follows a whole answer is nobody's: the connection is used up, the answer is good.
            self._keep_alive = False
            if not self._complete:
                self._fail(httpx.RemoteProtocolError(str(error)))
        if not self._head_done:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._fail(httpx.RemoteProtocolError(f"headers of more than {MAX_HEAD_BYTES:,} bytes"))
        elif self._ahead > MAX_AHEAD_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        if not self._complete and self._error is None:
            self._end_by_closing(exc)
        if self.on_lost is not None:
            self.on_lost()
        self._wake()

    def _end_by_closing(self, exc: Exception | None) -> None:
        names = {name.lower() for name, _ in self.headers}
        if self._head_done and exc is None and not names & {b"content-length", b"transfer-encoding"}:
            # Without a length, the end of the connection is the end of the answer.
            self._complete = True
        elif self._head_done or self._head_bytes:
            self._error = httpx.RemoteProtocolError("the connection was closed before the end of the answer")
            self._error.__cause__ = exc
        else:
            self._error = ConnectionResetError("the connection was closed without an answer")
            self._error.__cause__ = exc

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self.abort()

    # -- What the parser calls ---------------------------------------------------------------

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        # Behind the body they are trailers, which nobody reads.
        if not self._head_done:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        self.status = self._parser.get_status_code()
        if 100 <= self.status < 200:
            self.headers.clear()
            self.reason = b""
        else:
            self._head_done = True

    def on_body(self, body: bytes) -> None:
        if not self._complete:
            self._chunks.append(body)
            self._ahead += len(body)

    def on_message_complete(self) -> None:
        if self._head_done and not self._complete:
            self._complete = True
            self._keep_alive = self._parser.should_keep_alive()
        elif self._complete:
            self._keep_alive = False


def _head(request: httpx.Request) -> bytes:
    """
    Raises:
        httpx.LocalProtocolError: a header holds a line end, and would be read as two.
    """
    parts = [request.method.encode("ascii") + b" " + request.url.raw_path + b" HTTP/1.1"]
    for name, value in request.headers.raw:
        if any(end in name or end in value for end in _LINE_ENDS):
            raise httpx.LocalProtocolError(f"the header {name.decode('ascii', 'replace')} holds a line end")
        parts.append(name + b": " + value)
    return b"\r\n".join([*parts, b"", b""])
