"""A growing table of rows (times) and columns (series): the samples of one group that are not sealed yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyroaring import BitMap

from trackside.server.series import HOLE_BITS, Float64s, Int64s, is_hole

_MIN_ROWS = 16
_WASTE_FLOOR = 1 << 16
_WASTE_FACTOR = 8


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A set of series as one append brings them, and the columns they have in a chunk."""

    layout_id: int
    refs: Int64s
    columns: Int64s
    is_prefix: bool
    """Whether `columns` is 0, 1, …: then a row is copied as it is."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadTile:
    """What a chunk held at one moment. The arrays are views: rows and columns that come later are beyond them."""

    group_id: int
    order: int
    refs: Int64s
    bitmap: BitMap
    times_ms: Int64s
    values: Float64s

    @property
    def start_ms(self) -> int:
        return int(self.times_ms[0])

    @property
    def end_ms(self) -> int:
        return int(self.times_ms[-1])


class Chunk:
    """Samples of one group that are not sealed yet. Written by one thread, under the store's lock.

    Rows and columns are only ever added, in place beyond what exists or in new arrays, and a cell changes only from
    `HOLE` to a sample; so a tile taken under the lock can be read without it.
    """

    def __init__(self, chunk_id: int, group_id: int, window: int) -> None:
        self.chunk_id = chunk_id
        self.group_id = group_id
        self.window = window
        """Number of the block duration, counted from 1970, in which it was opened."""
        self.rows = 0
        self.filled = 0
        """Samples, for the decision whether too much of it is holes."""
        self.refs: Int64s = np.empty(0, np.int64)
        self.bitmap = BitMap()
        self.last: Layout | None = None
        self._columns: dict[int, int] = {}
        self._layouts: dict[bytes, Layout] = {}
        self._times: Int64s = np.empty(_MIN_ROWS, np.int64)
        self._values: Float64s = np.empty((_MIN_ROWS, 0), np.float64)

    @property
    def nbytes(self) -> int:
        return self._times.nbytes + self._values.nbytes

    @property
    def cells(self) -> int:
        return self.rows * len(self.refs)

    def tile(self) -> HeadTile:
        rows, columns = self.rows, len(self.refs)
        values = self._values[:rows, :columns]
        return HeadTile(self.group_id, self.chunk_id, self.refs, self.bitmap, self._times[:rows], values)

    def starts_after(self, time_ms: int) -> bool:
        return self.rows > 0 and int(self._times[0]) > time_ms

    def ends_before(self, time_ms: int) -> bool:
        return self.rows > 0 and int(self._times[self.rows - 1]) < time_ms

    def new_rows(self, times_ms: Int64s) -> int:
        """How many of `times_ms` (increasing) it has no row for."""
        if self.rows == 0 or times_ms[0] > self._times[self.rows - 1]:
            return len(times_ms)
        return len(times_ms) - int(np.isin(times_ms, self._times[: self.rows]).sum())

    def would_waste(self, refs: Int64s, rows: int) -> bool:
        """Whether `rows` more rows of `refs` would make the chunk mostly holes."""
        allowed = _WASTE_FACTOR * (self.filled + rows * len(refs)) + _WASTE_FLOOR
        if (self.rows + rows) * (len(self.refs) + len(refs)) <= allowed:
            return False
        columns = len(self.refs) + sum(1 for ref in refs.tolist() if ref not in self._columns)
        return (self.rows + rows) * columns > allowed

    def layout(self, refs: Int64s) -> Layout | None:
        """The layout of `refs`, if the chunk has seen it."""
        last = self.last
        if last is not None and (last.refs is refs or np.array_equal(last.refs, refs)):
            return last
        found = self._layouts.get(refs.tobytes())
        if found is not None:
            self.last = found
        return found

    def add_layout(self, layout_id: int, refs: Int64s) -> Layout:
        fresh = [ref for ref in refs.tolist() if ref not in self._columns]
        if fresh:
            self._add_columns(fresh)
        columns = np.fromiter((self._columns[ref] for ref in refs.tolist()), np.int64, len(refs))
        is_prefix = bool(np.array_equal(columns, np.arange(len(columns))))
        layout = Layout(layout_id, refs, columns, is_prefix)
        self._layouts[refs.tobytes()] = self.last = layout
        return layout

    def put(self, times_ms: Int64s, layout: Layout, values: Float64s) -> None:
        """Add samples. Cells that hold one keep it. `values` has shape (len(times_ms), len(layout.refs))."""
        if self.rows == 0 or times_ms[0] > self._times[self.rows - 1]:
            self._append(times_ms, layout, values)
        else:
            self._merge(times_ms, layout, values)

    def existing(self, times_ms: Int64s, refs: Int64s) -> Float64s:
        """What the chunk holds at `times_ms` for `refs`, `HOLE` where it holds nothing."""
        found = _holes(len(times_ms), len(refs))
        known = np.fromiter((self._columns.get(ref, -1) for ref in refs.tolist()), np.int64, len(refs))
        rows = np.searchsorted(self._times[: self.rows], times_ms)
        inside = rows < self.rows
        inside[inside] = self._times[rows[inside]] == times_ms[inside]
        target = np.ix_(inside, known >= 0)
        found[target] = self._values[np.ix_(rows[inside], known[known >= 0])]
        return found

    def _append(self, times_ms: Int64s, layout: Layout, values: Float64s) -> None:
        start, stop, columns = self.rows, self.rows + len(times_ms), len(self.refs)
        if stop > len(self._times):
            self._grow(max(stop, 2 * len(self._times)), self._values.shape[1])
        self._times[start:stop] = times_ms
        target = self._values[start:stop, :columns]
        if layout.is_prefix and len(layout.refs) == columns:
            target[:] = values
        else:
            target.view(np.uint64)[:] = HOLE_BITS
            target[:, layout.columns] = values
        self.rows = stop

    def _merge(self, times_ms: Int64s, layout: Layout, values: Float64s) -> None:
        old = self._times[: self.rows]
        times = np.union1d(old, times_ms)
        if len(times) > self.rows:
            merged = _holes(max(len(times), len(self._times)), self._values.shape[1])
            merged[np.searchsorted(times, old)] = self._values[: self.rows]
            grown = np.empty(len(merged), np.int64)
            grown[: len(times)] = times
            self._times, self._values, self.rows = grown, merged, len(times)
        cells = np.ix_(np.searchsorted(times, times_ms), layout.columns)
        current = self._values[cells]
        self._values[cells] = np.where(is_hole(current), values, current)

    def _add_columns(self, refs: list[int]) -> None:
        start, stop = len(self.refs), len(self.refs) + len(refs)
        if stop > self._values.shape[1]:
            # Exactly what the first append needs, some room once a series has joined later.
            self._grow(len(self._times), stop + stop // 8 if start else stop)
        self._values[: self.rows, start:stop].view(np.uint64)[:] = HOLE_BITS
        for offset, ref in enumerate(refs):
            self._columns[ref] = start + offset
        self.refs = np.concatenate([self.refs, np.array(refs, np.int64)])
        self.bitmap = self.bitmap | BitMap(refs)

    def _grow(self, rows: int, columns: int) -> None:
        times = np.empty(rows, np.int64)
        times[: self.rows] = self._times[: self.rows]
        values = np.empty((rows, columns), np.float64)
        values[: self.rows, : self._values.shape[1]] = self._values[: self.rows]
        self._times, self._values = times, values


def _holes(rows: int, columns: int) -> Float64s:
    return np.full((rows, columns), HOLE_BITS, np.uint64).view(np.float64)
