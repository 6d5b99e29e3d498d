"""Watches connections and pools of asyncpg, by the query loggers that its connections take."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from time import perf_counter
from typing import Any

import asyncpg

from trackside.sdk.watch.bounded import Bounded
from trackside.sdk.watch.context import WatchContext
from trackside.sdk.watch.database_metrics import POSTGRESQL, UNNAMED, Database, DatabaseMetrics, PoolState, ReadPool
from trackside.sdk.watch.subclassing import Derive, Subclasses

MAX_RESETS = 20
"""One for each kind of server, unless an application has its own."""


def watch(thing: Any, context: WatchContext) -> object:
    if context.requests is not None:
        watched = context.shared.the(WatchedAsyncpg, lambda: WatchedAsyncpg(context))
        if isinstance(thing, asyncpg.Pool):
            watched.measure_pool(thing)
        else:
            watched.measure(thing)
    return thing


class WatchedAsyncpg:
    def __init__(self, context: WatchContext) -> None:
        self._guard = context.guard
        self._metrics = DatabaseMetrics.of(context)
        self._resets = Bounded(MAX_RESETS)

    def measure(self, connection: Any) -> None:
        """Loggers are a set, so that a connection that a pool gives out again is measured once."""
        with self._guard.shielded("watch a connection"):
            connection.add_query_logger(self._log)
            # Public since 0.30.
            reset_query: Any = getattr(connection, "get_reset_query", None) or getattr(
                connection, "_get_reset_query", str
            )
            self._resets.of(reset_query())

    def measure_pool(self, pool: Any) -> None:
        name = _database_of(pool)
        with self._guard.shielded("watch a pool"):
            Subclasses(_measured_pool(self, self._metrics.database(name, POSTGRESQL))).put_on(pool)
        self._metrics.add_pool(name, _pool_reader(pool))

    def _log(self, record: Any) -> None:
        """Called by the event loop soon after the query has ended."""
        with self._guard.shielded("measure a query"):
            if record.query in self._resets:
                # The pool cleans a connection that was given back: no query of the application.
                return
            database = self._metrics.database(str(record.conn_params.database or UNNAMED), POSTGRESQL)
            if record.exception is None:
                database.done(record.query, record.elapsed)
            else:
                database.failed(record.query, record.exception, record.elapsed)


def _measured_pool(watched: WatchedAsyncpg, database: Database) -> Derive:
    def derive(cls: Any) -> Any:
        class MeasuredPool(cls):  # type: ignore[misc]
            __slots__ = ()

            def acquire(self, **named: Any) -> _Acquiring:
                return _Acquiring(super().acquire(**named), watched, database)

        return MeasuredPool

    return derive


class _Acquiring:
    """What `acquire` gives: awaited or entered, it takes a connection."""

    __slots__ = ("_database", "_inner", "_watched")

    def __init__(self, inner: Any, watched: WatchedAsyncpg, database: Database) -> None:
        self._inner = inner
        self._watched = watched
        self._database = database

    def __await__(self) -> Generator[Any, None, Any]:
        return self._timed(self._inner).__await__()

    async def __aenter__(self) -> Any:
        return await self._timed(self._inner.__aenter__())

    async def __aexit__(self, *error: Any) -> Any:
        return await self._inner.__aexit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def _timed(self, acquiring: Awaitable[Any]) -> Any:
        began_s = perf_counter()
        try:
            connection = await acquiring
        except BaseException as error:
            self._database.not_connected(error)
            raise
        finally:
            self._database.waited(perf_counter() - began_s)
        self._watched.measure(connection)
        return connection


def _database_of(pool: Any) -> str:
    """Only private attributes know it, in forms that have changed: without them the pool is unnamed."""
    try:
        named = getattr(pool, "_connect_kwargs", None) or {}
        arguments = [named.get("dsn"), *(getattr(pool, "_connect_args", None) or ())]
        dsn = next((text for text in arguments if isinstance(text, str)), "")
        path = dsn.partition("?")[0].partition("://")[2].partition("/")[2]
        return str(named.get("database") or path or UNNAMED)
    except Exception:  # noqa: BLE001 - see above
        return UNNAMED


def _pool_reader(pool: Any) -> ReadPool:
    # Pools take no weak references: this one is kept until it is closed.
    def read() -> PoolState | None:
        if pool.is_closing():
            return None
        size, idle = pool.get_size(), pool.get_idle_size()
        return PoolState(in_use=float(size - idle), idle=float(idle), maximum=float(pool.get_max_size()))

    return read
