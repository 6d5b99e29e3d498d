"""Buckets of native histograms: exponentially growing bounds that find their range and their resolution by themselves.

Bucket i of schema s ends at 2**(i / 2**s) and takes that value itself. A cell has a window of neighbouring buckets for
each sign, and when a value lies too far outside, every two of its buckets become one: memory is bounded, and so is the
relative error, at the price of a coarser picture when the values differ by more than the window spans.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import MutableSequence, Sequence
from math import frexp

from trackside.instruments.layout import NATIVE_SCHEMA
from trackside.model.metrics import NativeBuckets

MAX_BUCKETS = 160
"""Of each sign."""
MAX_SCHEMA, MIN_SCHEMA = 8, -4
ZERO_THRESHOLD = 2.0**-128
"""What is as near to zero is zero: without it, rounding errors around zero would spread over hundreds of buckets."""

# In a cell, from where its native part begins.
SCHEMA = NATIVE_SCHEMA
_POSITIVE, _NEGATIVE = 2, 4 + MAX_BUCKETS
_COUNT, _LOW, _BUCKETS = 0, 1, 2  # of one sign
WIDTH = 2 + 2 * (2 + MAX_BUCKETS)

# Where the buckets of one power of two end, as fractions between a half and one: frexp's.
_FRACTIONS = tuple(
    tuple(2.0 ** (part / 2**schema - 1) for part in range(2**schema)) for schema in range(MAX_SCHEMA + 1)
)

Numbers = MutableSequence[float]


def index_of(value: float, schema: int) -> int:
    """Of the bucket that takes a positive finite `value`."""
    fraction, exponent = frexp(value)
    if schema > 0:
        return bisect_left(_FRACTIONS[schema], fraction) + (exponent - 1) * (1 << schema)
    index = exponent - 1 if fraction == 0.5 else exponent
    return -((-index) >> -schema)


def bucket_end(index: int, schema: int) -> float:
    """The upper bound of a bucket; infinite beyond what a number can be."""
    try:
        return float(2.0 ** (index / 2**schema))
    except OverflowError:
        return float("inf")


def observe(cell: Numbers, base: int, value: float) -> None:
    """Count a finite `value` in the native part, which begins at `base`."""
    if -ZERO_THRESHOLD <= value <= ZERO_THRESHOLD:
        cell[base] += 1
        return
    sign = base + (_POSITIVE if value > 0 else _NEGATIVE)
    at = index_of(abs(value), int(cell[base + SCHEMA])) - int(cell[sign + _LOW])
    # Nothing has been counted yet, or not so far out.
    if not 0 <= at < MAX_BUCKETS or not cell[sign + _COUNT]:
        index = _make_room(cell, base, sign, abs(value))
        at = index - int(cell[sign + _LOW])
    cell[sign + _BUCKETS + at] += 1
    cell[sign + _COUNT] += 1


def snapshot(cell: Sequence[float], base: int) -> NativeBuckets:
    def side(sign: int) -> tuple[tuple[int, float], ...]:
        low = int(cell[sign + _LOW])
        counts = cell[sign + _BUCKETS : sign + _BUCKETS + MAX_BUCKETS]
        return tuple((low + at, count) for at, count in enumerate(counts) if count)

    return NativeBuckets(
        int(cell[base + SCHEMA]), ZERO_THRESHOLD, cell[base], side(base + _POSITIVE), side(base + _NEGATIVE)
    )


def add(cell: list[float], other: Sequence[float], base: int) -> None:
    """Count all that `other` has counted into `cell` too, at the coarser resolution of the two."""
    theirs = snapshot(other, base)
    if not theirs.positive and not theirs.negative:
        cell[base] += theirs.zero_count
        return
    schema = min(int(cell[base + SCHEMA]), max(theirs.schema, MIN_SCHEMA))
    _coarsen(cell, base, schema)
    cell[base] += theirs.zero_count
    for sign, buckets in ((base + _POSITIVE, theirs.positive), (base + _NEGATIVE, theirs.negative)):
        for index, count in buckets:
            coarse = _coarser(index, theirs.schema - int(cell[base + SCHEMA]))
            at = _room_for(cell, base, sign, coarse, int(cell[base + SCHEMA])) - int(cell[sign + _LOW])
            cell[sign + _BUCKETS + at] += count
            cell[sign + _COUNT] += count


def difference(cell: Sequence[float], before: Sequence[float], base: int) -> list[float]:
    """What `cell` has counted since it was as `before`, native part and all."""
    found, was = list(cell), list(before)
    _coarsen(was, base, int(found[base + SCHEMA]))
    for at in range(base + 1):
        found[at] -= was[at]
    for sign in (base + _POSITIVE, base + _NEGATIVE):
        moved = int(was[sign + _LOW]) - int(found[sign + _LOW])
        found[sign + _COUNT] -= was[sign + _COUNT]
        for at, count in enumerate(was[sign + _BUCKETS : sign + _BUCKETS + MAX_BUCKETS]):
            if count:
                # A window never leaves out what it has counted.
                found[sign + _BUCKETS + at + moved] -= count
    return found


def _make_room(cell: Numbers, base: int, sign: int, value: float) -> int:
    schema = int(cell[base + SCHEMA])
    return _room_for(cell, base, sign, index_of(value, schema), schema)


def _room_for(cell: Numbers, base: int, sign: int, index: int, schema: int) -> int:
    """The index at the resolution the cell has in the end, where its window has a place for it."""
    while True:
        low = int(cell[sign + _LOW])
        if not cell[sign + _COUNT]:
            cell[sign + _LOW] = index - MAX_BUCKETS // 2
            return index
        if 0 <= index - low < MAX_BUCKETS:
            return index
        counts = list(cell[sign + _BUCKETS : sign + _BUCKETS + MAX_BUCKETS])
        used = [at for at, count in enumerate(counts) if count]
        first, last = min(low + used[0], index), max(low + used[-1], index)
        if last - first < MAX_BUCKETS or schema <= MIN_SCHEMA:
            _shift(cell, sign, counts, first - (MAX_BUCKETS - (last - first + 1)) // 2)
            return index
        schema -= 1
        index = _coarser(index, 1)
        _coarsen(cell, base, schema)


def _shift(cell: Numbers, sign: int, counts: Sequence[float], new_low: int) -> None:
    moved = [0.0] * MAX_BUCKETS
    by = int(cell[sign + _LOW]) - new_low
    for at, count in enumerate(counts):
        if count:
            # At the coarsest resolution all numbers there are fit in; a damaged file's may not.
            moved[min(max(at + by, 0), MAX_BUCKETS - 1)] += count
    for at, count in enumerate(moved):
        cell[sign + _BUCKETS + at] = count
    cell[sign + _LOW] = new_low


def _coarsen(cell: Numbers, base: int, schema: int) -> None:
    steps = int(cell[base + SCHEMA]) - schema
    if steps <= 0:
        return
    cell[base + SCHEMA] = schema
    for sign in (base + _POSITIVE, base + _NEGATIVE):
        low = int(cell[sign + _LOW])
        merged = [0.0] * MAX_BUCKETS
        new_low = _coarser(low, steps)
        for at in range(MAX_BUCKETS):
            count = cell[sign + _BUCKETS + at]
            if count:
                merged[_coarser(low + at, steps) - new_low] += count
        for at, count in enumerate(merged):
            cell[sign + _BUCKETS + at] = count
        cell[sign + _LOW] = new_low


def _coarser(index: int, steps: int) -> int:
    return -((-index) >> steps)
