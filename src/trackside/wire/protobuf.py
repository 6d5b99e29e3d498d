"""The encoding that all protobuf messages share: numbers, and fields with their numbers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from trackside.exceptions import ParseError

VARINT, FIXED_64, LENGTH_DELIMITED, FIXED_32 = 0, 1, 2, 5

_DOUBLE = struct.Struct("<d")
_MAX_VARINT_BYTES = 10
_SIGN_64 = 1 << 63


class Field(NamedTuple):
    number: int
    wire_type: int
    value: int | memoryview
    """Of numbers the bits; the bytes of texts and messages."""

    def text(self) -> str:
        try:
            return bytes(self.bytes()).decode()
        except UnicodeDecodeError:
            raise ParseError(f"field {self.number} is not UTF-8") from None

    def bytes(self) -> memoryview:
        if self.wire_type != LENGTH_DELIMITED or isinstance(self.value, int):
            raise ParseError(f"field {self.number} is a number, where a text or a message was expected")
        return self.value

    def integer(self) -> int:
        """Of an int64."""
        if self.wire_type != VARINT or not isinstance(self.value, int):
            raise ParseError(f"field {self.number} is not an integer")
        return self.value - (1 << 64) if self.value & _SIGN_64 else self.value

    def double(self) -> float:
        if self.wire_type != FIXED_64 or not isinstance(self.value, int):
            raise ParseError(f"field {self.number} is not a double")
        value: float = _DOUBLE.unpack(self.value.to_bytes(8, "little"))[0]
        return value


def fields(message: bytes | memoryview) -> Iterator[Field]:
    """In the order in which they stand, unknown ones too.

    Raises:
        ParseError: not a message, or one that is cut off.
    """
    view = memoryview(message)
    at, end = 0, len(view)
    while at < end:
        key, at = _read_varint(view, at)
        number, wire_type = key >> 3, key & 7
        if not number:
            raise ParseError("a message with a field without number")
        if wire_type == VARINT:
            value, at = _read_varint(view, at)
            yield Field(number, wire_type, value)
            continue
        if wire_type == LENGTH_DELIMITED:
            size, at = _read_varint(view, at)
        elif wire_type in (FIXED_64, FIXED_32):
            size = 8 if wire_type == FIXED_64 else 4
        else:
            raise ParseError(f"field {number} is of the unknown wire type {wire_type}")
        if size > end - at:
            raise ParseError(f"a message that ends in the middle of field {number}")
        raw, at = view[at : at + size], at + size
        yield Field(number, wire_type, raw if wire_type == LENGTH_DELIMITED else int.from_bytes(raw, "little"))


def varint(number: int) -> bytes:
    """Of an int64, which may be negative."""
    if 0 <= number < 0x80:
        return bytes((number,))
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def zigzag(number: int) -> int:
    """Of an sint64: small numbers are short, negative ones too."""
    return number << 1 if number >= 0 else (-number << 1) - 1


def integer_field(number: int, value: int) -> bytes:
    return varint(number << 3 | VARINT) + varint(value)


def double_field(number: int, value: float) -> bytes:
    return varint(number << 3 | FIXED_64) + _DOUBLE.pack(value)


def bytes_field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | LENGTH_DELIMITED) + varint(len(value)) + value


def text_field(number: int, value: str) -> bytes:
    return bytes_field(number, value.encode("utf-8", "replace"))


def _read_varint(view: memoryview, at: int) -> tuple[int, int]:
    number = 0
    for place, byte in enumerate(view[at : at + _MAX_VARINT_BYTES]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number & (1 << 64) - 1, at + place + 1
    raise ParseError("a message that ends in a number, or holds one that is too long")
