"""Watches connections and pools of psycopg 3, by the class of the cursors that a connection makes."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from inspect import iscoroutinefunction
from time import perf_counter
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from trackside.sdk.watch.context import WatchContext
from trackside.sdk.watch.database_metrics import (
    POSTGRESQL,
    UNNAMED,
    Database,
    DatabaseMetrics,
    InUse,
    PoolState,
    ReadPool,
)
from trackside.sdk.watch.subclassing import Derive, Subclasses


def watch(thing: Any, context: WatchContext) -> object:
    if context.requests is not None:
        watched = context.shared.the(WatchedPsycopg, lambda: WatchedPsycopg(context))
        if isinstance(thing, psycopg.Connection | psycopg.AsyncConnection):
            watched.measure(thing)
        else:
            watched.measure_pool(thing)
    return thing


class WatchedPsycopg:
    """Derives from each class of cursors once for a database, not once for each connection."""

    def __init__(self, context: WatchContext) -> None:
        self._guard = context.guard
        self._metrics = DatabaseMetrics.of(context)
        self._cursors: dict[str, Subclasses] = {}

    def measure(self, connection: Any) -> None:
        """Connections of a pool come here each time they are given out."""
        with self._guard.shielded("watch a connection"):
            for attribute in ("cursor_factory", "server_cursor_factory"):
                factory = getattr(connection, attribute, None)
                # Anything but a class is left alone: the queries of what it makes are not measured.
                if isinstance(factory, type) and not getattr(factory, "_trackside", False):
                    derived = self._of(connection.info.dbname).derived(factory)
                    setattr(connection, attribute, derived)

    def measure_pool(self, pool: Any) -> None:
        name = _database_of(pool)
        database = self._metrics.database(name, POSTGRESQL)
        derive = _async_pool if iscoroutinefunction(type(pool).getconn) else _sync_pool
        # Its own size counts connections that are being opened too.
        in_use = InUse()
        with self._guard.shielded("watch a pool"):
            Subclasses(derive(self, database, in_use)).put_on(pool)
            self._metrics.add_pool(name, _pool_reader(pool, in_use))

    def _of(self, name: str) -> Subclasses:
        database = self._metrics.database(name, POSTGRESQL)
        return self._cursors.setdefault(database.name, Subclasses(_cursors_of(database)))


def _cursors_of(database: Database) -> Derive:
    def derive(factory: Any) -> Any:
        asynchronous = issubclass(factory, psycopg.AsyncCursor)
        return _async_cursor(factory, database) if asynchronous else _sync_cursor(factory, database)

    return derive


def _sync_cursor(factory: Any, database: Database) -> Any:
    class MeasuredCursor(factory):  # type: ignore[misc]
        __slots__ = ()
        _trackside = True

        def execute(self, query: Any, *args: Any, **named: Any) -> Any:
            with _Query(database, query, self):
                return super().execute(query, *args, **named)

        def executemany(self, query: Any, *args: Any, **named: Any) -> Any:
            with _Query(database, query, self):
                return super().executemany(query, *args, **named)

        def stream(self, query: Any, *args: Any, **named: Any) -> Iterator[Any]:
            with _Query(database, query, self):
                yield from super().stream(query, *args, **named)

        @contextmanager
        def copy(self, statement: Any, *args: Any, **named: Any) -> Iterator[Any]:
            with _Query(database, statement, self), super().copy(statement, *args, **named) as copy:
                yield copy

    return MeasuredCursor


def _async_cursor(factory: Any, database: Database) -> Any:
    class MeasuredCursor(factory):  # type: ignore[misc]
        __slots__ = ()
        _trackside = True

        async def execute(self, query: Any, *args: Any, **named: Any) -> Any:
            with _Query(database, query, self):
                return await super().execute(query, *args, **named)

        async def executemany(self, query: Any, *args: Any, **named: Any) -> Any:
            with _Query(database, query, self):
                return await super().executemany(query, *args, **named)

        async def stream(self, query: Any, *args: Any, **named: Any) -> AsyncIterator[Any]:
            with _Query(database, query, self):
                async for row in super().stream(query, *args, **named):
                    yield row

        @asynccontextmanager
        async def copy(self, statement: Any, *args: Any, **named: Any) -> AsyncIterator[Any]:
            with _Query(database, statement, self):
                async with super().copy(statement, *args, **named) as copy:
                    yield copy

    return MeasuredCursor


class _Query:
    """One query. What the application raises while it reads or writes rows is no error of the database."""

    __slots__ = ("_began_s", "_cursor", "_database", "_query")

    def __init__(self, database: Database, query: Any, cursor: Any) -> None:
        self._database = database
        self._query = query
        self._cursor = cursor

    def __enter__(self) -> None:
        self._began_s = perf_counter()

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> None:
        took_s = perf_counter() - self._began_s
        if isinstance(error, psycopg.Error):
            self._database.failed(_text(self._query, self._cursor), error, took_s)
        else:
            self._database.done(_text(self._query, self._cursor), took_s)


def _text(query: Any, cursor: Any) -> str:
    if isinstance(query, str):
        return query
    try:
        if isinstance(query, bytes):
            return query.decode("utf-8", "replace")
        if hasattr(query, "as_string"):
            return str(query.as_string(cursor))
        # A template string.
        return "?".join(query.strings)
    except Exception:  # noqa: BLE001 - composed of what cannot be written without a connection
        return ""


def _sync_pool(watched: WatchedPsycopg, database: Database, in_use: InUse) -> Derive:
    def derive(cls: Any) -> Any:
        class MeasuredPool(cls):  # type: ignore[misc]
            __slots__ = ()

            def getconn(self, *args: Any, **named: Any) -> Any:
                began_s = perf_counter()
                try:
                    connection = super().getconn(*args, **named)
                except psycopg.Error as error:
                    database.not_connected(error)
                    raise
                finally:
                    database.waited(perf_counter() - began_s)
                in_use.add(1)
                watched.measure(connection)
                return connection

            def putconn(self, connection: Any) -> None:
                in_use.add(-1)
                super().putconn(connection)

        return MeasuredPool

    return derive


def _async_pool(watched: WatchedPsycopg, database: Database, in_use: InUse) -> Derive:
    def derive(cls: Any) -> Any:
        class MeasuredPool(cls):  # type: ignore[misc]
            __slots__ = ()

            async def getconn(self, *args: Any, **named: Any) -> Any:
                began_s = perf_counter()
                try:
                    connection = await super().getconn(*args, **named)
                except psycopg.Error as error:
                    database.not_connected(error)
                    raise
                finally:
                    database.waited(perf_counter() - began_s)
                in_use.add(1)
                watched.measure(connection)
                return connection

            async def putconn(self, connection: Any) -> None:
                in_use.add(-1)
                await super().putconn(connection)

        return MeasuredPool

    return derive


def _database_of(pool: Any) -> str:
    """As far as it stands in the arguments of the pool. They may be functions, which are not for us to call."""
    try:
        named = pool.kwargs if isinstance(pool.kwargs, dict) else {}
        text = pool.conninfo if isinstance(pool.conninfo, str) else ""
        return str(named.get("dbname") or conninfo_to_dict(text).get("dbname") or UNNAMED)
    except Exception:  # noqa: BLE001 - a text that is none: the pool itself complains about it
        return UNNAMED


def _pool_reader(pool: Any, in_use: InUse) -> ReadPool:
    reference = weakref.ref(pool)

    def read() -> PoolState | None:
        alive = reference()
        if alive is None:
            return None
        stats = alive.get_stats()
        return PoolState(in_use.now, float(stats.get("pool_available", 0)), stats.get("pool_max") or None)

    return read
