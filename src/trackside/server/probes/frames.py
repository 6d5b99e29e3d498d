"""WebSocket frames (RFC 6455), both ways. Pure."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from enum import IntEnum

from trackside.server.probes.result import ProbeError, Reason

MAX_PAYLOAD_BYTES = 1 << 20


class Opcode(IntEnum):
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


@dataclass(frozen=True, slots=True)
class Frame:
    opcode: Opcode
    payload: bytes
    final: bool = True


def packed(frame: Frame, mask: bytes | None = None) -> bytes:
    """As a client sends it."""
    mask = os.urandom(4) if mask is None else mask
    length = len(frame.payload)
    first = (0x80 if frame.final else 0) | frame.opcode
    if length < 126:
        head = struct.pack("!BB", first, 0x80 | length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", first, 0x80 | 126, length)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, length)
    return head + mask + masked(frame.payload, mask)


def masked(payload: bytes, mask: bytes) -> bytes:
    """Also the way back."""
    size = len(payload)
    repeated = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")


def taken(buffer: bytes) -> tuple[Frame, int] | None:
    """The first frame of a server and how many bytes it took; None when more has to come.

    Raises:
        ProbeError: this is no frame of a server, or one that is too long.
    """
    if len(buffer) < 2:
        return None
    first, second = buffer[0], buffer[1]
    length, at = second & 0x7F, 2
    try:
        opcode = Opcode(first & 0x0F)
    except ValueError as error:
        raise ProbeError(Reason.PROTOCOL, f"a frame of an unknown kind: {first & 0x0F}") from error
    if first & 0x70:
        raise ProbeError(Reason.PROTOCOL, "a frame uses an extension that was not agreed upon")
    if second & 0x80:
        raise ProbeError(Reason.PROTOCOL, "the server masks its frames, as only clients may")
    if opcode >= Opcode.CLOSE and (length > 125 or not first & 0x80):
        raise ProbeError(Reason.PROTOCOL, "a control frame is too long or in pieces")
    if length >= 126:
        size = 2 if length == 126 else 8
        if len(buffer) < at + size:
            return None
        length, at = int.from_bytes(buffer[at : at + size], "big"), at + size
    if length > MAX_PAYLOAD_BYTES:
        raise ProbeError(Reason.PROTOCOL, f"a frame of {length:,} bytes; at most {MAX_PAYLOAD_BYTES:,} are read")
    if len(buffer) < at + length:
        return None
    return Frame(opcode, bytes(buffer[at : at + length]), bool(first & 0x80)), at + length
