"""A picture from words, as a PNG written by hand: header, pixels, end, each with its checksum."""

from __future__ import annotations

import struct
import zlib
from hashlib import sha256

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB_OF_8_BITS = b"\x08\x02\x00\x00\x00"


def drawn(prompt: str, width: int, height: int) -> bytes:
    """Bands of colour that depend on the words.

    Raises:
        ValueError: an image without pixels.
    """
    if width < 1 or height < 1:
        raise ValueError(f"an image of {width} x {height} has no pixels")
    seed = sha256(prompt.encode()).digest()
    rows = bytearray()
    for y in range(height):
        rows.append(0)  # each row begins with its filter: none
        rows += bytes(
            (seed[channel] + x * seed[3 + channel] // width + y * seed[6 + channel] // height) & 255
            for x in range(width)
            for channel in range(3)
        )
    return _written(width, height, bytes(rows))


def halved(png: bytes) -> bytes:
    """Every second pixel of every second row of an image that `drawn` made."""
    width, height = struct.unpack(">II", png[16:24])
    (length,) = struct.unpack(">I", png[33:37])
    rows = zlib.decompress(png[41 : 41 + length])
    size = 1 + 3 * width
    kept = bytearray()
    for y in range(0, height, 2):
        row = rows[y * size + 1 : (y + 1) * size]
        kept.append(0)
        kept += b"".join(row[x : x + 3] for x in range(0, len(row), 6))
    return _written((width + 1) // 2, (height + 1) // 2, bytes(kept))


def _written(width: int, height: int, rows: bytes) -> bytes:
    header = struct.pack(">II", width, height) + _RGB_OF_8_BITS
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b""))
    return _SIGNATURE + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
