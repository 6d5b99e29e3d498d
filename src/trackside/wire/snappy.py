"""Snappy's block format, which remote write wraps its messages in: written and read without a library."""

from __future__ import annotations

from trackside.exceptions import LimitError, ParseError

MAX_BYTES = 32 * 1024 * 1024
"""Of what comes out of one block, unless the caller says otherwise."""

_WINDOW = 1 << 16
# A copy takes three bytes and a literal that was cut in two another one or two: shorter matches do not pay.
_MIN_MATCH = 8
_MAX_COPY = 64
_COPY_1, _COPY_2, _COPY_4 = 1, 2, 3


def compress(data: bytes) -> bytes:
    """A block of `data`: greedy, and quick where text repeats in long stretches, as label sets do."""
    out = [_varint(len(data))]
    seen: dict[bytes, int] = {}
    literal = at = misses = 0
    last = len(data) - _MIN_MATCH
    while at <= last:
        key = data[at : at + _MIN_MATCH]
        found = seen.get(key, -_WINDOW)
        seen[key] = at
        if at - found >= _WINDOW:
            # The longer nothing repeats, the larger the steps: what cannot be compressed costs next to nothing.
            misses += 1
            at += 1 + (misses >> 5)
            continue
        length = _match_length(data, found, at)
        if at > literal:
            out.append(_literal(data[literal:at]))
        out.append(_copies(at - found, length))
        at += length
        literal, misses = at, 0
    if literal < len(data):
        out.append(_literal(data[literal:]))
    return b"".join(out)


def decompress(block: bytes, max_bytes: int = MAX_BYTES) -> bytes:
    """
    Raises:
        ParseError: not a block, or one that is cut off.
        LimitError: more than `max_bytes` would come out.
    """
    expected, at = _read_varint(block)
    if expected > max_bytes:
        raise LimitError(f"a snappy block of {expected} bytes, of which at most {max_bytes} are taken")
    out = bytearray()
    while at < len(block):
        tag = block[at]
        if tag & 3:
            offset, length, at = _read_copy(block, at, tag)
            if not 0 < offset <= len(out):
                raise ParseError("a snappy block that copies from before its beginning")
            # Where both overlap the copy repeats what it has just written.
            chunk = out[-offset:] if offset <= length else out[-offset : len(out) - offset + length]
            out += (chunk * (length // offset + 1))[:length] if offset <= length else chunk
        else:
            length, at = _read_literal_length(block, at, tag)
            if at + length > len(block):
                raise ParseError("a snappy block that ends in the middle of a literal")
            out += block[at : at + length]
            at += length
        if len(out) > expected:
            raise ParseError(f"a snappy block that holds more than the {expected} bytes it announces")
    if len(out) != expected:
        raise ParseError(f"a snappy block that announces {expected} bytes and holds {len(out)}")
    return bytes(out)


def _match_length(data: bytes, earlier: int, later: int) -> int:
    """How far both go on alike, in steps that double: comparing slices is as fast as C."""
    length, step, end = _MIN_MATCH, _MIN_MATCH, len(data)
    while step:
        stop = later + length + step
        if stop <= end and data[earlier + length : earlier + length + step] == data[later + length : stop]:
            length += step
            step *= 2
        else:
            step //= 2
    return length


def _literal(text: bytes) -> bytes:
    size = len(text) - 1
    if size < 60:
        return bytes((size << 2,)) + text
    width = (size.bit_length() + 7) // 8
    return bytes((59 + width << 2,)) + size.to_bytes(width, "little") + text


def _copies(offset: int, length: int) -> bytes:
    where = offset.to_bytes(2, "little")
    whole, rest = divmod(length, _MAX_COPY)
    copies = (bytes((_MAX_COPY - 1 << 2 | _COPY_2,)) + where) * whole
    return copies + bytes((rest - 1 << 2 | _COPY_2,)) + where if rest else copies


def _read_copy(block: bytes, at: int, tag: int) -> tuple[int, int, int]:
    """Offset, length, and where the next element begins."""
    width = {_COPY_1: 1, _COPY_2: 2, _COPY_4: 4}[tag & 3]
    end = at + 1 + width
    if end > len(block):
        raise ParseError("a snappy block that ends in the middle of a copy")
    offset = int.from_bytes(block[at + 1 : end], "little")
    if tag & 3 == _COPY_1:
        return offset | (tag >> 5) << 8, (tag >> 2 & 7) + 4, end
    return offset, (tag >> 2) + 1, end


def _read_literal_length(block: bytes, at: int, tag: int) -> tuple[int, int]:
    short = tag >> 2
    if short < 60:
        return short + 1, at + 1
    end = at + 1 + short - 59
    if end > len(block):
        raise ParseError("a snappy block that ends in the length of a literal")
    return int.from_bytes(block[at + 1 : end], "little") + 1, end


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(block: bytes) -> tuple[int, int]:
    number = 0
    for at, byte in enumerate(block[:5]):
        number |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            return number, at + 1
    raise ParseError("a snappy block without its length")
