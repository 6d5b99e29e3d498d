"""The status page as it is now: states looked up, minutes counted, incidents kept, one view of it all."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from trackside.exceptions import TracksideError
from trackside.model.alerts import Alert
from trackside.model.durations import format_duration
from trackside.server.backend import MetricsBackend
from trackside.server.clock import Clock
from trackside.server.db.database import Database
from trackside.server.status import store
from trackside.server.status.config import ComponentConfig, StatusPageConfig
from trackside.server.status.incidents import Alerts, StatusError, Written, due, new_incident, new_update
from trackside.server.status.model import MINUTE_MS, Incident, Minutes, State, Update
from trackside.server.status.spells import Ended
from trackside.server.status.states import (
    minutes_by_day,
    open_minutes,
    query_of,
    states_of,
    troubled,
    with_maintenance,
)
from trackside.server.status.viewing import view_of

T = TypeVar("T")
TICK_MS = 15_000
# Minutes that are asked for at once when the server comes back; what it slept through beyond them stays unknown.
MOST_MINUTES = 24 * 60
LEAST_WINDOW_MS = 90_000
TIMEOUT_MS = 10_000
_log = logging.getLogger("trackside.server.status")


@dataclass(frozen=True, slots=True)
class StatusPorts:
    db: Database
    backend: MetricsBackend
    clock: Clock
    firing: Callable[[], Mapping[str, int]]
    """Name of each alert that fires, and since when."""
    doubtful: Callable[[], bool]
    """Whether it is rather this machine that has lost its network: then nothing is called down."""


class StatusBook:
    """Lives on the event loop."""

    def __init__(self, ports: StatusPorts) -> None:
        self._ports = ports
        ports.db.create(store.SCHEMA)
        self.config = StatusPageConfig()
        self._window = format_duration(LEAST_WINDOW_MS)
        self._kept = store.Kept({}, {}, ())
        self._ended = Ended(ports.clock.now_ms())
        self._tick, self._loading = asyncio.Lock(), asyncio.Lock()
        self.view = view_of(self.config, self._kept, ports.clock.now_ms(), has_logo=False)
        self.version = 0
        """Counts up whenever `view` is another one."""
        self.has_logo = False
        self.failures_total = 0

    async def apply(self, config: StatusPageConfig, interval_ms: int, *, has_logo: bool) -> None:
        """`interval_ms`: how often the server scrapes itself."""
        self.config, self.has_logo = config, has_logo
        self._window = format_duration(max(LEAST_WINDOW_MS, 3 * interval_ms))
        await self._load(self._ports.clock.now_ms())

    def hear(self, alerts: Sequence[Alert]) -> None:
        """What rules say of their alerts, at each evaluation."""
        if self.config.incidents:
            self._ended.hear(alerts, {rule.alert for rule in self.config.incidents})

    async def tick(self, now_ms: int) -> None:
        if not self.config.components and not self._kept.incidents and not self.config.incidents:
            return
        async with self._tick:
            await self._incidents_due(now_ms)
            counted = [await self._count(component, now_ms) for component in self.config.components]
            # The page of a minute is told apart by its time: whoever looks sees that somebody still counts.
            if any(counted) or now_ms // MINUTE_MS != self.view.as_of_ms // MINUTE_MS:
                await self._load(now_ms)

    async def write(self, written: Written, author: str) -> Incident:
        """
        Raises:
            StatusError: it cannot stand on the page.
        """
        now_ms = self._ports.clock.now_ms()
        names = [component.name for component in self.config.components]
        incident = new_incident(written, names, author, now_ms)
        kept = await self._write(partial(_opened, incident, store.Audit(now_ms, author, "opened", 0)), durable=True)
        await self._load(now_ms)
        return kept

    async def update(self, id: int, state: str, text: str, author: str) -> None:
        """
        Raises:
            StatusError: there is no such incident, or that cannot be said of it.
        """
        now_ms, incident = self._ports.clock.now_ms(), self.incident(id)
        update = new_update(incident, state, text, author, now_ms)
        await self._write(
            partial(_updated, incident, update, store.Audit(now_ms, author, f"said {state}", id)), durable=True
        )
        await self._load(now_ms)

    async def delete(self, id: int, author: str) -> None:
        """
        Raises:
            StatusError: there is no such incident.
        """
        now_ms, incident = self._ports.clock.now_ms(), self.incident(id)
        await self._write(partial(_deleted, id, store.Audit(now_ms, author, f"deleted {incident.title[:80]!r}", id)))
        await self._load(now_ms)

    def incident(self, id: int) -> Incident:
        """
        Raises:
            StatusError: there is none with this number.
        """
        found = next((one for one in self._kept.incidents if one.id == id), None)
        if found is None:
            raise StatusError("there is no such incident (any more)")
        return found

    def incidents(self) -> Sequence[Incident]:
        """Latest first."""
        return self._kept.incidents

    def audits(self, count: int) -> Sequence[store.Audit]:
        """Who wrote what, latest first. Reads the database: not for the event loop."""
        return self._ports.db.read(partial(store.audits, count=count))

    # -- Looking up ------------------------------------------------------------------------------

    async def _count(self, component: ComponentConfig, now_ms: int) -> bool:
        """Its state now, and that of each minute since the last time; whether there was anything to note."""
        before, counted_ms = self._kept.states.get(component.name, (State.UNKNOWN, None))
        # A clock that was set back counts nothing twice.
        minutes = open_minutes(counted_ms, now_ms, MOST_MINUTES)
        try:
            states = await self._states(component, minutes) if minutes else []
            (latest,) = await self._states(component, [now_ms])
        except TracksideError as error:
            # Not known, and asked for again: an expression that is too much now may not be so in a minute.
            self.failures_total += 1
            _log.warning("the state of a component could not be looked up: %s", error)
            states, latest, minutes = [], State.UNKNOWN, []
        added = minutes_by_day(states, minutes) if minutes else {}
        until_ms = minutes[-1] if minutes else (counted_ms or now_ms // MINUTE_MS * MINUTE_MS)
        if (latest, until_ms) == (before, counted_ms):
            return False
        await self._write(partial(_counted, component.name, latest, added, until_ms))
        return True

    async def _states(self, component: ComponentConfig, steps_ms: Sequence[int]) -> list[State]:
        """
        Raises:
            TracksideError: the question failed.
        """
        states = await self._asked(component, steps_ms)
        states = with_maintenance(component.name, states, steps_ms, self._kept.incidents)
        if self._ports.doubtful() and not component.expr:
            states = [State.UNKNOWN if state is State.DOWN else state for state in states]
        return states

    async def _asked(self, component: ComponentConfig, steps_ms: Sequence[int]) -> list[State]:
        expr = query_of(component, self._window)
        ask = self._ports.backend.query_range
        start_ms, end_ms = steps_ms[0], steps_ms[-1]
        states = states_of(component, await ask(expr, start_ms, end_ms, MINUTE_MS, TIMEOUT_MS), steps_ms)
        if component.degraded:
            worse = troubled(await ask(component.degraded, start_ms, end_ms, MINUTE_MS, TIMEOUT_MS), steps_ms)
            states = [
                State.DEGRADED if bad and state is State.UP else state for state, bad in zip(states, worse, strict=True)
            ]
        return states

    async def _incidents_due(self, now_ms: int) -> None:
        alerts = Alerts(self._ports.firing(), self._ended.take(now_ms))
        todo = due(self.config.incidents, alerts, self._kept.incidents, now_ms)
        for incident in todo.opened:
            await self._write(partial(_opened, incident, store.Audit(now_ms, "", f"opened by {incident.alert}", 0)))
        for incident, update in todo.updates:
            audit = store.Audit(now_ms, "", f"said {update.state.value}", incident.id)
            await self._write(partial(_updated, incident, update, audit))
        if todo.opened or todo.updates:
            await self._load(now_ms)

    async def _load(self, now_ms: int) -> None:
        work = partial(store.kept, now_ms=now_ms, count=self.config.days)
        # One after the other: an older answer must not come last.
        async with self._loading:
            self._kept = await asyncio.to_thread(self._ports.db.read, work)
        view = view_of(self.config, self._kept, now_ms, has_logo=self.has_logo)
        fresh = view.as_of_ms // MINUTE_MS != self.view.as_of_ms // MINUTE_MS
        if fresh or replace(view, as_of_ms=0) != replace(self.view, as_of_ms=0):
            self.view, self.version = view, self.version + 1

    async def _write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        return await asyncio.wrap_future(self._ports.db.write(work, durable=durable))


def _counted(
    component: str, state: State, days: Mapping[int, Minutes], until_ms: int, connection: sqlite3.Connection
) -> None:
    store.add_minutes(connection, component, days)
    store.set_state(connection, component, state, until_ms)


def _opened(incident: Incident, audit: store.Audit, connection: sqlite3.Connection) -> Incident:
    kept = store.add_incident(connection, incident)
    store.log(connection, replace(audit, incident=kept.id))
    return kept


def _updated(incident: Incident, update: Update, audit: store.Audit, connection: sqlite3.Connection) -> None:
    store.add_update(connection, incident.id, update)
    if update.state.is_over:
        store.end_incident(connection, incident.id, update.at_ms)
    store.log(connection, audit)


def _deleted(id: int, audit: store.Audit, connection: sqlite3.Connection) -> None:
    store.delete_incident(connection, id)
    store.log(connection, audit)
