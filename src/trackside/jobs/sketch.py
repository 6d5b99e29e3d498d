"""Durations as counts in logarithmic buckets: small, mergeable, and a quantile of them is off by at most 9.1 %.

Bucket k holds durations in (2^((k-1)/4), 2^(k/4)] seconds: each is 1.19 times as wide as the one before, and they are
the buckets of a Prometheus native histogram of schema 2. They reach from 1/1024 s to a week; what is shorter is known
only to be shorter, what is longer counts as a week.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from math import ceil, frexp, isfinite

from trackside.exceptions import ParseError

PER_DOUBLING = 4
RELATIVE_ERROR = 2 ** (1 / (2 * PER_DOUBLING)) - 1
"""Of a quantile between `SHORTEST_S` and `LONGEST_S`: 0.0905."""
_FIRST, _LAST = -40, 77
SHORTEST_S = 2 ** (_FIRST / PER_DOUBLING)
LONGEST_S = 7 * 86_400.0

_VERSION = 1
_HEAD, _PAIR = struct.Struct("<Bd"), struct.Struct("<bI")
_MOST = 2**32 - 1
# Where the mantissa of a number, which lies in [0.5, 1), crosses from one bucket into the next. Compared, not computed
# by a logarithm, which puts some powers of two on the wrong side.
_EDGES = tuple(2 ** (step / PER_DOUBLING - 1) for step in range(PER_DOUBLING))


class Sketch:
    """Counts may be taken away again: what was added with a value leaves with it."""

    __slots__ = ("_counts", "total_s")

    def __init__(self, counts: Mapping[int, int] | None = None, total_s: float = 0.0) -> None:
        self._counts = dict(counts or {})
        self.total_s = total_s
        """Sum of the durations, exact."""

    @classmethod
    def of(cls, durations_s: Iterable[float]) -> Sketch:
        made = cls()
        for duration_s in durations_s:
            made.add(duration_s)
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sketch):
            return NotImplemented
        return self._counts == other._counts and self.total_s == other.total_s

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Sketch({dict(sorted(self._counts.items()))}, {self.total_s})"

    @property
    def count(self) -> int:
        return sum(self._counts.values())

    @property
    def mean_s(self) -> float | None:
        count = self.count
        return self.total_s / count if count else None

    def add(self, duration_s: float, count: int = 1) -> None:
        """A negative `count` takes away. No number, or less than nothing: ignored."""
        if not isfinite(duration_s) or duration_s < 0:
            return
        self._change(_bucket(duration_s), count)
        self.total_s += duration_s * count

    def merge(self, other: Sketch) -> None:
        for bucket, count in other._counts.items():
            self._change(bucket, count)
        self.total_s += other.total_s

    def quantile(self, share: float) -> float | None:
        """The duration that `share` of all do not exceed: the one of rank ceil(share * count). None: there are none."""
        rank = max(1, ceil(share * self.count))
        for bucket in sorted(self._counts):
            rank -= self._counts[bucket]
            if rank <= 0:
                return _middle(bucket)
        return None

    def count_within(self, doublings: int) -> int:
        """How many took at most 2^doublings seconds: exact."""
        last = doublings * PER_DOUBLING
        return sum(count for bucket, count in self._counts.items() if bucket <= last)

    def to_bytes(self) -> bytes:
        """Version, sum, then the number and the count of each bucket; empty for none. Of fixed width, not as small as
        could be: a ledger reads and writes hundreds of them for each sample, and these are read by one call."""
        counts = self._counts
        if counts and (min(counts.values()) <= 0 or max(counts.values()) > _MOST):
            counts = {bucket: min(count, _MOST) for bucket, count in counts.items() if count > 0}
        if not counts:
            return b""
        flat = [number for pair in sorted(counts.items()) for number in pair]
        return struct.pack("<Bd" + "bI" * len(counts), _VERSION, self.total_s, *flat)

    @classmethod
    def from_bytes(cls, data: bytes) -> Sketch:
        """
        Raises:
            ParseError: these are no bytes of a sketch.
        """
        if not data:
            return cls()
        if len(data) < _HEAD.size or data[0] != _VERSION or (len(data) - _HEAD.size) % _PAIR.size:
            raise ParseError("not a sketch of durations")
        total_s: float = _HEAD.unpack_from(data)[1]
        pairs = list(_PAIR.iter_unpack(data[_HEAD.size :]))
        made = cls(dict(pairs), total_s)
        counts = made._counts
        if not counts or len(counts) < len(pairs) or min(counts) < _FIRST or max(counts) > _LAST:
            raise ParseError("a sketch of durations is damaged")
        if not isfinite(total_s) or min(counts.values()) == 0:
            raise ParseError("a sketch of durations has counts of nothing, or no sum")
        return made

    def _change(self, bucket: int, count: int) -> None:
        left = self._counts.get(bucket, 0) + count
        if left:
            self._counts[bucket] = left
        else:
            self._counts.pop(bucket, None)


def _bucket(duration_s: float) -> int:
    if duration_s <= SHORTEST_S:
        return _FIRST
    if duration_s >= LONGEST_S:
        return _LAST
    mantissa, exponent = frexp(duration_s)
    return (exponent - 1) * PER_DOUBLING + bisect_left(_EDGES, mantissa)


def _middle(bucket: int) -> float:
    """The point of a bucket that is never further than the documented error from any other in it."""
    if bucket == _FIRST:
        return SHORTEST_S / 2
    return float(min(LONGEST_S, 2 ** ((bucket - 0.5) / PER_DOUBLING)))
