"""Moves samples from the head into blocks, joins and drops blocks. Runs on a thread of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial

from pyroaring import BitMap

from trackside.exceptions import StorageError
from trackside.server.db.database import Database
from trackside.server.tsdb import blocks, journal
from trackside.server.tsdb.blocks import Block
from trackside.server.tsdb.chunk import Chunk
from trackside.server.tsdb.compaction import expired, joinable
from trackside.server.tsdb.config import StorageConfig
from trackside.server.tsdb.contents import Contents
from trackside.server.tsdb.reader import BlockGoneError, BlockReader, PageCache
from trackside.server.tsdb.sealing import Sealed, sealed
from trackside.server.tsdb.selection import Selection
from trackside.server.tsdb.writer import JournalWriter

_RECLAIM_PAGES = 4096
_SPANS_IN_RETENTION = 10


class Maintenance:
    """Every method reads and writes: call them on one thread, not on the event loop. What the disk refuses is counted
    and tried again at the next call."""

    def __init__(self, db: Database, config: StorageConfig, contents: Contents, writer: JournalWriter) -> None:
        self._db = db
        self._config = config
        self._contents = contents
        self._writer = writer
        # Joining reads each block once: it must not drive out of the cache what queries use.
        self._reader = BlockReader(db, PageCache(0), contents.has_block)
        self._next_block = max((block.block_id for block in contents.blocks.blocks), default=0) + 1
        self._unreadable: set[int] = set()

    def reserve_ids(self, last_block: int) -> None:
        self._next_block = max(self._next_block, last_block + 1)

    def seal(self, now_ms: int | None) -> None:
        """Seal the chunks whose time is over at `now_ms` (None: those that are closed already), then join blocks."""
        with self._contents.lock:
            due = self._contents.head.closed if now_ms is None else self._contents.head.close_before(now_ms)
        for chunk in due:
            self._trying("sealing", partial(self._seal_chunk, chunk))
        if now_ms is not None:
            self.join_blocks()

    def join_blocks(self) -> None:
        span_ms = max(self._config.block_duration, self._config.retention // _SPANS_IN_RETENTION)
        readable = [block for block in self._contents.blocks.blocks if block.block_id not in self._unreadable]
        for together in joinable(readable, span_ms):
            self._trying("joining blocks", partial(self._join, together))

    def enforce_retention(self, now_ms: int) -> None:
        self._trying("dropping old blocks", partial(self._drop_expired, now_ms))
        self._trying("dropping old series", partial(self._drop_unused, now_ms))
        self._trying("shrinking the file", self._shrink)

    def _trying(self, doing: str, work: Callable[[], None]) -> None:
        try:
            work()
        except (sqlite3.Error, OSError) as error:
            self._contents.count_error(error, doing)

    def _seal_chunk(self, chunk: Chunk) -> None:
        tile = chunk.tile()
        made = list(sealed(tile.times_ms, tile.refs, tile.values, self._contents.index.labels))
        # The journal must have all rows of the chunk before they are deleted: one that came after would bring its
        # samples back at the next start.
        if not self._writer.flush():
            raise OSError("the journal cannot be written")
        new = self._store(made, chunk.group_id, None, partial(journal.delete_chunk, chunk_id=chunk.chunk_id))
        self._contents.replace((), new, chunk)

    def _join(self, together: Sequence[Block]) -> None:
        refs = BitMap.union(BitMap(), *[block.bitmap for block in together])
        start_ms, end_ms = min(block.start_ms for block in together), max(block.end_ms for block in together)
        damage: list[StorageError] = []
        try:
            columns = Selection(self._reader, start_ms, end_ms, damage.append).columns(refs, together)
        except BlockGoneError:
            return
        if damage or columns is None:
            # Joined without what cannot be read, it would be lost for good.
            self._unreadable.update(block.block_id for block in together)
            for error in damage:
                self._contents.count_damage(error)
            return
        made = list(sealed(columns.times_ms, columns.refs, columns.values, self._contents.index.labels))
        old_ids = [block.block_id for block in together]
        seniority = min(block.seniority for block in together)
        new = self._store(made, together[0].group_id, seniority, partial(blocks.drop, block_ids=old_ids))
        self._contents.replace(together, new)
        self._delete_dropped()

    def _store(
        self,
        made: Sequence[Sealed],
        group_id: int,
        seniority: int | None,
        delete: Callable[[sqlite3.Connection], None],
    ) -> list[Block]:
        """Write blocks, and delete what they replace, in one transaction."""
        first = self._next_block
        self._next_block += len(made)
        new = [
            each.as_block(first + at, group_id, first + at if seniority is None else seniority)
            for at, each in enumerate(made)
        ]

        def work(connection: sqlite3.Connection) -> None:
            delete(connection)
            for block, each in zip(new, made, strict=True):
                blocks.insert(connection, block, each.lags_ms, each.encoded)

        self._db.write(work).result()
        return new

    def _drop_expired(self, now_ms: int) -> None:
        gone = expired(self._contents.blocks.blocks, now_ms - self._config.retention, self._config.retention_size)
        if gone:
            self._db.write(partial(blocks.drop, block_ids=[block.block_id for block in gone])).result()
            self._contents.replace(gone, ())
        self._delete_dropped()

    def _delete_dropped(self) -> None:
        """Not before nobody is sent there: a page that is missing would look like damage."""
        self._db.write(blocks.delete_dropped).result()

    def _drop_unused(self, now_ms: int) -> None:
        """Forget series and groups of which no sample is left."""
        contents = self._contents
        known = contents.blocks
        in_blocks = BitMap.union(BitMap(), *[block.bitmap for block in known.blocks])
        candidates = contents.index.everything - in_blocks
        with contents.lock:
            # Only this thread makes blocks, and it takes them from the head: nothing was missed in between.
            idle = [ref for ref in candidates if not contents.head.is_held(ref)]
            if idle:
                self._writer.forget(*contents.registry.retire(idle))
            groups = contents.head.forget_groups({block.group_id for block in known.blocks})
        if groups:
            self._db.write(partial(journal.delete_groups, group_ids=groups)).result()

    def _shrink(self) -> None:
        self._db.reclaim(_RECLAIM_PAGES).result()
