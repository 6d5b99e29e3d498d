"""The time-series database: the one door for samples, in and out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from pyroaring import BitMap

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher
from trackside.server.clock import Clock
from trackside.server.db.database import Database
from trackside.server.series import Float64s, Frame, Int64s, Series
from trackside.server.storage import Appended
from trackside.server.tsdb.config import StorageConfig
from trackside.server.tsdb.maintenance import Maintenance
from trackside.server.tsdb.reader import BlockGoneError, BlockReader, PageCache
from trackside.server.tsdb.recovery import opened
from trackside.server.tsdb.selection import Columns, Selection, Tile, partition
from trackside.server.tsdb.writer import JournalWriter

# Holds a day of six thousand series, at some three bytes a sample.
_CACHE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class StorageStats:
    """What the database holds and how it fares."""

    series: int
    head_samples: int
    head_bytes: int
    block_samples: int
    blocks: int
    block_bytes: int
    cache_bytes: int
    journal_waiting_rows: int
    """Appended, but not yet safe from a crash."""
    unprotected_rows: int
    """Given up by the journal while the disk was full."""
    appended_total: int
    out_of_order_total: int
    duplicate_total: int
    too_old_total: int
    errors_total: int
    last_error: str
    """"" unless something is wrong."""
    damaged: tuple[str, ...]
    """Blocks and rows that cannot be read."""


class Tsdb:
    """Implements `Appender` and `Querier`. Appends happen in memory and are journalled a moment later."""

    def __init__(
        self,
        db: Database,
        config: StorageConfig,
        now_ms: Callable[[], int] | Clock,
        cache_bytes: int = _CACHE_BYTES,
    ) -> None:
        self._config = config
        self._now_ms = now_ms if callable(now_ms) else now_ms.now_ms
        self._writer = JournalWriter(db)
        self._contents, last_block = opened(db, config, self._writer.add)
        self._cache = PageCache(cache_bytes)
        self._reader = BlockReader(db, self._cache, self._contents.has_block)
        self._maintenance = Maintenance(db, config, self._contents, self._writer)
        self._maintenance.reserve_ids(last_block)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="trackside-tsdb")
        self._totals = np.zeros(4, np.int64)
        self._closing = False

    # -- Appender --------------------------------------------------------------------------

    def refs(self, labels: Sequence[Labels]) -> Int64s:
        with self._contents.lock:
            return self._contents.registry.refs(labels)

    def append_row(self, group: str, time_ms: int, refs: Int64s, values: Float64s) -> Appended:
        if time_ms < self._oldest_ms():
            return self._counted(Appended(0, too_old=len(refs)))
        times_ms = np.array((time_ms,), np.int64)
        with self._contents.lock:
            appended = self._contents.head.append_row(group, times_ms, refs, values[np.newaxis])
        return self._counted(appended)

    def append_series(self, group: str, series: Sequence[Series]) -> Appended:
        with self._contents.lock:
            refs = self._contents.registry.refs([each.labels for each in series])
            appended = self._contents.head.append_series(group, series, refs, self._oldest_ms())
        return self._counted(appended)

    # -- Querier ---------------------------------------------------------------------------

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterator[Frame]:
        wanted = self._contents.index.match(matchers)
        # Taken now, not when the first frame is asked for: all frames show the same moment.
        return self._frames(partition(self._contents.tiles(start_ms, end_ms), wanted), start_ms, end_ms)

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        found = (self._contents.index.labels(ref) for ref in self._active(matchers, start_ms, end_ms))
        return sorted(labels for labels in found if labels is not None)

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        active = self._active(matchers, start_ms, end_ms)
        names = self._contents.index.names()
        return sorted(name for name, postings in names if any(refs.intersect(active) for refs in postings))

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        active = self._active(matchers, start_ms, end_ms)
        return sorted(value for value, refs in self._contents.index.values(name) if refs.intersect(active))

    # -- upkeep ----------------------------------------------------------------------------

    async def seal(self, now_ms: int) -> None:
        """Tick: move what is complete out of memory."""
        await asyncio.get_running_loop().run_in_executor(self._worker, self._maintenance.seal, now_ms)

    async def enforce_retention(self, now_ms: int) -> None:
        """Tick: drop what is too old or too much."""
        await asyncio.get_running_loop().run_in_executor(self._worker, self._maintenance.enforce_retention, now_ms)

    def flush(self) -> bool:
        """Wait until what was appended so far is safe from a crash. False: the disk refused it; `stats` says why."""
        return self._writer.flush()

    def close(self) -> None:
        """Finish what is under way and write what is queued. The database stays open: it is not ours."""
        self._closing = True
        self._worker.shutdown()
        self._writer.close()

    def stats(self) -> StorageStats:
        contents, writer = self._contents, self._writer
        with contents.lock:
            chunks, blocks, series = contents.head.chunks, contents.blocks.blocks, len(contents.index)
            damaged, errors, last_error = tuple(contents.damaged), contents.errors, contents.last_error
        added, out_of_order, duplicate, too_old = self._totals.tolist()
        return StorageStats(
            series=series,
            head_samples=sum(chunk.filled for chunk in chunks),
            head_bytes=sum(chunk.nbytes for chunk in chunks),
            block_samples=sum(block.samples for block in blocks),
            blocks=len(blocks),
            block_bytes=sum(block.nbytes for block in blocks),
            cache_bytes=self._cache.nbytes,
            journal_waiting_rows=writer.waiting_rows,
            unprotected_rows=writer.unprotected_rows,
            appended_total=added,
            out_of_order_total=out_of_order,
            duplicate_total=duplicate,
            too_old_total=too_old,
            errors_total=errors + writer.errors,
            last_error=writer.last_error or last_error,
            damaged=damaged,
        )

    def _oldest_ms(self) -> int:
        return self._now_ms() - self._config.retention

    def _counted(self, appended: Appended) -> Appended:
        self._totals += (appended.added, appended.out_of_order, appended.duplicate, appended.too_old)
        if self._contents.head.take_fresh() and not self._closing:
            self._worker.submit(self._maintenance.seal, None).add_done_callback(self._sealed)
        return appended

    def _sealed(self, future: Future[None]) -> None:
        error = future.exception()
        if error is not None:
            self._contents.count_error(error, "sealing")

    def _active(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> BitMap:
        wanted = self._contents.index.match(matchers)
        tiles = self._contents.tiles(start_ms, end_ms)
        return BitMap.union(BitMap(), *[tile.bitmap for tile in tiles]) & wanted

    def _frames(self, parts: list[tuple[BitMap, list[Tile]]], start_ms: int, end_ms: int) -> Iterator[Frame]:
        selection = Selection(self._reader, start_ms, end_ms, self._contents.count_damage)
        for refs, tiles in parts:
            columns = self._columns(selection, refs, tiles, start_ms, end_ms)
            if columns is not None:
                yield self._named(columns)

    def _columns(
        self, selection: Selection, refs: BitMap, tiles: list[Tile], start_ms: int, end_ms: int
    ) -> Columns | None:
        while True:
            try:
                return selection.columns(refs, tiles)
            except BlockGoneError:
                # Joined with another, or dropped: either way the tiles of this moment have what is left of it.
                tiles = self._contents.tiles(start_ms, end_ms)

    def _named(self, columns: Columns) -> Frame:
        found = [self._contents.index.labels(ref) for ref in columns.refs.tolist()]
        labels = tuple([each for each in found if each is not None])
        values = columns.values
        if len(labels) < len(found):
            # The retention dropped a series while this query was running.
            values = values[:, [each is not None for each in found]]
        return Frame(labels, columns.times_ms, values, columns.has_markers)
