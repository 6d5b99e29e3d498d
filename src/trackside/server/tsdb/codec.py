"""The bytes of a sealed block: columns of deltas, compressed with pcodec, in pages that can be read one by one."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pcodec import ChunkConfig, DeltaSpec, ModeSpec
from pcodec.standalone import simple_compress, simple_decompress

from trackside.exceptions import StorageError
from trackside.server.series import Bools, Float64s, Int64s, is_marker

T = TypeVar("T")
Numbers = NDArray[np.int16] | NDArray[np.int32] | NDArray[np.float64]

# Deltas are taken here, over time and between neighbouring columns, so pcodec must not look for more.
_DELTAS = ChunkConfig(delta_spec=DeltaSpec.no_op(), mode_spec=ModeSpec.classic())
_PLAIN = ChunkConfig()
_PAGE_CELLS = 1 << 15
_VERSION = 1
_FRAME = struct.Struct("<BI")
_HEADER = struct.Struct("<II")
_PAGE = struct.Struct("<BHI")
_SIZE = struct.Struct("<I")
_INTEGERS, _BITS = 0, 1
_EXACT = float(1 << 53)
_DECIMALS = (0, 1, 2, 3, 4, 6)
_POWERS: Float64s = np.power(10.0, np.arange(8), dtype=np.float64)
_ODD_SHARE = 16
_NEGATIVE_ZERO = np.uint64(1 << 63)


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """What is common to the pages of a block."""

    times_ms: Int64s
    refs: Int64s
    """In the order of the columns, page after page."""
    widths: Int64s
    """Columns of each page."""

    @property
    def nbytes(self) -> int:
        return self.times_ms.nbytes + self.refs.nbytes + self.widths.nbytes


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """Columns of a block as they are kept in memory: small, and each row and column of them within reach."""

    numbers: Numbers
    """Shape (n, c). Distances from `base` where they fit 32 bits, otherwise the values themselves."""
    base: Float64s | None
    """Shape (c,)."""
    divisor: Float64s | None
    """Shape (c,): powers of ten, for decimal fractions. None: all 1."""
    odd_at: Int64s
    """Row times c plus column of the cells whose bits follow, increasing."""
    odd_bits: NDArray[np.uint64]
    has_markers: bool

    @property
    def nbytes(self) -> int:
        return int(self.numbers.nbytes + self.odd_at.nbytes + self.odd_bits.nbytes + 32 * self.numbers.shape[1])

    def expand(self, start: int, stop: int, columns: Int64s | None, target: Float64s) -> None:
        """Write the values of rows [start, stop) of `columns` (all if None, increasing) to `target`.

        `target` has shape (stop - start, len(columns)).
        """
        numbers = self.numbers[start:stop] if columns is None else self.numbers[start:stop, columns]
        if self.base is None:
            target[:] = numbers
        else:
            np.add(numbers, self.base if columns is None else self.base[columns], out=target, dtype=np.float64)
        if self.divisor is not None:
            target /= self.divisor if columns is None else self.divisor[columns]
        if len(self.odd_at):
            self._restore(target, start, columns)

    def _restore(self, target: Float64s, start: int, columns: Int64s | None) -> None:
        width = self.numbers.shape[1]
        first, last = np.searchsorted(self.odd_at, (start * width, (start + len(target)) * width))
        rows, places = np.divmod(self.odd_at[first:last], width)
        bits = self.odd_bits[first:last]
        if columns is not None:
            at = np.searchsorted(columns, places)
            at[at == len(columns)] = 0
            wanted = columns[at] == places
            rows, places, bits = rows[wanted], at[wanted], bits[wanted]
        target.view(np.uint64)[rows - start, places] = bits


@dataclass(frozen=True, slots=True, eq=False)
class EncodedBlock:
    header: bytes
    pages: tuple[bytes, ...]

    @property
    def nbytes(self) -> int:
        return len(self.header) + sum(map(len, self.pages))


def encode_block(times_ms: Int64s, refs: Int64s, values: Float64s) -> EncodedBlock:
    """`values` has shape (n, s), n and s at least 1. Similar columns should be neighbours: they predict each other."""
    columns = np.ascontiguousarray(values.T)
    scales = _scales(columns)
    pages: list[bytes] = []
    order: list[Int64s] = []
    width = min(max(1, _PAGE_CELLS // len(times_ms)), 0xFFFF)
    # Numbers of one kind in one page: their deltas have one distribution.
    for kind, members in ((_INTEGERS, np.flatnonzero(scales >= 0)), (_BITS, np.flatnonzero(scales < 0))):
        for start in range(0, len(members), width):
            part = members[start : start + width]
            pages.append(_encode_page(kind, columns[part], scales[part]))
            order.append(part)
    widths = np.array([len(part) for part in order], np.int64)
    ordered = refs[np.concatenate(order)]
    body = _HEADER.pack(len(times_ms), len(refs)) + _sections(_packed(times_ms), _packed(ordered), _packed(widths))
    return EncodedBlock(_framed(body), tuple(pages))


def decode_header(data: bytes) -> Header:
    """
    Raises:
        StorageError: these are not the bytes of a header.
    """
    return _decoded(data, "header", _header_of)


def decode_page(data: bytes) -> Page:
    """
    Raises:
        StorageError: these are not the bytes of a page.
    """
    return _decoded(data, "page", _page_of)


def _header_of(body: bytes) -> Header:
    rows, columns = _HEADER.unpack_from(body)
    times, refs, widths = (_unpacked(part) for part in _split(body[_HEADER.size :], 3))
    if len(times) != rows or len(refs) != columns or int(widths.sum()) != columns:
        raise ValueError("its sections do not fit each other")
    return Header(times, refs, widths)


def _encode_page(kind: int, columns: Float64s, scales: Int64s) -> bytes:
    """`columns` has shape (c, n)."""
    odd = is_marker(columns)
    numbers = columns.view(np.int64)
    if kind == _INTEGERS:
        power = _POWERS[scales][:, None]
        odd |= ~_are_decimals(columns, power)
        with np.errstate(all="ignore"):
            numbers = np.rint(np.where(odd, 0.0, columns) * power).astype(np.int64)
    odd_at, odd_bits = _odd_cells(odd, columns)
    if len(odd_at):
        numbers = _filled_forward(numbers, ~odd)
    first = np.ascontiguousarray(numbers[:, 0])
    deltas = np.diff(numbers, axis=1)
    chained = np.zeros(len(deltas), np.bool_)
    if kind == _INTEGERS:
        chained = _chained(deltas)
        deltas[1:][chained[1:]] -= np.diff(numbers, axis=1)[:-1][chained[1:]]
    return _framed(
        _PAGE.pack(kind, *columns.shape)
        + _sections(
            _packed(first, _DELTAS),
            np.packbits(chained).tobytes(),
            scales.astype(np.int8).tobytes() if scales.any() and kind == _INTEGERS else b"",
            _packed(deltas.ravel(), _DELTAS),
            _packed(np.diff(odd_at, prepend=0), _DELTAS),
            _packed(odd_bits.view(np.int64), _DELTAS),
        )
    )


def _page_of(body: bytes) -> Page:
    kind, width, rows = _PAGE.unpack_from(body)
    parts = _split(body[_PAGE.size :], 6)
    numbers = np.empty((width, rows), np.int64)
    numbers[:, 0] = _unpacked(parts[0])
    numbers[:, 1:] = _unpacked(parts[3]).reshape(width, rows - 1)
    chained = np.unpackbits(np.frombuffer(parts[1], np.uint8), count=width).astype(np.bool_)
    for column in np.flatnonzero(chained).tolist():
        numbers[column, 1:] += numbers[column - 1, 1:]
    np.cumsum(numbers, axis=1, out=numbers)
    odd_at = np.cumsum(_unpacked(parts[4]))
    odd_bits = _unpacked(parts[5]).view(np.uint64)
    if len(odd_at) != len(odd_bits):
        raise ValueError("its sections do not fit each other")
    has_markers = bool(is_marker(odd_bits.view(np.float64)).any())
    if kind == _BITS:
        values = np.ascontiguousarray(numbers.view(np.float64).T)
        return Page(values, None, None, odd_at, odd_bits, has_markers)
    divisor = _POWERS[np.frombuffer(parts[2], np.int8)] if parts[2] else None
    return Page(*_narrowed(numbers), divisor, odd_at, odd_bits, has_markers)


def _narrowed(numbers: Int64s) -> tuple[Numbers, Float64s | None]:
    """Rows by columns in the narrowest type, and what to add."""
    base = numbers[:, 0]
    distances = numbers - base[:, None]
    reach = max(-int(distances.min()), int(distances.max()))
    if reach < 1 << 15:
        return distances.T.astype(np.int16, order="C"), base.astype(np.float64)
    if reach < 1 << 31:
        return distances.T.astype(np.int32, order="C"), base.astype(np.float64)
    # A sum of two float64 would round here.
    return numbers.T.astype(np.float64, order="C"), None


def _scales(columns: Float64s) -> Int64s:
    """For each column the number of decimal places all (nearly all) of its values have; -1: they have none."""
    scales = np.full(len(columns), -1, np.int64)
    candidates = np.arange(len(columns))
    markers = is_marker(columns)
    allowed = (columns.shape[1] - markers.sum(axis=1)) // _ODD_SHARE
    for places in _DECIMALS:
        subset = columns[candidates]
        odd = ~_are_decimals(subset, _POWERS[places]) & ~markers[candidates]
        fits = odd.sum(axis=1) <= allowed[candidates]
        scales[candidates[fits]] = places
        candidates = candidates[~fits]
        if not len(candidates):
            break
    return scales


def _are_decimals(values: Float64s, power: Float64s | np.float64) -> Bools:
    """Where a value is exactly an integer divided by `power`."""
    with np.errstate(all="ignore"):
        scaled = np.rint(values * power)
        exact: Bools = (scaled / power == values) & (np.abs(scaled) <= _EXACT)
    return exact & np.not_equal(values.view(np.uint64), _NEGATIVE_ZERO)


def _odd_cells(odd: Bools, columns: Float64s) -> tuple[Int64s, NDArray[np.uint64]]:
    if not odd.any():
        return np.empty(0, np.int64), np.empty(0, np.uint64)
    by_row = np.ascontiguousarray(odd.T)
    odd_at = np.flatnonzero(by_row)
    return odd_at, columns.T.view(np.uint64)[by_row]


def _filled_forward(numbers: Int64s, good: Bools) -> Int64s:
    """Each cell that is not good takes the last good number before it (the first one after it, at the start)."""
    source = np.where(good, np.arange(numbers.shape[1]), 0)
    np.maximum(source, good.argmax(axis=1)[:, None], out=source)
    np.maximum.accumulate(source, axis=1, out=source)
    filled = np.take_along_axis(numbers, source, axis=1)
    filled[~good.any(axis=1)] = 0
    return filled


def _chained(deltas: Int64s) -> Bools:
    """Which columns are nearer to the one before than to zero: the buckets of a histogram move together."""
    chained = np.zeros(len(deltas), np.bool_)
    if len(deltas) > 1:
        alone = np.abs(deltas).sum(axis=1, dtype=np.float64)
        chained[1:] = np.abs(deltas[1:] - deltas[:-1]).sum(axis=1, dtype=np.float64) < alone[1:]
    return chained


def _packed(numbers: Int64s, config: ChunkConfig = _PLAIN) -> bytes:
    return bytes(simple_compress(np.ascontiguousarray(numbers), config)) if len(numbers) else b""


def _unpacked(data: bytes) -> Int64s:
    if not data:
        return np.empty(0, np.int64)
    numbers = simple_decompress(data)
    if numbers is None or numbers.dtype != np.int64:
        raise ValueError("a section has numbers of another type")
    return np.asarray(numbers, np.int64)


def _sections(*parts: bytes) -> bytes:
    return b"".join(_SIZE.pack(len(part)) + part for part in parts)


def _split(data: bytes, count: int) -> Sequence[bytes]:
    parts: list[bytes] = []
    at = 0
    for _ in range(count):
        (size,) = _SIZE.unpack_from(data, at)
        at += _SIZE.size + size
        parts.append(data[at - size : at])
    if at != len(data):
        raise ValueError("it does not end where its sections end")
    return parts


def _framed(body: bytes) -> bytes:
    return _FRAME.pack(_VERSION, zlib.crc32(body)) + body


def _decoded(data: bytes, what: str, decode: Callable[[bytes], T]) -> T:
    """Check the frame first: pcodec is not made for bytes that were changed on the way."""
    if len(data) < _FRAME.size:
        raise StorageError(f"{what} of {len(data)} bytes is cut short")
    version, checksum = _FRAME.unpack_from(data)
    if version != _VERSION:
        raise StorageError(f"{what} has format version {version}; this program reads version {_VERSION}")
    body = data[_FRAME.size :]
    if zlib.crc32(body) != checksum:
        raise StorageError(f"{what} of {len(data)} bytes has a wrong checksum: it was damaged")
    try:
        return decode(body)
    except (ValueError, TypeError, IndexError, RuntimeError, struct.error) as error:
        raise StorageError(f"{what} cannot be decoded: {error}") from error
