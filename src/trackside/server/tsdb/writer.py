"""Group commit: rows are queued by the event loop, and written by a thread a few times a second."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Condition, Thread

from trackside.server.db.database import Database
from trackside.server.tsdb import catalogue, journal
from trackside.server.tsdb.catalogue import PairRow, SeriesRow
from trackside.server.tsdb.journal import GroupRow, LayoutRow, SamplesRow

_DELAY_S = 0.2
_RETRY_S = 1.0
_LARGE_BYTES = 4 << 20
_KEPT_BYTES = 64 << 20

Row = PairRow | SeriesRow | GroupRow | LayoutRow | SamplesRow


@dataclass(slots=True, eq=False)
class _Batch:
    """Rows of one transaction. Deletions come first in it."""

    dead_pairs: Sequence[int] = ()
    dead_refs: Sequence[int] = ()
    pairs: list[PairRow] = field(default_factory=list)
    series: list[SeriesRow] = field(default_factory=list)
    groups: list[GroupRow] = field(default_factory=list)
    layouts: list[LayoutRow] = field(default_factory=list)
    samples: list[SamplesRow] = field(default_factory=list)
    nbytes: int = 0

    def add(self, row: Row) -> None:
        match row:
            case SamplesRow():
                self.samples.append(row)
                self.nbytes += row.nbytes
            case LayoutRow():
                self.layouts.append(row)
            case SeriesRow():
                self.series.append(row)
            case PairRow():
                self.pairs.append(row)
            case GroupRow():
                self.groups.append(row)

    def write(self, db: Database) -> None:
        layouts = [(row, journal.encode_refs(row.refs)) for row in self.layouts]
        samples = [(row, journal.encode_samples(row.times_ms, row.values)) for row in self.samples]

        def work(connection: sqlite3.Connection) -> None:
            catalogue.delete(connection, self.dead_pairs, self.dead_refs)
            catalogue.insert(connection, self.pairs, self.series)
            journal.insert(connection, self.groups, layouts, samples)

        db.write(work).result()


class JournalWriter:
    """`add` and `forget` never wait. What fails is kept and tried again, in the same order, until it succeeds; while
    it fails, the oldest samples are let go when too many wait (they are still in memory, only not safe from a crash).
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._changed = Condition()
        self._waiting: deque[_Batch] = deque((_Batch(),))
        self._queued = self._committed = self._attempts = 0
        self._waiting_bytes = 0
        self._flushing = 0
        self._closing = False
        self.errors = 0
        self.unprotected_rows = 0
        """Rows let go because the disk did not take them for too long."""
        self.last_error = ""
        self._thread = Thread(target=self._run, name="trackside-journal", daemon=True)
        self._thread.start()

    @property
    def waiting_rows(self) -> int:
        """The lag: rows that are in memory only."""
        return self._queued - self._committed

    def add(self, row: Row) -> None:
        with self._changed:
            batch = self._waiting[-1]
            batch.add(row)
            self._queued += 1
            if isinstance(row, SamplesRow):
                self._waiting_bytes += row.nbytes
            if self._queued - self._committed == 1 or self._waiting_bytes >= _LARGE_BYTES:
                self._changed.notify_all()

    def forget(self, pair_ids: Sequence[int], refs: Sequence[int]) -> None:
        """Delete from the catalogue; what is added later stays, even if it is the same."""
        with self._changed:
            self._waiting.append(_Batch(dead_pairs=pair_ids, dead_refs=refs))
            self._queued += 1
            self._changed.notify_all()

    def flush(self) -> bool:
        """Wait until what was added so far has been written, or failed to be: whether it is on disk."""
        with self._changed:
            target, attempts = self._queued, self._attempts
            self._flushing += 1
            self._changed.notify_all()
            # The attempt under way may have begun before the last row was added; the second one has it.
            self._changed.wait_for(
                lambda: self._committed >= target or self._attempts >= attempts + 2 or not self._thread.is_alive()
            )
            self._flushing -= 1
            return self._committed >= target

    def close(self) -> None:
        """Write what is queued, trying once."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        failed = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queued > self._committed or self._closing)
                if self._queued == self._committed:
                    self._attempts += 1
                    self._changed.notify_all()
                    return
                soon, delay_s = (self._is_awaited, _RETRY_S) if failed else (self._is_urgent, _DELAY_S)
                self._changed.wait_for(soon, delay_s)
                closing = self._closing
                taken, target = list(self._waiting), self._queued
                self._waiting = deque((_Batch(),))
                self._waiting_bytes = 0
            failed = not self._write(taken, target)
            if failed and closing:
                return

    def _is_awaited(self) -> bool:
        return self._flushing > 0 or self._closing

    def _is_urgent(self) -> bool:
        return self._is_awaited() or self._waiting_bytes >= _LARGE_BYTES

    def _write(self, taken: list[_Batch], target: int) -> bool:
        done = 0
        try:
            for batch in taken:
                batch.write(self._db)
                done += 1
        except (sqlite3.Error, OSError) as error:
            with self._changed:
                self.errors += 1
                self.last_error = f"the journal cannot be written: {error}"
                self._waiting.extendleft(reversed(taken[done:]))
                self._let_go()
        with self._changed:
            self._attempts += 1
            if done == len(taken):
                self._committed = target
                self.last_error = ""
            self._changed.notify_all()
        return done == len(taken)

    def _let_go(self) -> None:
        size = sum(batch.nbytes for batch in self._waiting)
        for batch in self._waiting:
            while batch.samples and size > _KEPT_BYTES:
                row = batch.samples.pop(0)
                batch.nbytes -= row.nbytes
                size -= row.nbytes
                self.unprotected_rows += 1
