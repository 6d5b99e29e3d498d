"""Watches redis-py's clients, synchronous and asynchronous, of one server or of a cluster."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from inspect import iscoroutinefunction
from threading import RLock
from time import perf_counter
from typing import Any, NamedTuple

from trackside.instruments.histogram import HistogramChild
from trackside.sdk.families.maker import Maker
from trackside.sdk.watch.bounded import Bounded
from trackside.sdk.watch.context import WatchContext
from trackside.sdk.watch.subclassing import Derive, Subclasses

BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""Seconds: a command takes some 50 µs on a near server."""
PIPELINE = "PIPELINE"
"""Commands sent together are answered together, and counted as one."""
MAX_COMMANDS = 300
"""Redis has about 250, its modules have more."""
MAX_ERROR_TYPES = 50
MAX_SERVERS = 50
_MAX_SPELLINGS = 1_000
_NO_LIMIT = 2**31
"""What older versions have where no limit was set."""


def watch(client: Any, context: WatchContext) -> object:
    if context.requests is not None:
        watched = context.shared.the(WatchedRedis, lambda: WatchedRedis(context))
        with context.guard.shielded("watch a Redis client"):
            watched.clients.put_on(client)
        watched.add_pool(client)
    return client


class WatchedRedis:
    def __init__(self, context: WatchContext) -> None:
        make = Maker.of(context)
        self._guard = context.guard
        self._seconds = make.histogram(
            "redis_command_duration_seconds", "Time of a command, failed ones too.", ("command",), BUCKETS
        )
        self._errors = make.counter(
            "redis_command_errors_total", "Commands that failed, by class.", ("command", "error_type")
        )
        self._gauges = {
            field: make.gauge(f"redis_connections_{field}", help, ("server",))
            for field, help in (
                ("in_use", "Connections that a pool has given out."),
                ("idle", "Connections that a pool holds ready."),
                ("max", "The most connections that a pool may open."),
            )
        }
        self._commands, self._error_types = Bounded(MAX_COMMANDS), Bounded(MAX_ERROR_TYPES)
        self._children: dict[object, HistogramChild] = {}
        self._servers = Bounded(MAX_SERVERS)
        self._pools: dict[str, weakref.WeakSet[Any]] = {}
        self._lock = RLock()
        self.clients = Subclasses(_measured_client(self))
        self.pipelines = Subclasses(_measured_pipeline(self))

    def done(self, command: object, took_s: float) -> None:
        try:
            child = self._children.get(command)
            if child is None:
                child = self._seconds.labels(self._label(command))
                if len(self._children) < _MAX_SPELLINGS:
                    self._children[command] = child
            child.observe(took_s)
        except Exception as error:  # noqa: BLE001 - the host must not notice us
            self._guard.failed("measure a Redis command", error)

    def failed(self, command: object, error: BaseException, took_s: float) -> None:
        """Being cancelled is no error of Redis. That a watched key was changed is one, and means: try again."""
        self.done(command, took_s)
        if isinstance(error, Exception):
            with self._guard.shielded("count a failed Redis command"):
                self._errors.labels(self._label(command), self._error_types.of(type(error).__name__)).inc()

    def add_pool(self, client: Any) -> None:
        with self._guard.shielded("watch a pool"):
            # A cluster has many, which come and go.
            pool = getattr(client, "connection_pool", None)
            state = None if pool is None else _pool_state(pool)
            if state is None:
                return
            server = self._servers.of(_server_of(pool))
            with self._lock:
                self._pools.setdefault(server, weakref.WeakSet()).add(pool)
            for field, gauge in self._gauges.items():
                if field == "max" and state.max >= _NO_LIMIT:
                    continue
                gauge.labels(server).set_function(partial(self._sum, server, field))

    def _label(self, command: object) -> str:
        """The first word, in capitals: "client list" is CLIENT."""
        text = command.decode("utf-8", "replace") if isinstance(command, bytes) else str(command)
        words = text[:100].split()
        return self._commands.of(words[0].upper() if words else "")

    def _sum(self, server: str, field: str) -> float:
        with self._lock:
            pools = list(self._pools[server])
        states = [state for pool in pools if (state := _pool_state(pool)) is not None]
        return float(sum(getattr(state, field) for state in states))


def _measured_client(watched: WatchedRedis) -> Derive:
    def derive(cls: Any) -> Any:
        class MeasuredClient(cls):  # type: ignore[misc]
            __slots__ = ()

            execute_command = _timed(cls, "execute_command", watched)

            def pipeline(self, *args: Any, **named: Any) -> Any:
                pipeline = super().pipeline(*args, **named)
                with watched._guard.shielded("watch a pipeline"):
                    watched.pipelines.put_on(pipeline)
                return pipeline

        return MeasuredClient

    return derive


def _measured_pipeline(watched: WatchedRedis) -> Derive:
    def derive(cls: Any) -> Any:
        class MeasuredPipeline(cls):  # type: ignore[misc]
            __slots__ = ()

            execute = _timed(cls, "execute", watched, PIPELINE)
            if hasattr(cls, "immediate_execute_command"):
                # What a transaction reads before it queues its commands.
                immediate_execute_command = _timed(cls, "immediate_execute_command", watched)

        return MeasuredPipeline

    return derive


def _timed(cls: Any, name: str, watched: WatchedRedis, command: str = "") -> Callable[..., Any]:
    """The method `name` of `cls`, timed. The command is its first argument when it is not given."""

    def timed(self: Any, *args: Any, **named: Any) -> Any:
        began_s = perf_counter()
        try:
            answer = getattr(cls, name)(self, *args, **named)
        except BaseException as error:
            watched.failed(command or (args[0] if args else ""), error, perf_counter() - began_s)
            raise
        watched.done(command or args[0], perf_counter() - began_s)
        return answer

    async def timed_async(self: Any, *args: Any, **named: Any) -> Any:
        began_s = perf_counter()
        try:
            answer = await getattr(cls, name)(self, *args, **named)
        except BaseException as error:
            watched.failed(command or (args[0] if args else ""), error, perf_counter() - began_s)
            raise
        watched.done(command or args[0], perf_counter() - began_s)
        return answer

    return timed_async if iscoroutinefunction(getattr(cls, name)) else timed


class _PoolState(NamedTuple):
    in_use: float
    idle: float
    max: float


def _pool_state(pool: Any) -> _PoolState | None:
    """Few versions have a public way to ask; of a pool that has none of these, nothing is shown."""
    in_use, idle = getattr(pool, "_in_use_connections", None), getattr(pool, "_available_connections", None)
    if in_use is not None and idle is not None:
        used, free = len(in_use), len(idle)
    elif hasattr(pool, "_connections") and hasattr(pool, "pool"):
        # That waits for a connection: a queue, which holds None where there is none yet.
        free = sum(connection is not None for connection in list(pool.pool.queue))
        used = len(pool._connections) - free
    else:
        return None
    return _PoolState(float(used), float(free), float(pool.max_connections))


def _server_of(pool: Any) -> str:
    about = getattr(pool, "connection_kwargs", {})
    host = about.get("path") or f"{about.get('host', 'localhost')}:{about.get('port', 6379)}"
    return f"{host}/{about.get('db') or 0}"
