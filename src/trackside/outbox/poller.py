"""Finds rows of the business that need work, and queues it, in one transaction with the mark that it did."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from trackside.outbox.dialects import dialect_of, transaction
from trackside.outbox.loop import Loop
from trackside.outbox.work_metrics import PollMetrics
from trackside.outbox.work_queue import Push, WorkQueue

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.sdk.monitor import Monitor


@dataclass(frozen=True, slots=True)
class Rows:
    """Where a poller's rows are, in SQL. Names are the application's own and go into the queries as they are."""

    table: str
    where: str
    """Which rows need work: "inbox_status = 'active'"."""
    mark: str
    """What makes that false: "inbox_status = 'pending'"."""
    columns: tuple[str, ...] = ()
    """Those that `make` gets besides the id."""
    id: str = "id"
    order: str = ""
    """Oldest first; the id, unless told."""
    since: str = ""
    """Milliseconds since 1970 at which a row came to need work, as an expression: for the lag."""
    batch: int = 100
    """At most so many in one round."""


class Poller:
    """Any number of them may run: on Postgres they pass by each other's rows. `start()` it, or `run()` it here."""

    def __init__(
        self,
        name: str,
        queue: WorkQueue,
        rows: Rows,
        make: Callable[[tuple[Any, ...]], Push],
        *,
        monitor: Monitor | None = None,
        every_s: float = 1.0,
    ) -> None:
        """`make` gets a row (its id, then its columns) and says what is to be queued for it; what it raises leaves the
        rows of this round as they were."""
        self.name = name
        self.queue = queue
        self.rows = rows
        self._make = make
        self._metrics = PollMetrics.of(monitor)
        self._beat = None if monitor is None else monitor.beat(name, every=every_s)
        self._loop = Loop(name, queue.connect, self._round, every_s)
        self.start, self.stop, self.run = self._loop.start, self._loop.stop, self._loop.run

    def poll(self) -> int:
        """One round, here and now. How many rows it took."""
        with closing(self.queue.connect()) as connection:
            return self._poll(connection)

    def lag_s(self, connection: Any) -> float | None:
        """How long the oldest row waits for its poller, by the table: also when there is no poller at all. 0: none
        waits. None: nothing says since when."""
        if not self.rows.since:
            return None
        query = f"select {{now}} - min({self.rows.since}) from {self.rows.table} where {self.rows.where}"
        (found,) = dialect_of(connection).rows(connection, query)[0]
        return 0.0 if found is None else max(0.0, float(found) / 1000)

    def waiting(self, connection: Any, limit: int = 10_000) -> int:
        """Rows that need work; not counted beyond `limit`."""
        rows = f"select 1 from {self.rows.table} where {self.rows.where} limit {int(limit)}"
        query = f"select count(*) from ({rows}) as waiting"
        return int(dialect_of(connection).rows(connection, query)[0][0])

    def _round(self, connection: Any) -> bool:
        try:
            taken = self._poll(connection)
        except Exception:
            self._metrics.polled(self.name, "error")
            raise
        return taken == self.rows.batch

    def _poll(self, connection: Any) -> int:
        began_s = perf_counter()
        rows = self.rows
        dialect = dialect_of(connection)
        with transaction(connection):
            query = (
                f"select {', '.join((rows.id, *rows.columns))} from {rows.table} where {rows.where} "
                f"order by {rows.order or rows.id} limit ? {dialect.skip_locked}"
            )
            found = dialect.rows(connection, query, (self.rows.batch,))
            for row in found:
                self.queue.push(connection, self._make(row))
            for ids in _portions([row[0] for row in found]):
                holes = ", ".join("?" * len(ids))
                dialect.run(connection, f"update {rows.table} set {rows.mark} where {rows.id} in ({holes})", ids)
        self._metrics.polled(self.name, "work" if found else "empty", len(found), perf_counter() - began_s)
        if self._beat is not None:
            self._beat()
        return len(found)


def _portions(ids: list[Any], size: int = 500) -> Iterable[list[Any]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
