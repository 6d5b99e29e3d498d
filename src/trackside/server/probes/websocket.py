"""A WebSocket: handshake, a ping, and where it is wished a message and the answer to it."""

from __future__ import annotations

import os
from asyncio import IncompleteReadError, LimitOverrunError
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha1

import httpx

from trackside.server.probes.config import CheckConfig
from trackside.server.probes.frames import MAX_PAYLOAD_BYTES, Frame, Opcode, packed, taken
from trackside.server.probes.http import judge_headers
from trackside.server.probes.http_request import endpoint, head, over_tls, own_headers
from trackside.server.probes.network import Network, Stream, TlsWish, dialled
from trackside.server.probes.result import HttpFacts, Kind, ProbeError, ProbeResult, Reason, Trace, attempted
from trackside.server.regex import compiled

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PIECE_BYTES = 16 << 10
# Servers may send what they like before they answer; this much is looked at.
MAX_FRAMES = 1_000
Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class WebSocketProbe:
    network: Network
    check: CheckConfig
    tls: TlsWish

    async def __call__(self) -> ProbeResult:
        return await attempted(Kind.WEBSOCKET, self.network.clock, self.check.timeout / 1000, self._work)

    async def _work(self, trace: Trace) -> None:
        """
        Raises:
            ProbeError: it is no WebSocket, or answers something else.
            OSError, EOFError: nobody answers.
        """
        check, url = self.check, httpx.URL(self.check.url)
        tls = self.tls if over_tls(url) else None
        async with dialled(self.network, endpoint(url, check.ip), tls, trace) as stream:
            with trace.phase("processing"):
                await self._handshake(stream, url, trace)
            with trace.phase("transfer"):
                frames = _Frames(stream)
                if check.ping:
                    await _pinged(frames)
                if check.send:
                    await frames.send(Frame(Opcode.TEXT, check.send.encode()))
                if check.expect:
                    await _expect(frames, check.expect)
                # 1000: all is well. Nobody waits for the answer.
                await frames.send(Frame(Opcode.CLOSE, b"\x03\xe8"))

    async def _handshake(self, stream: Stream, url: httpx.URL, trace: Trace) -> None:
        key = b64encode(os.urandom(16)).decode("ascii")
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key,
        }
        if self.check.subprotocols:
            upgrade["Sec-WebSocket-Protocol"] = ", ".join(self.check.subprotocols)
        stream.writer.write(head("GET", url, own_headers(self.check), upgrade))
        await stream.writer.drain()
        status, headers = _parsed(await _head_of_answer(stream))
        trace.http = replace(HttpFacts(), status=status, version=1.1, over_tls=over_tls(url))
        _judge_handshake(status, headers, key, self.check.subprotocols)
        judge_headers(headers, self.check)


async def _head_of_answer(stream: Stream) -> bytes:
    """
    Raises:
        ProbeError: it has no end.
        EOFError: the connection ended before it.
    """
    try:
        return await stream.reader.readuntil(b"\r\n\r\n")
    except LimitOverrunError as error:
        raise ProbeError(Reason.PROTOCOL, "the head of the answer has no end") from error
    except IncompleteReadError as error:
        if error.partial:
            raise ProbeError(Reason.PROTOCOL, f"the answer is not HTTP: {error.partial[:40]!r}") from error
        raise


def _parsed(text: bytes) -> tuple[int, Headers]:
    """
    Raises:
        ProbeError: this is not the head of an HTTP answer.
    """
    first, *lines = text.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not (status.isascii() and status.isdigit() and len(status) == 3):
        raise ProbeError(Reason.PROTOCOL, f"the answer is not HTTP: {first[:80]!r}")
    pairs = (line.partition(":") for line in lines if ":" in line)
    return int(status), [(name.strip().lower(), value.strip()) for name, _, value in pairs]


def _judge_handshake(status: int, headers: Headers, key: str, subprotocols: Sequence[str]) -> None:
    """
    Raises:
        ProbeError: the other side does not speak WebSocket.
    """
    if status != 101:
        raise ProbeError(Reason.STATUS, f"HTTP {status}; expected 101: the address takes no WebSocket")
    values = dict(headers)
    accepted = b64encode(sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()).decode("ascii")
    if values.get("upgrade", "").lower() != "websocket" or values.get("sec-websocket-accept") != accepted:
        raise ProbeError(Reason.PROTOCOL, "HTTP 101, but not the answer of a WebSocket to our question")
    chosen = values.get("sec-websocket-protocol", "")
    if subprotocols and chosen not in subprotocols:
        raise ProbeError(
            Reason.PROTOCOL, f"the server chose {chosen[:60]!r} of the subprotocols {', '.join(subprotocols)}"
        )


class _Frames:
    """Frames of an open WebSocket; pings of the other side are answered on the way."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._buffer = b""
        self.waiting: list[Frame] = []
        """Messages that came while a pong was waited for."""

    async def send(self, frame: Frame) -> None:
        self._stream.writer.write(packed(frame))
        await self._stream.writer.drain()

    async def next(self) -> Frame:
        """
        Raises:
            ProbeError: what comes is no frame, or the one that ends the connection.
            EOFError: nothing more comes.
        """
        while (found := taken(self._buffer)) is None:
            data = await self._stream.reader.read(PIECE_BYTES)
            if not data:
                raise EOFError
            self._buffer += data
        frame, size = found
        self._buffer = self._buffer[size:]
        if frame.opcode is Opcode.CLOSE:
            code = int.from_bytes(frame.payload[:2], "big") if len(frame.payload) >= 2 else 1005
            text = frame.payload[2:].decode("utf-8", "replace")
            raise ProbeError(Reason.CLOSED, f"the server closed the WebSocket with code {code} {text}".rstrip())
        if frame.opcode is Opcode.PING:
            await self.send(Frame(Opcode.PONG, frame.payload))
        return frame


async def _pinged(frames: _Frames) -> None:
    """
    Raises:
        ProbeError: there is no pong among many frames.
    """
    mark = os.urandom(8)
    await frames.send(Frame(Opcode.PING, mark))
    kept = 0
    for _ in range(MAX_FRAMES):
        frame = await frames.next()
        if frame.opcode is Opcode.PONG and frame.payload == mark:
            return
        if frame.opcode < Opcode.CLOSE and kept + len(frame.payload) <= MAX_PAYLOAD_BYTES:
            kept += len(frame.payload)
            frames.waiting.append(frame)
    raise ProbeError(Reason.PROTOCOL, f"no pong among {MAX_FRAMES:,} frames")


async def _expect(frames: _Frames, pattern: str) -> None:
    """
    Raises:
        ProbeError: no message matches.
    """
    message, last = b"", ""
    for _ in range(MAX_FRAMES):
        frame = frames.waiting.pop(0) if frames.waiting else await frames.next()
        if frame.opcode >= Opcode.CLOSE:
            continue
        message = frame.payload if frame.opcode is not Opcode.CONTINUATION else message + frame.payload
        if len(message) > MAX_PAYLOAD_BYTES:
            raise ProbeError(Reason.PROTOCOL, f"a message of more than {MAX_PAYLOAD_BYTES:,} bytes")
        if frame.final:
            last = message.decode("utf-8", "replace")
            if compiled(pattern).search(last):
                return
    raise ProbeError(Reason.ANSWER, f"no message matches {pattern!r}; the last is {last[:100]!r}", by_regex=True)
