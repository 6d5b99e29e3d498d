"""Watches PyMongo's clients, synchronous and asynchronous, by the events that PyMongo gives of every command."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import partial
from inspect import iscoroutinefunction
from threading import RLock
from typing import Any, NamedTuple

from pymongo.monitoring import CommandListener

from trackside.sdk.families.maker import Maker
from trackside.sdk.watch.bounded import Bounded
from trackside.sdk.watch.context import WatchContext
from trackside.sdk.watch.subclassing import Derive, Subclasses

BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0)
"""Seconds: a look-up by key takes a fraction of a millisecond on a near server, an aggregation seconds."""
CONNECT = "connect"
"""The command of what failed before there was one: no server was there in time. PyMongo has no event for that."""
MAX_COMMANDS = 300
MAX_ERROR_TYPES = 100
MAX_SERVERS = 50
_WRITE_ERRORS = {11_000: "DuplicateKey", 121: "DocumentValidationFailure"}
"""What single documents of a command are refused for comes without a name."""


def watch(client: Any, context: WatchContext) -> object:
    if context.requests is not None:
        watched = context.shared.the(WatchedMongo, lambda: WatchedMongo(context))
        with context.guard.shielded("watch a MongoDB client"):
            watched.add(client)
    return client


class WatchedMongo:
    """One for a monitor."""

    def __init__(self, context: WatchContext) -> None:
        make = Maker.of(context)
        self.guard = context.guard
        self._seconds = make.histogram(
            "mongo_command_duration_seconds", "Time of a command, failed ones too.", ("command",), BUCKETS
        )
        self._errors = make.counter(
            "mongo_command_errors_total",
            "Commands that failed, or of whose documents some did.",
            ("command", "error_type"),
        )
        self._gauges = {
            field: make.gauge(f"mongo_connections_{field}", help, ("server",))
            for field, help in (
                ("in_use", "Connections that a pool has given out."),
                ("idle", "Connections that a pool holds ready."),
                ("max", "The most connections that a pool may open; not shown for a pool without limit."),
            )
        }
        self._commands, self._error_types = Bounded(MAX_COMMANDS), Bounded(MAX_ERROR_TYPES)
        self._servers: dict[tuple[Any, ...], str] = {}
        self._listener = _Listener(self)
        self._topologies = Subclasses(_measured_topology(self))
        # Not a set: clients are hashed by their servers, which are not known before they are connected.
        self._clients: list[weakref.ref[Any]] = []
        self._lock = RLock()

    def add(self, client: Any) -> None:
        """
        Raises:
            AttributeError: not of a PyMongo that we know.
        """
        listeners = client._event_listeners
        # PyMongo takes listeners when a client is made only. Each command asks anew whether there are any.
        known: list[Any] = listeners._EventListeners__command_listeners
        if self._listener in known:
            return
        known.append(self._listener)
        listeners._EventListeners__enabled_for_commands = True
        options = getattr(client, "_resolve_srv_info", {}).get("keyword_opts")
        if options is not None:
            # Where a name in the DNS stands for the servers, and is not looked up yet, the client is set up again then.
            options["event_listeners"] = [*(options.get("event_listeners") or ()), self._listener]
        if client._topology is not None:
            self._topologies.put_on(client._topology)
        with self._lock:
            self._clients = [one for one in self._clients if one() is not None] + [weakref.ref(client)]

    def done(self, event: Any) -> None:
        command = self._commands.of(str(event.command_name))
        self._seconds.labels(command).observe(event.duration_micros / 1e6)
        for kind in sorted(set(_refusals(event.reply))):
            self._errors.labels(command, self._error_types.of(kind)).inc()
        self._know(event.connection_id)

    def failed(self, event: Any) -> None:
        command = self._commands.of(str(event.command_name))
        self._seconds.labels(command).observe(event.duration_micros / 1e6)
        failure = event.failure
        # The server has names for what it refuses, and codes for all; without either the connection broke.
        kind = failure.get("codeName") or failure.get("errtype") or _WRITE_ERRORS.get(failure.get("code"), "Error")
        self._errors.labels(command, self._error_types.of(str(kind))).inc()

    def not_connected(self, error: BaseException) -> None:
        """Being cancelled is no error of MongoDB."""
        if isinstance(error, Exception):
            with self.guard.shielded("count a failed MongoDB command"):
                self._errors.labels(CONNECT, self._error_types.of(type(error).__name__)).inc()

    def _know(self, address: tuple[Any, ...]) -> None:
        if address in self._servers or len(self._servers) >= MAX_SERVERS:
            return
        host, port = address
        name = self._servers[address] = str(host) if port is None else f"{host}:{port}"
        for field, gauge in self._gauges.items():
            if field != "max" or any(state.max is not None for state in self._states(address)):
                gauge.labels(name).set_function(partial(self._sum, address, field))

    def _sum(self, address: tuple[Any, ...], field: str) -> float:
        return float(sum(getattr(state, field) or 0 for state in self._states(address)))

    def _states(self, address: tuple[Any, ...]) -> Iterator[_PoolState]:
        with self._lock:
            clients = [client for known in self._clients if (client := known()) is not None]
        for client in clients:
            topology = client._topology
            server = None if topology is None else topology._servers.get(address)
            if server is not None:
                yield _pool_state(server.pool)


def _measured_topology(watched: WatchedMongo) -> Derive:
    def derive(cls: Any) -> Any:
        class MeasuredTopology(cls):  # type: ignore[misc]
            __slots__ = ()

            select_servers = (
                _counted_async(cls, watched) if iscoroutinefunction(cls.select_servers) else _counted(cls, watched)
            )

        return MeasuredTopology

    return derive


def _counted(cls: Any, watched: WatchedMongo) -> Callable[..., Any]:
    def select_servers(self: Any, *args: Any, **named: Any) -> Any:
        try:
            return cls.select_servers(self, *args, **named)
        except BaseException as error:
            watched.not_connected(error)
            raise

    return select_servers


def _counted_async(cls: Any, watched: WatchedMongo) -> Callable[..., Any]:
    async def select_servers(self: Any, *args: Any, **named: Any) -> Any:
        try:
            return await cls.select_servers(self, *args, **named)
        except BaseException as error:
            watched.not_connected(error)
            raise

    return select_servers


class _Listener(CommandListener):
    """Called by PyMongo in the midst of the application's calls, with its errors printed to the standard error."""

    def __init__(self, watched: WatchedMongo) -> None:
        self._watched = watched

    def started(self, event: Any) -> None:
        pass

    def succeeded(self, event: Any) -> None:
        try:
            self._watched.done(event)
        except Exception as error:  # noqa: BLE001 - the host must not notice us
            self._watched.guard.failed("measure a MongoDB command", error)

    def failed(self, event: Any) -> None:
        try:
            self._watched.failed(event)
        except Exception as error:  # noqa: BLE001 - the host must not notice us
            self._watched.guard.failed("measure a MongoDB command", error)


class _PoolState(NamedTuple):
    in_use: int
    idle: int
    max: int | None


def _pool_state(pool: Any) -> _PoolState:
    # Called otherwise before 4.4.
    idle = pool.conns if hasattr(pool, "conns") else pool.sockets
    return _PoolState(pool.active_sockets, len(idle), pool.opts.max_pool_size or None)


def _refusals(reply: Any) -> Iterator[str]:
    """What a command that was carried out could not do all the same."""
    for error in reply.get("writeErrors") or ():
        yield str(error.get("codeName") or _WRITE_ERRORS.get(error.get("code"), "WriteError"))
    concern = reply.get("writeConcernError")
    if concern:
        yield str(concern.get("codeName") or "WriteConcernError")
