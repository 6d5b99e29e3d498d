"""Numpy columns with labels: what storage returns, queries compute on, and charts draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackside.model.labels import Labels

Int64s = NDArray[np.int64]
Float64s = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Two NaNs that are not values. They are told apart from the NaN a target may expose by their bits alone, since every
# NaN is unequal to itself. STALE is Prometheus' own staleness marker (value.StaleNaN); HOLE is ours.
STALE_BITS = 0x7FF0000000000002
HOLE_BITS = 0x7FF0000000000003
STALE: np.float64 = np.uint64(STALE_BITS).view(np.float64)
"""The series ended here: an instant query looks no further back."""
HOLE: np.float64 = np.uint64(HOLE_BITS).view(np.float64)
"""No sample here: the row exists because another series of the frame was sampled."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Series that were sampled together, and so share their times. Read only: the arrays may be views."""

    labels: tuple[Labels, ...]
    """Length s: one per column."""
    times_ms: Int64s
    """Shape (n,), strictly increasing."""
    values: Float64s
    """Shape (n, s), time-major. `HOLE` and `STALE` mark what is no value."""
    has_markers: bool
    """Whether any value may be `HOLE` or `STALE`; False allows the fast path. True may be over-cautious."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Samples of one series, free of markers."""

    labels: Labels
    times_ms: Int64s
    """Shape (n,), strictly increasing."""
    values: Float64s
    """Shape (n,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """Results on a common grid of steps. An instant vector is a matrix with one step."""

    labels: tuple[Labels, ...]
    steps_ms: Int64s
    """Shape (t,), strictly increasing."""
    values: Float64s
    """Shape (len(labels), t). Meaningless where `present` is False."""
    present: Bools
    """Shape (len(labels), t). Apart from the value, since NaN is a value."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number without labels, at one time."""

    time_ms: int
    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A PromQL string, at one time."""

    time_ms: int
    value: str


@dataclass(frozen=True, slots=True, eq=False)
class QueryResult:
    """Answer to a query.

    `value` is a `Matrix` of one step (instant vector; `is_range` False), a `Matrix` (range query; `is_range` True),
    a `Scalar`, a `Text`, or a tuple of `Series` (an instant query of a range selector).
    """

    value: Matrix | Scalar | Text | tuple[Series, ...]
    is_range: bool
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    samples_read: int = 0


def is_marker(values: Float64s) -> Bools:
    """Same shape as `values`: where it is `HOLE` or `STALE`."""
    return is_stale(values) | is_hole(values)


def is_stale(values: Float64s) -> Bools:
    return np.equal(values.view(np.uint64), STALE_BITS)


def is_hole(values: Float64s) -> Bools:
    return np.equal(values.view(np.uint64), HOLE_BITS)
