"""All rule groups: evaluated on their intervals, changed by a reload without losing the alerts of rules that stay."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from trackside.model.alerts import Alert, AlertState
from trackside.model.rules import RuleGroupStatus
from trackside.server.rules import store
from trackside.server.rules.alerting_rule import outgoing
from trackside.server.rules.collector import RuleMetrics
from trackside.server.rules.config import RuleGroupConfig
from trackside.server.rules.group import RuleGroup, RulePorts, RuleSettings
from trackside.server.schedule import Entry, Schedule

Sink = Callable[[Sequence[Alert], int, int], None]
"""Takes what is firing or has resolved of late, at each evaluation, the time of it, and the group's interval."""

_log = logging.getLogger("trackside.server")


@dataclass(slots=True, eq=False)
class _Running:
    group: RuleGroup
    entry: Entry
    first_ms: int
    busy: asyncio.Lock
    """Held while the group is evaluated or replaced."""
    last_ms: int | None = None


class RuleGroups:
    def __init__(self, ports: RulePorts, schedule: Schedule, sink: Sink, settings: RuleSettings | None = None) -> None:
        self._ports = ports
        self._schedule = schedule
        self._sink = sink
        self._settings = settings if settings is not None else RuleSettings()
        self._metrics = RuleMetrics(ports.registry)
        ports.db.create(store.SCHEMA)
        self._stored = ports.db.read(store.load)
        self._running: dict[store.GroupKey, _Running] = {}

    async def apply(self, groups: Sequence[RuleGroupConfig], now_ms: int, settings: RuleSettings | None = None) -> None:
        """Evaluate these groups from now on. Alerts of rules that were there before, in this process or the one
        before it, go on; what fired by a rule that is gone is resolved."""
        changed_settings = settings is not None and settings != self._settings
        self._settings = settings if settings is not None else self._settings
        wanted = {(group.file, group.name): group for group in groups}
        for key in [key for key in self._running if key not in wanted]:
            await self._stop(key, now_ms)
        for key, config in wanted.items():
            running = self._running.get(key)
            if running is None:
                self._start(
                    RuleGroup(config, self._ports, self._settings, self._metrics, self._stored.get(key)), now_ms
                )
            elif running.group.config != config or changed_settings:
                await self._replace(running, config, now_ms)
        await self._forget_unknown(now_ms)

    def statuses(self) -> tuple[RuleGroupStatus, ...]:
        return tuple(running.group.status() for running in self._running.values())

    def _start(self, group: RuleGroup, now_ms: int) -> None:
        async def tick(at_ms: int) -> None:
            await self._tick(running, at_ms)

        entry = self._schedule.every(group.interval_ms, tick, first_ms=now_ms)
        running = _Running(group, entry, now_ms, asyncio.Lock())
        self._running[group.config.file, group.config.name] = running

    async def _tick(self, running: _Running, at_ms: int) -> None:
        async with running.busy:
            # The moment it was due, not the one it was woken at: evaluations exactly an interval apart make `for` and
            # `rate` exact.
            interval_ms = running.group.interval_ms
            slot_ms = at_ms - (at_ms - running.first_ms) % interval_ms
            if slot_ms == running.last_ms:
                return
            running.last_ms = slot_ms
            self._sink(await running.group.evaluate(slot_ms), slot_ms, interval_ms)

    async def _replace(self, running: _Running, config: RuleGroupConfig, now_ms: int) -> None:
        async with running.busy:
            old = running.group
            new = RuleGroup(config, self._ports, self._settings, self._metrics)
            new.inherit(old)
            kept = {state.key for state in new.rules}
            gone = [state for state in old.rules if state.key not in kept]
            running.group = new
            resolved = await old.end_rules(gone, now_ms)
            deleted = {state.key: tuple(state.alerts) for state in gone}
            key = (config.file, config.name)
            await self._write(partial(store.save, group=key, changes=store.Changes({}, deleted), now_ms=now_ms))
            self._sink(resolved, now_ms, old.interval_ms)
        if new.interval_ms != old.interval_ms:
            self._schedule.cancel(running.entry)
            self._start(new, now_ms)

    async def _stop(self, key: store.GroupKey, now_ms: int) -> None:
        running = self._running.pop(key)
        self._schedule.cancel(running.entry)
        async with running.busy:
            resolved = await running.group.end(now_ms)
        self._metrics.forget(running.group.label)
        await self._write(partial(store.forget_groups, groups=[key]))
        self._sink(resolved, now_ms, running.group.interval_ms)

    async def _forget_unknown(self, now_ms: int) -> None:
        """Resolve what fired before the start by rules that are configured no more. Does something only once."""
        resolved: list[Alert] = []
        for key, stored in self._stored.items():
            running = self._running.get(key)
            known = {state.key for state in running.group.rules} if running is not None else set()
            gone = {rule: alerts for rule, alerts in stored.alerts.items() if rule not in known}
            resolved += [
                replace(alert, state=AlertState.RESOLVED, resolved_at_ms=alert.resolved_at_ms or now_ms)
                for alerts in gone.values()
                for alert in alerts
                if alert.state is not AlertState.PENDING
            ]
            if running is None:
                await self._write(partial(store.forget_groups, groups=[key]))
            elif gone:
                labels = {rule: tuple(alert.labels for alert in alerts) for rule, alerts in gone.items()}
                changes = store.Changes({}, labels)
                await self._write(partial(store.save, group=key, changes=changes, now_ms=stored.last_evaluation_ms))
        self._stored = {}
        external = self._settings.external.labels
        self._sink([outgoing(alert, external) for alert in resolved], now_ms, self._settings.evaluation_interval_ms)

    async def _write(self, work: Callable[[sqlite3.Connection], None]) -> None:
        try:
            await asyncio.wrap_future(self._ports.db.write(work))
        except sqlite3.Error as error:
            self._metrics.state_write_failures.inc()
            _log.warning("cannot save the state of the rules: %s", error)
