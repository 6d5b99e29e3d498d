"""Watches SQLAlchemy's engines, asynchronous ones too, by its events: queries, errors, and the pool of connections."""

from __future__ import annotations

import weakref
from pathlib import PurePath
from threading import Lock
from time import perf_counter
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeout

from trackside.sdk.watch.context import WatchContext
from trackside.sdk.watch.database_metrics import Database, DatabaseMetrics, InUse, PoolState, ReadPool
from trackside.sdk.watch.subclassing import Derive, Subclasses

SYSTEMS = {"mssql": "microsoft.sql_server", "oracle": "oracle.db"}
"""What OpenTelemetry calls them, where that is not the name of the dialect."""


class WatchedEngines:
    """By identity, since an asynchronous engine is a face of a synchronous one, which may be watched itself."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._engines: weakref.WeakSet[Any] = weakref.WeakSet()

    def add(self, engine: Any) -> bool:
        """False: it was there."""
        with self._lock:
            known = engine in self._engines
            self._engines.add(engine)
            return not known


def watch(thing: Any, context: WatchContext) -> object:
    engine = _real_engine(thing)
    if context.requests is not None and context.shared.the(WatchedEngines, WatchedEngines).add(engine):
        metrics = DatabaseMetrics.of(context)
        name = database_name(engine)
        database = metrics.database(name, SYSTEMS.get(engine.dialect.name, engine.dialect.name))
        _listen_to_queries(engine, database)
        with context.guard.shielded("watch a pool"):
            Subclasses(_timed_pool(database)).put_on(engine.pool)
        metrics.add_pool(name, _pool_reader(engine))
    return thing


def database_name(engine: Any) -> str:
    """Of its URL: the database, of SQLite the file without its folder, else the kind of database."""
    name = str(engine.url.database or "")
    return PurePath(name).name or str(engine.dialect.name)


def _real_engine(thing: Any) -> Any:
    engine = getattr(thing, "sync_engine", thing)
    # `execution_options()` gives a face of an engine, which hears the events of the engine as well.
    while isinstance(proxied := getattr(engine, "_proxied", None), Engine):
        engine = proxied
    return engine


def _listen_to_queries(engine: Any, database: Database) -> None:
    def began(conn: Any, cursor: Any, statement: str, parameters: Any, execution: Any, executemany: bool) -> None:
        # Execution contexts take attributes; there is none for statements that the dialect sends for itself.
        if execution is not None:
            execution.trackside_began_s = perf_counter()

    def ended(conn: Any, cursor: Any, statement: str, parameters: Any, execution: Any, executemany: bool) -> None:
        began_s = getattr(execution, "trackside_began_s", None)
        if began_s is not None:
            execution.trackside_began_s = None
            database.done(statement, perf_counter() - began_s)

    def failed(failure: Any) -> None:
        if getattr(failure, "is_pre_ping", False):
            # A connection that died while it was idle: the pool opens another, and no query fails.
            return
        error = failure.sqlalchemy_exception or failure.original_exception
        if failure.connection is None:
            database.not_connected(error)
            return
        execution = failure.execution_context
        began_s = getattr(execution, "trackside_began_s", None)
        if began_s is not None:
            execution.trackside_began_s = None
        took_s = None if began_s is None else perf_counter() - began_s
        database.failed(failure.statement or "", error, took_s)

    event.listen(engine, "before_cursor_execute", began)
    event.listen(engine, "after_cursor_execute", ended)
    event.listen(engine, "handle_error", failed)


def _timed_pool(database: Database) -> Derive:
    """No event says that somebody begins to wait for a connection, so the pool's public method is timed. A pool that is
    disposed of, as after a fork, makes another of its own class."""

    def derive(cls: Any) -> Any:
        class TimedPool(cls):  # type: ignore[misc]
            __slots__ = ()

            def connect(self) -> Any:
                began_s = perf_counter()
                try:
                    return super().connect()
                except PoolTimeout as error:
                    # The driver's own errors come by `handle_error`.
                    database.not_connected(error)
                    raise
                finally:
                    database.waited(perf_counter() - began_s)

        return TimedPool

    return derive


def _pool_reader(engine: Any) -> ReadPool:
    reference = weakref.ref(engine)
    count = None if hasattr(engine.pool, "checkedout") else _counted(engine)

    def read() -> PoolState | None:
        alive = reference()
        if alive is None:
            return None
        return _state(alive.pool) if count is None else PoolState(count.now, 0.0)

    return read


def _state(pool: Any) -> PoolState:
    size, overflow = pool.size(), pool.overflow()
    # Not public, and there is no other way to know: without it, only the size is certain.
    extra = getattr(pool, "_max_overflow", 0)
    return PoolState(
        in_use=float(pool.checkedout()),
        idle=float(pool.checkedin()),
        maximum=None if extra < 0 or size <= 0 else float(size + extra),
        overflow=float(max(0, overflow)),
    )


def _counted(engine: Any) -> InUse:
    count = InUse()
    event.listen(engine, "checkout", lambda connection, record, proxy: count.add(1))
    event.listen(engine, "checkin", lambda connection, record: count.add(-1))
    event.listen(engine, "detach", lambda connection, record: count.add(-1))
    return count
