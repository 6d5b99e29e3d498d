"""What is measured of databases, the same for every driver: queries, their errors, and the connections of pools."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Lock, RLock
from typing import NamedTuple

from trackside.instruments.counter import Counter
from trackside.instruments.gauge import Gauge
from trackside.instruments.histogram import Histogram, HistogramChild
from trackside.sdk.families.maker import Maker
from trackside.sdk.guard import Guard
from trackside.sdk.traces.finished import finished, traces_are_on
from trackside.sdk.watch.bounded import Bounded
from trackside.sdk.watch.context import WatchContext
from trackside.sdk.watch.slow_queries import SlowQueries
from trackside.sdk.watch.statements import query_type, without_literals

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: a look-up by key on the same machine takes a fraction of the first bucket of requests."""
CONNECT = "connect"
"""The type of what failed before there was a query."""
POSTGRESQL = "postgresql"
UNNAMED = "(default)"
"""The database of a pool that leaves the choice to the driver's environment."""
MAX_DATABASES = 100
MAX_ERROR_TYPES = 100
MAX_TRACED = 500
"""Characters of a statement in a span."""


class PoolState(NamedTuple):
    in_use: float
    idle: float
    maximum: float | None = None
    """None: there is none, or the pool does not say."""
    overflow: float | None = None
    """Connections beyond the size of the pool. None: it has no such notion."""


ReadPool = Callable[[], PoolState | None]
"""None: the pool is gone, and is not asked again."""


class InUse:
    """Connections given out by a pool that does not count them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.now = 0.0

    def add(self, amount: float) -> None:
        with self._lock:
            self.now = max(0.0, self.now + amount)


class DatabaseMetrics:
    """One for a monitor. Every family has the label `database`, also while there is only one: a label that appeared
    with the second engine would begin all series anew. Engines and pools of the same database are added up."""

    def __init__(self, context: WatchContext) -> None:
        make = Maker.of(context)
        self.guard: Guard = context.guard
        self.slow = SlowQueries(context.slow_query_s)
        self.error_types = Bounded(MAX_ERROR_TYPES)
        by_type = ("database", "query_type")
        self.durations: Histogram = make.histogram(
            "db_query_duration_seconds", "Time a query took, failed ones too.", by_type, buckets=BUCKETS
        )
        self.errors: Counter = make.counter(
            "db_query_errors_total", "Queries that failed, by class of the error.", (*by_type, "error_type")
        )
        self.waits: Histogram = make.histogram(
            "db_connection_wait_seconds",
            "Time until a pool gave a connection, opening it included.",
            ("database",),
            buckets=BUCKETS,
        )
        self._gauges: dict[str, Gauge] = {
            field: make.gauge(f"db_connections_{name}", help, ("database",))
            for field, name, help in (
                ("in_use", "in_use", "Connections that a pool has given out."),
                ("idle", "idle", "Connections that a pool holds ready."),
                (
                    "maximum",
                    "max",
                    "The most connections a pool may open; not shown for a pool without limit.",
                ),
                ("overflow", "overflow", "Connections open beyond the size of a pool."),
            )
        }
        self._names = Bounded(MAX_DATABASES)
        self._databases: dict[str, Database] = {}
        self._pools: dict[str, list[ReadPool]] = {}
        self._lock = RLock()

    @classmethod
    def of(cls, context: WatchContext) -> DatabaseMetrics:
        return context.shared.the(cls, lambda: cls(context))

    def database(self, name: str, system: str = "") -> Database:
        """`system` is what OpenTelemetry calls the kind of it: "postgresql"."""
        bounded = self._names.of(name)
        with self._lock:
            found = self._databases.get(bounded)
            if found is None:
                found = self._databases[bounded] = Database(self, bounded, system)
            return found

    def add_pool(self, name: str, read: ReadPool) -> None:
        """Ask `read` at each scrape."""
        database = self._names.of(name)
        state = read()
        with self._lock:
            self._pools.setdefault(database, []).append(read)
        for field, gauge in self._gauges.items():
            if state is not None and getattr(state, field) is not None:
                gauge.labels(database).set_function(partial(self._sum, database, field))

    def _sum(self, database: str, field: str) -> float:
        with self._lock:
            pools = list(self._pools[database])
        total = 0.0
        for read in pools:
            state = read()
            if state is None:
                self._forget(database, read)
            else:
                total += getattr(state, field) or 0.0
        return total

    def _forget(self, database: str, read: ReadPool) -> None:
        with self._lock:
            if read in self._pools[database]:
                self._pools[database].remove(read)


class Database:
    """The cells of one database. Its methods never raise."""

    __slots__ = ("_all", "_durations", "_system", "_waits", "name")

    def __init__(self, metrics: DatabaseMetrics, name: str, system: str = "") -> None:
        self.name = name
        self._system = system
        self._all = metrics
        self._durations: dict[str, HistogramChild] = {}
        self._waits: HistogramChild | None = None

    def done(self, statement: str, took_s: float, error: str = "") -> None:
        """A query that was answered."""
        try:
            kind = query_type(statement)
            child = self._durations.get(kind)
            if child is None:
                child = self._durations[kind] = self._all.durations.labels(self.name, kind)
            child.observe(took_s)
            if traces_are_on():
                self._span(kind, statement, took_s, error)
            if took_s >= self._all.slow.threshold_s:
                self._all.slow.log(self.name, kind, statement, took_s, self._system)
        except Exception as error:  # noqa: BLE001 - the host must not notice us
            self._all.guard.failed("measure a query", error)

    def _span(self, kind: str, statement: str, took_s: float, error: str) -> None:
        text = without_literals(statement, MAX_TRACED, self._system)
        about = {
            "db.system.name": self._system,
            "db.namespace": self.name,
            "db.operation.name": kind.upper(),
            "db.query.text": text,
        }
        finished("db", f"{kind.upper()} {self.name}", took_s, about, error)

    def failed(self, statement: str, error: BaseException, took_s: float | None) -> None:
        """A query that was not; None when its time is counted already. Being cancelled is no error of the database."""
        if took_s is not None:
            self.done(statement, took_s, type(error).__name__)
        self._count(query_type(statement) if statement else "other", error)

    def not_connected(self, error: BaseException) -> None:
        self._count(CONNECT, error)

    def waited(self, took_s: float) -> None:
        """For a connection of a pool."""
        try:
            if self._waits is None:
                self._waits = self._all.waits.labels(self.name)
            self._waits.observe(took_s)
        except Exception as error:  # noqa: BLE001 - the host must not notice us
            self._all.guard.failed("measure a pool", error)

    def _count(self, kind: str, error: BaseException) -> None:
        try:
            if isinstance(error, Exception):
                self._all.errors.labels(self.name, kind, self._all.error_types.of(type(error).__name__)).inc()
        except Exception as ours:  # noqa: BLE001 - the host must not notice us
            self._all.guard.failed("count a failed query", ours)
