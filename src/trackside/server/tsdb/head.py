"""The head: takes samples, refuses what is late or there already, and keeps the rest until a block has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from trackside.server.series import HOLE_BITS, Bools, Float64s, Int64s, Series, is_hole
from trackside.server.storage import Appended
from trackside.server.tsdb.chunk import Chunk, HeadTile, Layout
from trackside.server.tsdb.cohorts import Bucket, Cohorts, buckets
from trackside.server.tsdb.journal import GroupRow, LastIds, LayoutRow, SamplesRow

_NEVER = np.iinfo(np.int64).min
_MAX_CELLS = 1 << 21
_NOTHING = Appended(0)

Write = Callable[[GroupRow | LayoutRow | SamplesRow], None]


class Head:
    """Every method is called under the store's lock."""

    def __init__(self, block_duration_ms: int, window_ms: int, write: Write, require: Callable[[Int64s], None]) -> None:
        """`require`: called with refs that a chunk has not seen, before it takes them."""
        self._block_duration_ms = block_duration_ms
        self._window_ms = window_ms
        self._write = write
        self._require = require
        self._newest: Int64s = np.full(1024, _NEVER, np.int64)
        self._holders: dict[int, list[Chunk]] = {}
        self._open: dict[int, Chunk] = {}
        self._closed: dict[int, Chunk] = {}
        self._has_fresh = False
        self._groups: dict[str, int] = {}
        self._pushed: set[int] = set()
        self._next_group = self._next_chunk = self._next_layout = self._next_row = 1
        self.cohorts = Cohorts(lambda name: self._new_group(name, pushed=True))

    # -- what is there ---------------------------------------------------------------------

    @property
    def chunks(self) -> list[Chunk]:
        return [*self._closed.values(), *self._open.values()]

    @property
    def closed(self) -> list[Chunk]:
        """Chunks that take no more samples: to be sealed."""
        return list(self._closed.values())

    def tiles(self, start_ms: int, end_ms: int) -> list[HeadTile]:
        return [
            chunk.tile()
            for chunk in self.chunks
            if chunk.rows and not chunk.starts_after(end_ms) and not chunk.ends_before(start_ms)
        ]

    def newest(self, refs: Int64s) -> Int64s:
        """Time of the newest sample of each series; the smallest int64 where there never was one."""
        self._make_room(refs)
        return self._newest[refs]

    # -- appending -------------------------------------------------------------------------

    def append_row(self, name: str, times_ms: Int64s, refs: Int64s, values: Float64s) -> Appended:
        bucket, refused = self._acceptable(Bucket(times_ms, refs, values))
        if bucket is None:
            return refused
        group_id = self._groups.get(name)
        if group_id is None:
            group_id = self._new_group(name, pushed=False)
        chunk = self._open.get(group_id)
        # Series that come and go would make a wide table of holes: begin another.
        if chunk is not None and chunk.would_waste(bucket.refs, 1):
            self._close(chunk)
        return self._put(group_id, bucket, refused)

    def append_series(self, name: str, series: Sequence[Series], refs: Int64s, oldest_ms: int) -> Appended:
        total = _NOTHING
        for bucket in buckets(series, refs):
            recent = bucket.times_ms >= oldest_ms
            if not recent.all():
                too_old = Appended(0, too_old=int((~recent).sum()) * len(bucket.refs))
                total = _sum(total, too_old)
                bucket = Bucket(bucket.times_ms[recent], bucket.refs, bucket.values[recent])
            accepted, refused = self._acceptable(bucket)
            total = _sum(total, refused)
            if accepted is None:
                continue
            for group_id, part in self.cohorts.parts(name, accepted):
                target = self._group_that_fits(name, group_id, part)
                total = _sum(total, self._put(target, part, _NOTHING))
        return total

    def _group_that_fits(self, name: str, group_id: int, bucket: Bucket) -> int:
        chunk = self._open.get(group_id)
        if chunk is None or not chunk.would_waste(bucket.refs, chunk.new_rows(bucket.times_ms)):
            return group_id
        if len(bucket.refs) == len(chunk.refs):
            self._close(chunk)
            return group_id
        return self.cohorts.move(name, bucket, group_id)

    def _acceptable(self, bucket: Bucket) -> tuple[Bucket | None, Appended]:
        """What of it may be stored, and what was refused."""
        if not len(bucket.times_ms) or not len(bucket.refs):
            return None, _NOTHING
        newest = self.newest(bucket.refs)
        if bucket.times_ms[0] > newest.max():
            holes = is_hole(bucket.values)
            return (_trimmed(bucket, holes), _NOTHING) if holes.any() else (bucket, _NOTHING)
        return self._without_late(bucket, newest)

    def _without_late(self, bucket: Bucket, newest: Int64s) -> tuple[Bucket | None, Appended]:
        times = bucket.times_ms[:, None]
        holes = is_hole(bucket.values)
        # Compared from the sample's side: the newest of a series that never had one is the smallest integer.
        too_late = ~holes & (times + self._window_ms < newest)
        holes |= too_late
        duplicates = 0
        late = ~holes & (times <= newest)
        if late.any():
            for chunk in self._chunks_of(bucket.refs[late.any(axis=0)]):
                there = chunk.existing(bucket.times_ms, bucket.refs)
                same_cell = ~holes & ~is_hole(there)
                differs = there.view(np.uint64) != bucket.values.view(np.uint64)
                duplicates += int((same_cell & differs).sum())
                holes |= same_cell
        refused = Appended(0, out_of_order=int(too_late.sum()), duplicate=duplicates)
        return _trimmed(bucket, holes), refused

    def _chunks_of(self, refs: Int64s) -> list[Chunk]:
        found = {chunk.chunk_id: chunk for ref in refs.tolist() for chunk in self._holders.get(ref, ())}
        return [found[chunk_id] for chunk_id in sorted(found)]

    def _put(self, group_id: int, bucket: Bucket, refused: Appended) -> Appended:
        chunk = self._chunk_for(group_id, bucket)
        layout = chunk.layout(bucket.refs)
        if layout is None:
            self._require(bucket.refs)
            layout = self._add_layout(chunk, self._next_layout, bucket.refs)
            self._next_layout += 1
            self._write(LayoutRow(layout.layout_id, chunk.chunk_id, group_id, bucket.refs))
        added = self._store(chunk, layout, bucket)
        self._write(SamplesRow(self._next_row, chunk.chunk_id, layout.layout_id, bucket.times_ms, bucket.values))
        self._next_row += 1
        return Appended(added, refused.out_of_order, refused.duplicate, refused.too_old)

    def _store(self, chunk: Chunk, layout: Layout, bucket: Bucket) -> int:
        chunk.put(bucket.times_ms, layout, bucket.values)
        filled = ~is_hole(bucket.values)
        added = int(np.count_nonzero(filled))
        chunk.filled += added
        last: Int64s | np.int64 = bucket.times_ms[-1]
        if added != filled.size:
            last = bucket.times_ms[len(filled) - 1 - filled[::-1].argmax(axis=0)]
            last = np.where(filled.any(axis=0), last, _NEVER)
        self._newest[bucket.refs] = np.maximum(self._newest[bucket.refs], last)
        return added

    def _chunk_for(self, group_id: int, bucket: Bucket) -> Chunk:
        window = int(bucket.times_ms[0]) // self._block_duration_ms
        chunk = self._open.get(group_id)
        if chunk is not None and (window > chunk.window or chunk.cells >= _MAX_CELLS):
            self._close(chunk)
            chunk = None
        if chunk is None:
            chunk = self._open[group_id] = Chunk(self._next_chunk, group_id, window)
            self._next_chunk += 1
        return chunk

    def _add_layout(self, chunk: Chunk, layout_id: int, refs: Int64s) -> Layout:
        for ref in refs.tolist():
            holders = self._holders.setdefault(ref, [])
            if chunk not in holders:
                holders.append(chunk)
        return chunk.add_layout(layout_id, refs)

    def _new_group(self, name: str, *, pushed: bool) -> int:
        group_id, self._next_group = self._next_group, self._next_group + 1
        if pushed:
            self._pushed.add(group_id)
        else:
            self._groups[name] = group_id
        self._write(GroupRow(group_id, name, pushed))
        return group_id

    def _make_room(self, refs: Int64s) -> None:
        top, size = int(refs.max(initial=0)) + 1, len(self._newest)
        if top > size:
            self._newest = np.concatenate([self._newest, np.full(max(top, 2 * size) - size, _NEVER, np.int64)])

    # -- sealing ---------------------------------------------------------------------------

    def close_before(self, now_ms: int) -> list[Chunk]:
        """Close the chunks of block durations that are over, and return all that are closed."""
        window = now_ms // self._block_duration_ms
        for chunk in list(self._open.values()):
            if chunk.window < window:
                self._close(chunk)
        return self.closed

    def take_fresh(self) -> bool:
        """Whether a chunk was closed since this was asked last."""
        fresh, self._has_fresh = self._has_fresh, False
        return fresh

    def remove(self, chunk: Chunk) -> None:
        """It is in a block now."""
        del self._closed[chunk.chunk_id]
        for ref in chunk.refs.tolist():
            holders = self._holders[ref]
            holders.remove(chunk)
            if not holders:
                del self._holders[ref]

    def is_held(self, ref: int) -> bool:
        return ref in self._holders

    def forget_groups(self, used: set[int]) -> list[int]:
        """Drop the groups of which neither `used` nor the head knows anything."""
        used = used | {chunk.group_id for chunk in self.chunks}
        named = {name: group_id for name, group_id in self._groups.items() if group_id not in used}
        for name in named:
            del self._groups[name]
        pushed = self._pushed - used
        self._pushed -= pushed
        self.cohorts.forget(sorted(pushed))
        return sorted([*named.values(), *pushed])

    def _close(self, chunk: Chunk) -> None:
        self._has_fresh = True
        del self._open[chunk.group_id]
        self._closed[chunk.chunk_id] = chunk

    # -- start-up --------------------------------------------------------------------------

    def load_groups(self, groups: Sequence[GroupRow]) -> None:
        for row in groups:
            if row.pushed:
                self._pushed.add(row.group_id)
            else:
                self._groups[row.name] = row.group_id
            self._next_group = max(self._next_group, row.group_id + 1)

    def load_series(self, group_id: int, refs: Int64s, newest_ms: Int64s) -> None:
        """What the blocks have, from the oldest to the newest."""
        self._make_room(refs)
        self._newest[refs] = np.maximum(self._newest[refs], newest_ms)
        if group_id in self._pushed:
            self.cohorts.assign(refs, group_id)

    def replay(self, layouts: dict[int, LayoutRow], samples: Iterable[SamplesRow], last: LastIds) -> None:
        """What the journal has. Ids up to `last` are not given again."""
        self._next_row, self._next_layout, self._next_chunk = last.row + 1, last.layout + 1, last.chunk + 1
        chunks: dict[int, Chunk] = {}
        known: dict[int, Layout] = {}
        for row in samples:
            layout_row = layouts[row.layout_id]
            chunk = chunks.get(row.chunk_id)
            if chunk is None:
                window = int(row.times_ms[0]) // self._block_duration_ms
                chunk = chunks[row.chunk_id] = Chunk(row.chunk_id, layout_row.group_id, window)
            layout = known.get(row.layout_id)
            if layout is None:
                layout = known[row.layout_id] = self._add_layout(chunk, row.layout_id, layout_row.refs)
                self._make_room(layout_row.refs)
            self._store(chunk, layout, Bucket(row.times_ms, layout_row.refs, row.values))
        for chunk_id in sorted(chunks):
            self._adopt(chunks[chunk_id])

    def _adopt(self, chunk: Chunk) -> None:
        older = self._open.get(chunk.group_id)
        if older is not None:
            self._close(older)
        self._open[chunk.group_id] = chunk
        if chunk.group_id in self._pushed:
            self.cohorts.assign(chunk.refs, chunk.group_id)


def _trimmed(bucket: Bucket, holes: Bools) -> Bucket | None:
    """Without the samples where `holes` is, and without rows and columns that are left empty."""
    columns, rows = ~holes.all(axis=0), ~holes.all(axis=1)
    if not columns.any():
        return None
    values = np.array(bucket.values)
    values.view(np.uint64)[holes] = HOLE_BITS
    return Bucket(bucket.times_ms[rows], bucket.refs[columns], values[np.ix_(rows, columns)])


def _sum(one: Appended, other: Appended) -> Appended:
    return Appended(
        one.added + other.added,
        one.out_of_order + other.out_of_order,
        one.duplicate + other.duplicate,
        one.too_old + other.too_old,
    )
