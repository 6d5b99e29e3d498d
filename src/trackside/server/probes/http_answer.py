"""One HTTP/1.1 request and its answer over an open connection, as far as it is worth reading."""

from __future__ import annotations

import zlib

import httptools

from trackside.server.probes.network import Stream
from trackside.server.probes.result import ProbeError, Reason, Trace

MAX_HEAD_BYTES = 64 << 10
MAX_HEADERS = 500
PIECE_BYTES = 64 << 10


class Answer:
    """Filled by the parser. Of the body, only the first `most` bytes are kept."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._parser = httptools.HttpResponseParser(self)
        self._head_bytes = 0
        self.status = 0
        self.version = 0.0
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self.head_done = self.complete = False

    @property
    def full(self) -> bool:
        """There is more of the body than is read."""
        return len(self.body) > self._most

    def feed(self, data: bytes) -> None:
        """
        Raises:
            ProbeError: this is not HTTP, or a head without end.
        """
        if not self.head_done:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nobody asked for another protocol: what follows is not for us.
            self.complete = True
        except httptools.HttpParserError as error:
            # What comes behind a whole answer is nobody's.
            if not self.complete:
                raise ProbeError(Reason.PROTOCOL, f"the answer is not HTTP: {error}") from error
        if not self.head_done and self._head_bytes > MAX_HEAD_BYTES:
            raise ProbeError(Reason.PROTOCOL, f"the head of the answer is longer than {MAX_HEAD_BYTES:,} bytes")

    def header(self, name: str) -> str:
        """All values of a header, as one; "" when there is none."""
        return ", ".join(value for key, value in self.headers if key == name.lower())

    def ends_by_closing(self) -> bool:
        return self.head_done and not self.header("content-length") and not self.header("transfer-encoding")

    # -- What the parser calls ---------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.head_done and len(self.headers) < MAX_HEADERS:
            self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.headers.clear()
            return
        self.status = status
        self.version = float(self._parser.get_http_version())
        self.head_done = True

    def on_body(self, body: bytes) -> None:
        if not self.full:
            self.body += body[: self._most + 1 - len(self.body)]

    def on_message_complete(self) -> None:
        if self.head_done:
            self.complete = True


async def exchanged(stream: Stream, request: bytes, most: int, trace: Trace, *, head_only: bool = False) -> Answer:
    """The answer to `request`, its body up to `most` bytes and one.

    Raises:
        ProbeError: what comes back is not HTTP.
        OSError, EOFError: the connection ended too early.
    """
    answer = Answer(most)
    with trace.phase("processing"):
        stream.writer.write(request)
        await stream.writer.drain()
        while not answer.head_done:
            answer.feed(await _piece(stream))
    with trace.phase("transfer"):
        while not (head_only or answer.complete or answer.full):
            data = await stream.reader.read(PIECE_BYTES)
            if data:
                answer.feed(data)
            elif answer.ends_by_closing():
                break
            else:
                raise EOFError
    return answer


async def _piece(stream: Stream) -> bytes:
    data = await stream.reader.read(PIECE_BYTES)
    if not data:
        raise EOFError
    return data


def unpacked(answer: Answer, most: int) -> bytes:
    """The body without its packing, at most `most` bytes of it.

    Raises:
        ProbeError: it is packed in a way that was not asked for, or broken.
    """
    coding = answer.header("content-encoding").strip().lower()
    body = bytes(answer.body[:most])
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise ProbeError(Reason.BODY, f"the body is packed as {coding!r}, which was not asked for")
    try:
        return zlib.decompressobj(wbits=31 if coding != "deflate" else 15).decompress(body, most)
    except zlib.error as error:
        raise ProbeError(Reason.BODY, f"the body is not {coding}: {error}") from error
