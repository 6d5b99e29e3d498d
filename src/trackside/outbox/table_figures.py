"""What the tables of a queue and of its pollers say: it is true whether or not anybody works on them.

A queue that nobody empties has no rate, no duration and no error; how long its oldest work waits is the number that
tells.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from trackside.instruments.gauge import Gauge
from trackside.outbox.dialects import POSTGRES, dialect_of
from trackside.outbox.loop import Loop
from trackside.outbox.poller import Poller
from trackside.outbox.work_queue import WorkQueue
from trackside.sdk.families.maker import Maker
from trackside.sdk.watch.context import WatchContext

EVERY_S = 5.0
STATES = ("queued", "scheduled", "retrying", "running", "dead")

_LIVE = """
select case when status = 'queued' and attempts > 0 then 'retrying'
            when status = 'queued' and due_ms > {{now}} then 'scheduled' else status end as state,
    count(*), {{now}} - min(due_ms), max(attempts),
    {{now}} - min(case when attempts > 0 then created_ms else due_ms end)
from {table} where queue = ? and status in ('queued', 'running') group by 1
"""
_DEAD = "select count(*) from {table} where queue = ? and status = 'dead'"
# Snapshots older than a row hide nothing from those who claim, but keep what was done from being cleaned up.
_OLDEST_TRANSACTION = (
    "select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::float8 from pg_stat_activity "
    "where xact_start is not null and pid <> pg_backend_pid()"
)


class TableFigures:
    """One for a monitor."""

    def __init__(self, context: WatchContext) -> None:
        made = Maker.of(context)
        by = ("queue",)

        def gauge(name: str, help: str, labels: tuple[str, ...]) -> Gauge:
            # All workers of an application ask the same tables.
            return made.gauge(name, help, labels, mode="max")

        self._jobs = gauge("queue_jobs", "Work in the table, by its state.", ("queue", "state"))
        self._oldest = gauge("queue_oldest_seconds", "How long the oldest work that is due waits.", by)
        self._workers = gauge("queue_workers", "Workers of the queue that have said lately that they live.", by)
        self._pending = gauge("outbox_pending", "Work that is not done yet.", by)
        self._outbox_oldest = gauge(
            "outbox_oldest_seconds", "How long the oldest of it is there, with all its attempts.", by
        )
        self._attempts = gauge("outbox_attempts_max", "Most attempts of work that is not done yet.", by)
        self._blocked = gauge("outbox_blocked_by_xmin_seconds", "Age of the oldest transaction of the database.", by)
        self._lag = gauge("poller_lag_seconds", "How long the oldest row waits for its poller.", ("poller",))
        self._waiting = gauge("poller_waiting", "Rows that wait for their poller.", ("poller",))
        self._loops: dict[str, Loop] = {}
        self._lock = Lock()

    @classmethod
    def of(cls, context: WatchContext) -> TableFigures:
        return context.shared.the(cls, lambda: cls(context))

    def add_queue(self, queue: WorkQueue) -> None:
        self._add(f"queue-{queue.table}-{queue.name}", queue.connect, lambda connection: self._ask(queue, connection))

    def add_poller(self, poller: Poller) -> None:
        self._add(
            f"poller-{poller.name}", poller.queue.connect, lambda connection: self._ask_poller(poller, connection)
        )

    def _add(self, name: str, connect: Callable[[], Any], ask: Callable[[Any], None]) -> None:
        def round(connection: Any) -> bool:
            ask(connection)
            # psycopg has begun a transaction: an open one would be what others have to wait for.
            connection.rollback()
            return False

        with self._lock:
            if name not in self._loops:
                loop = self._loops[name] = Loop(f"figures-{name}", connect, round, EVERY_S)
                loop.start()

    def _ask(self, queue: WorkQueue, connection: Any) -> None:
        dialect = dialect_of(connection)
        name = queue.name
        live = dialect.rows(connection, _LIVE.format(table=queue.table), (name,))
        dead = dialect.rows(connection, _DEAD.format(table=queue.table), (name,))
        counts = {state: int(count) for state, count, *_ in live} | {"dead": int(dead[0][0])}
        for state in STATES:
            self._jobs.labels(name, state).set(counts.get(state, 0))
        oldest_ms = max(
            (float(oldest) for state, _, oldest, *_ in live if state in ("queued", "retrying")), default=0.0
        )
        self._oldest.labels(name).set(max(0.0, oldest_ms / 1000))
        self._outbox_oldest.labels(name).set(max(0.0, max((float(row[4]) for row in live), default=0.0) / 1000))
        self._pending.labels(name).set(sum(int(row[1]) for row in live))
        self._attempts.labels(name).set(max((int(row[3]) for row in live), default=0))
        self._workers.labels(name).set(queue.live_workers(connection))
        if dialect is POSTGRES:
            (blocked,) = dialect.rows(connection, _OLDEST_TRANSACTION)[0]
            self._blocked.labels(name).set(float(blocked))

    def _ask_poller(self, poller: Poller, connection: Any) -> None:
        lag_s = poller.lag_s(connection)
        if lag_s is not None:
            self._lag.labels(poller.name).set(lag_s)
        self._waiting.labels(poller.name).set(poller.waiting(connection))


def watch(thing: object, context: WatchContext) -> object | None:
    """The adapter for `monitor.watch(queue)` and `monitor.watch(poller)`."""
    if isinstance(thing, WorkQueue):
        TableFigures.of(context).add_queue(thing)
        return thing
    if isinstance(thing, Poller):
        TableFigures.of(context).add_poller(thing)
        return thing
    return None
