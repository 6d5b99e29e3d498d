"""Joins what head and blocks hold of some series into one frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pyroaring import BitMap

from trackside.exceptions import StorageError
from trackside.server.series import HOLE_BITS, Float64s, Int64s, is_hole, is_marker
from trackside.server.tsdb.blocks import Block
from trackside.server.tsdb.chunk import HeadTile
from trackside.server.tsdb.reader import BlockReader

Tile = Block | HeadTile


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """A frame before its series have names."""

    refs: Int64s
    times_ms: Int64s
    values: Float64s
    has_markers: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Rows of one tile in the time that is asked for."""

    refs: Int64s
    """In the order of the tile's columns."""
    times_ms: Int64s
    seniority: tuple[int, int]
    """Blocks before the head, both in the order in which their samples came."""
    read: Callable[[Int64s, Float64s], bool]
    """Writes the columns (increasing places in `refs`) to an array of that shape, or to a view with gaps between its
    rows; whether there may be markers among them."""


def partition(tiles: Sequence[Tile], wanted: BitMap) -> list[tuple[BitMap, list[Tile]]]:
    """The wanted series, those of one group together; a series that moved between groups, with those that did so too.

    Each series is in one part, and each part has all tiles that hold any of its series.
    """
    by_group: dict[int, list[Tile]] = {}
    refs_of: dict[int, BitMap] = {}
    for tile in tiles:
        refs = tile.bitmap & wanted
        if refs:
            by_group.setdefault(tile.group_id, []).append(tile)
            refs_of[tile.group_id] = refs_of[tile.group_id] | refs if tile.group_id in refs_of else refs
    parts: list[tuple[BitMap, list[Tile]]] = []
    seen = BitMap()
    for group_id, refs in refs_of.items():
        of_group = by_group[group_id]
        if seen.isdisjoint(refs):
            parts.append((refs, of_group))
        else:
            parts = _refined(parts, refs, of_group)
        seen = seen | refs
    return parts


def _refined(
    parts: list[tuple[BitMap, list[Tile]]], refs: BitMap, tiles: list[Tile]
) -> list[tuple[BitMap, list[Tile]]]:
    result: list[tuple[BitMap, list[Tile]]] = []
    for have, have_tiles in parts:
        both = have & refs
        if not both:
            result.append((have, have_tiles))
            continue
        result.append((both, [*have_tiles, *tiles]))
        if len(both) < len(have):
            result.append((have - both, have_tiles))
        refs = refs - both
    if refs:
        result.append((refs, tiles))
    return result


class Selection:
    """Reads tiles for one query."""

    def __init__(
        self, reader: BlockReader, start_ms: int, end_ms: int, on_error: Callable[[StorageError], None]
    ) -> None:
        self._reader = reader
        self._start_ms = start_ms
        self._end_ms = end_ms
        self._on_error = on_error

    def columns(self, wanted: BitMap, tiles: Sequence[Tile]) -> Columns | None:
        """None: there is no sample. A block that is damaged is left out, and told to `on_error`.

        Raises:
            BlockGoneError: a block went away; ask again with the tiles there are now.
        """
        parts = list(self._parts(wanted, tiles))
        if not parts:
            return None
        refs = _column_order(wanted, parts)
        clusters = [cluster[0] if len(cluster) == 1 else _merged(refs, cluster) for cluster in _clusters(parts)]
        joined = _concatenated(refs, clusters)
        return _without_empty(joined) if joined.has_markers else joined

    def _parts(self, wanted: BitMap, tiles: Sequence[Tile]) -> Iterator[_Part]:
        for tile in tiles:
            if tile.bitmap.isdisjoint(wanted):
                continue
            try:
                part = self._head_part(tile) if isinstance(tile, HeadTile) else self._block_part(tile, wanted)
            except StorageError as error:
                self._on_error(error)
                continue
            if len(part.times_ms):
                yield part

    def _rows(self, times_ms: Int64s) -> tuple[int, int]:
        first = int(np.searchsorted(times_ms, self._start_ms))
        return first, int(np.searchsorted(times_ms, self._end_ms, side="right"))

    def _head_part(self, tile: HeadTile) -> _Part:
        first, last = self._rows(tile.times_ms)

        def read(places: Int64s, target: Float64s) -> bool:
            values = tile.values[first:last]
            target[:] = values if len(places) == values.shape[1] else values[:, places]
            return True

        return _Part(tile.refs, tile.times_ms[first:last], (1, tile.order), read)

    def _block_part(self, block: Block, wanted: BitMap) -> _Part:
        header = self._reader.header(block.block_id)
        first, last = self._rows(header.times_ms)
        edges = np.concatenate([[0], np.cumsum(header.widths)])
        places = _wanted_places(header.refs, wanted)
        numbers = np.unique(np.searchsorted(edges, places, side="right"))
        pages = self._reader.pages(block.block_id, numbers.tolist()) if first < last else []
        by_number = dict(zip(numbers.tolist(), pages, strict=False))

        def read(places: Int64s, target: Float64s) -> bool:
            markers = False
            cuts = np.searchsorted(places, edges)
            for number, page in by_number.items():
                start, stop = int(cuts[number - 1]), int(cuts[number])
                if start < stop:
                    inside = places[start:stop] - edges[number - 1]
                    whole = len(inside) == header.widths[number - 1]
                    page.expand(first, last, None if whole else inside, target[:, start:stop])
                    markers |= page.has_markers
            return markers

        return _Part(header.refs, header.times_ms[first:last], (0, block.seniority), read)


def _clusters(parts: Sequence[_Part]) -> list[list[_Part]]:
    """In the order of time; parts that overlap together, and in the order in which they came."""
    clusters: list[list[_Part]] = []
    end_ms = 0
    for part in sorted(parts, key=lambda part: int(part.times_ms[0])):
        if clusters and part.times_ms[0] <= end_ms:
            clusters[-1].append(part)
            end_ms = max(end_ms, int(part.times_ms[-1]))
        else:
            clusters.append([part])
            end_ms = int(part.times_ms[-1])
    return [sorted(cluster, key=lambda part: part.seniority) for cluster in clusters]


def _concatenated(refs: Int64s, parts: Sequence[_Part]) -> Columns:
    values = np.empty((sum(len(part.times_ms) for part in parts), len(refs)), np.float64)
    has_markers = False
    places = _Places(refs)
    start = 0
    for part in parts:
        stop = start + len(part.times_ms)
        has_markers |= _fill(values[start:stop], part, *places.of(part.refs))
        start = stop
    return Columns(refs, np.concatenate([part.times_ms for part in parts]), values, has_markers)


def _merged(refs: Int64s, parts: Sequence[_Part]) -> _Part:
    """One part of all `refs`. Of two samples of a series at one time the first counts."""
    times_ms = np.unique(np.concatenate([part.times_ms for part in parts]))
    values = np.full((len(times_ms), len(refs)), HOLE_BITS, np.uint64).view(np.float64)
    places = _Places(refs)
    for part in parts:
        source, target = places.of(part.refs)
        cells = np.ix_(np.searchsorted(times_ms, part.times_ms), target)
        current = values[cells]
        there = np.empty((len(part.times_ms), len(source)), np.float64)
        part.read(source, there)
        values[cells] = np.where(is_hole(current), there, current)

    def read(places: Int64s, target: Float64s) -> bool:
        target[:] = values[:, places]
        return True

    return _Part(refs, times_ms, parts[0].seniority, read)


def _wanted_places(refs: Int64s, wanted: BitMap) -> Int64s:
    sought = np.array(wanted, np.int64) if len(wanted) else np.empty(0, np.int64)
    return np.flatnonzero(np.isin(refs, sought))


def _column_order(wanted: BitMap, parts: Sequence[_Part]) -> Int64s:
    """As in the largest part, so that its columns are copied in runs; then what only others have."""
    sought = np.array(wanted, np.int64)
    main = max(parts, key=lambda part: len(part.times_ms) * len(part.refs))
    ordered = main.refs[np.isin(main.refs, sought)]
    if len(ordered) == len(sought):
        return ordered
    there = np.unique(np.concatenate([part.refs[np.isin(part.refs, sought)] for part in parts]))
    return np.concatenate([ordered, np.setdiff1d(there, ordered)])


class _Places:
    """Which columns of a tile go where. Tiles of one group mostly have the same columns."""

    def __init__(self, refs: Int64s) -> None:
        self._order = np.argsort(refs)
        self._sorted = refs[self._order]
        self._last: tuple[Int64s, tuple[Int64s, Int64s]] | None = None

    def of(self, refs: Int64s) -> tuple[Int64s, Int64s]:
        """Places in `refs`, increasing, and the columns of the frame they go to."""
        if self._last is not None and np.array_equal(self._last[0], refs):
            return self._last[1]
        at = np.searchsorted(self._sorted, refs)
        at[at == len(self._sorted)] = 0
        source = np.flatnonzero(self._sorted[at] == refs)
        found = source, self._order[at[source]]
        self._last = refs, found
        return found


def _fill(target: Float64s, part: _Part, source: Int64s, columns: Int64s) -> bool:
    """Whether there are markers in `target` then."""
    width = target.shape[1]
    if len(columns) == width and np.array_equal(columns, np.arange(width)):
        return part.read(source, target) and bool(is_marker(target).any())
    values = np.empty((len(target), len(columns)), np.float64)
    has_markers = part.read(source, values)
    if len(columns) < width:
        target.view(np.uint64)[:] = HOLE_BITS
    target[:, columns] = values
    return len(columns) < width or (has_markers and bool(is_marker(values).any()))


def _without_empty(joined: Columns) -> Columns | None:
    holes = is_hole(joined.values)
    rows, columns = ~holes.all(axis=1), ~holes.all(axis=0)
    if rows.all() and columns.all():
        return joined
    if not rows.any():
        return None
    values = joined.values[np.ix_(rows, columns)]
    return Columns(joined.refs[columns], joined.times_ms[rows], values, bool(is_marker(values).any()))
