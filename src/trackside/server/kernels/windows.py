"""Which samples lie in the window of each step, and how to reduce all windows at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from trackside.server.series import Bools, Float64s, Int64s, is_marker

Element = TypeVar("Element", bound=np.generic)
Parts = tuple[Float64s, ...]
Combine = Callable[[Parts, Parts], Parts]
Columns = slice | NDArray[np.intp]

# Elements of a column chunk: 1 MB of float64, so that the passes of a kernel find their operands in the cache.
CHUNK_ELEMENTS = 1 << 17


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """Where the windows of a query lie in time: left-open, right-closed, one per step."""

    ends_ms: Int64s
    """Shape (t,), not decreasing: `@` makes them all equal."""
    range_ms: int
    left_closed: bool = False
    """With the sample at its very beginning, as in Prometheus 2."""

    @property
    def after_ms(self) -> Int64s:
        """The samples of each window are later than this."""
        return self.ends_ms - (self.range_ms + self.left_closed)


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Rows lo to hi (exclusive) of `values` are the samples of one window.

    Series without holes share their rows: `values` has shape (n, s), and a window spans all of them (w = t). Series
    with holes are laid one behind the other: `values` has shape (m,), and each has its own windows (w = t * s).
    """

    times_ms: Int64s
    """Shape (n,) or (m,), never empty: kernels gather rows for empty windows too."""
    values: Float64s
    lo: Int64s
    hi: Int64s
    """Shape (w,)."""
    ends_ms: Int64s
    """Shape (w,)."""
    range_ms: int
    shape: tuple[int, int]
    """(t, s) of the result."""

    def counts(self) -> Int64s:
        """Samples in each window, shape (w,)."""
        return self.hi - self.lo

    def beside_values(self, per_window: NDArray[Element]) -> NDArray[Element]:
        """An array of shape (w,) such that it broadcasts against gathered rows."""
        return per_window[:, None] if self.values.ndim == 2 else per_window

    def per_step(self, numbers: Float64s) -> Float64s:
        """An array of shape (t,) such that it broadcasts against gathered rows."""
        return numbers[:, None] if self.values.ndim == 2 else np.repeat(numbers, self.shape[1])

    def finished(self, result: NDArray[Element]) -> NDArray[Element]:
        """Gathered rows, or values of shape (w,) or (w, 1), as (t, s)."""
        if self.values.ndim == 2:
            result = result if result.ndim == 2 else result[:, None]
            return np.broadcast_to(result, self.shape)
        return result.reshape(self.shape)

    def at(self, rows: Int64s) -> Float64s:
        """Values of one row per window; rows of empty windows may be out of range and give anything."""
        return self.values[np.clip(rows, 0, len(self.values) - 1)]

    def times_at(self, rows: Int64s) -> Int64s:
        return self.times_ms[np.clip(rows, 0, len(self.times_ms) - 1)]

    def present(self, least: int = 1) -> Bools:
        """Shape (t, s): which windows have at least `least` samples."""
        return self.finished(self.counts() >= least)


def batches(times_ms: Int64s, values: Float64s, has_markers: bool, bounds: Bounds) -> Iterator[tuple[Columns, Windows]]:
    """Windows over a frame, some columns at a time, with the columns they are about."""
    rows, columns = values.shape
    width = max(1, CHUNK_ELEMENTS // max(1, rows))
    edges = _edges(times_ms, bounds)
    for left in range(0, columns, width):
        chunk = values[:, left : left + width]
        every = slice(left, left + chunk.shape[1])
        markers = is_marker(np.ascontiguousarray(chunk)) if has_markers else None
        if markers is None or not markers.any():
            yield every, _shared(times_ms, chunk, edges, bounds)
        else:
            yield from _marked(times_ms, chunk, markers, left, bounds)


def _marked(
    times_ms: Int64s, values: Float64s, markers: Bools, left: int, bounds: Bounds
) -> Iterator[tuple[Columns, Windows]]:
    """Columns that share their samples together, the others each by itself."""
    # A target that goes away marks all its series at once: such rows cost no one the fast path.
    sampled = ~markers.all(axis=1)
    if sampled.any() and not sampled.all():
        times_ms, values, markers = times_ms[sampled], values[sampled], markers[sampled]
    edges = _edges(times_ms, bounds)
    holed = markers.any(axis=0)
    whole = np.flatnonzero(~holed)
    if whole.size:
        yield whole + left, _shared(times_ms, values[:, whole], edges, bounds)
    own = np.flatnonzero(holed)
    if own.size:
        yield own + left, _separate(times_ms, values[:, own], ~markers[:, own], edges, bounds)


def _edges(times_ms: Int64s, bounds: Bounds) -> tuple[Int64s, Int64s]:
    lo = np.searchsorted(times_ms, bounds.after_ms, side="right")
    hi = np.searchsorted(times_ms, bounds.ends_ms, side="right")
    return lo, hi


def _shared(times_ms: Int64s, values: Float64s, edges: tuple[Int64s, Int64s], bounds: Bounds) -> Windows:
    lo, hi = edges
    return Windows(times_ms, values, lo, hi, bounds.ends_ms, bounds.range_ms, (len(lo), values.shape[1]))


def _separate(
    times_ms: Int64s, values: Float64s, valid: Bools, edges: tuple[Int64s, Int64s], bounds: Bounds
) -> Windows:
    """Each column closed up over its markers; edges move by the number of samples before them."""
    lo, hi = edges
    rows, columns = values.shape
    before = np.zeros((rows + 1, columns), dtype=np.int64)
    np.cumsum(valid, axis=0, out=before[1:])
    starts = np.concatenate(([0], np.cumsum(before[-1])[:-1]))
    if not before[-1].any():
        # A row that lies in no window stands for the samples that there are none of.
        valid = np.zeros_like(valid)
        valid[0, 0] = True
    _, kept_rows = np.nonzero(valid.T)
    return Windows(
        times_ms=times_ms[kept_rows],
        values=np.ascontiguousarray(values.T)[valid.T],
        lo=(starts + before[lo]).ravel(),
        hi=(starts + before[hi]).ravel(),
        ends_ms=np.repeat(bounds.ends_ms, columns),
        range_ms=bounds.range_ms,
        shape=(len(lo), columns),
    )


def reduce_windows(parts: Parts, windows: Windows, combine: Combine) -> Parts:
    """`combine` folded over the samples of each window, as arrays of one row per window (anything where empty).

    `parts` are what a single sample contributes, one row per sample. Windows are put together from blocks of 1, 2, 4…
    samples, each computed once for all windows: n log L combinations instead of t * L, and no sum of one window ever
    sees a sample of another, as differences of running sums would.
    """
    lengths = windows.counts()
    position = windows.lo.copy()
    longest = int(lengths.max(initial=0))
    result = tuple(np.zeros((len(lengths), *part.shape[1:]), dtype=part.dtype) for part in parts)
    started = np.zeros(len(lengths), dtype=bool)
    size = 1
    while size <= longest:
        takes = np.flatnonzero(lengths & size)
        if takes.size:
            _take(result, started, takes, tuple(part[position[takes]] for part in parts), combine)
            position[takes] += size
        size *= 2
        if size <= longest:
            half = size // 2
            parts = combine(tuple(part[:-half] for part in parts), tuple(part[half:] for part in parts))
    return result


def _take(result: Parts, started: Bools, takes: NDArray[np.intp], block: Parts, combine: Combine) -> None:
    """Append one block to the windows `takes`: set it where it is the first, combine it elsewhere."""
    again = started[takes]
    old = takes[again]
    if not again.all():
        fresh = takes[~again]
        for part, new in zip(result, block, strict=True):
            part[fresh] = new[~again]
        started[fresh] = True
        block = tuple(new[again] for new in block)
    if old.size:
        for part, new in zip(result, combine(tuple(part[old] for part in result), block), strict=True):
            part[old] = new


def prefix_counts(events: Bools) -> Int64s:
    """Number of events before each row; shape (n + 1, …). Whole numbers, so differences are exact."""
    counts = np.zeros((len(events) + 1, *events.shape[1:]), dtype=np.int64)
    np.cumsum(events, axis=0, out=counts[1:])
    return counts
