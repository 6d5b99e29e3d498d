"""One rule group: its rules in order, at one moment, each seeing what those before it wrote."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from trackside.exceptions import TracksideError
from trackside.instruments.registry import Registry
from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.model.rules import RuleGroupStatus, RuleStatus
from trackside.server.backend import MetricsBackend
from trackside.server.clock import Clock
from trackside.server.db.database import Database
from trackside.server.rules import store
from trackside.server.rules.alerting_rule import outgoing, resolved_all
from trackside.server.rules.collector import RuleMetrics
from trackside.server.rules.config import AlertingRule, RecordingRule, Rule, RuleGroupConfig
from trackside.server.rules.evaluator import Evaluator, RuleState, keyed
from trackside.server.rules.recording import SeriesWriter
from trackside.server.rules.templates import ExternalFacts
from trackside.server.storage import Appender

SETTLE_MS = 120_000
"""For so long after a start (or two intervals), a restored alert whose expression gives nothing is taken as not known
rather than over: the first scrapes and the ranges of the expressions need that time."""

_log = logging.getLogger("trackside.server")


@dataclass(frozen=True, slots=True)
class RulePorts:
    """What rules work with."""

    backend: MetricsBackend
    appender: Appender
    db: Database
    clock: Clock
    registry: Registry


@dataclass(frozen=True, slots=True)
class RuleSettings:
    external: ExternalFacts = field(default_factory=ExternalFacts)
    evaluation_interval_ms: int = 60_000
    query_offset_ms: int = 0
    """Of groups that name none."""


class RuleGroup:
    """Evaluated by one caller at a time."""

    def __init__(
        self,
        config: RuleGroupConfig,
        ports: RulePorts,
        settings: RuleSettings,
        metrics: RuleMetrics,
        stored: store.StoredGroup | None = None,
    ) -> None:
        self.config = config
        self.interval_ms = config.interval_ms or settings.evaluation_interval_ms
        self.label = f"{config.file};{config.name}"
        self._ports = ports
        self._settings = settings
        self._metrics = metrics
        self._last_ms: int | None = None
        self._seconds = 0.0
        self._down_since_ms = stored.last_evaluation_ms if stored is not None else None
        self._settled_ms: int | None = None
        offset_ms = settings.query_offset_ms if config.query_offset_ms is None else config.query_offset_ms
        self._evaluator = Evaluator(
            config, self.label, ports.backend.query, ports.clock, metrics, settings.external, offset_ms
        )
        self.rules = [self._state(rule, key, stored) for rule, key in keyed(config.rules)]

    def _state(self, rule: Rule, key: str, stored: store.StoredGroup | None) -> RuleState:
        suffix = ";ALERTS" if isinstance(rule, AlertingRule) else ""
        writer = SeriesWriter(self._ports.appender, f"rules/{self.label}{suffix}")
        state = RuleState(rule, key, writer)
        if stored is not None and isinstance(rule, AlertingRule):
            state.alerts = {alert.labels: alert for alert in stored.alerts.get(key, [])}
            state.unseen = {labels for labels, alert in state.alerts.items() if alert.state is not AlertState.RESOLVED}
        return state

    def inherit(self, other: RuleGroup) -> None:
        """Take over alerts and written series of the rules that `other`, an earlier version of the group, had too."""
        before = {state.key: state for state in other.rules}
        for state in self.rules:
            old = before.get(state.key)
            if old is not None and type(old.rule) is type(state.rule):
                state.alerts, state.unseen, state.writer = old.alerts, old.unseen, old.writer
                state.health, state.error, state.last_ms, state.seconds = (
                    old.health,
                    old.error,
                    old.last_ms,
                    old.seconds,
                )
        self._last_ms, self._down_since_ms, self._settled_ms = other._last_ms, other._down_since_ms, other._settled_ms

    def status(self) -> RuleGroupStatus:
        rules = tuple(_status(state) for state in self.rules)
        config = self.config
        return RuleGroupStatus(
            config.name, config.file, self.interval_ms, rules, self._last_ms, self._seconds, config.limit
        )

    async def evaluate(self, now_ms: int) -> list[Alert]:
        """What is firing, or has resolved in the last quarter of an hour."""
        started_s = self._ports.clock.monotonic_s()
        before = [dict(state.alerts) for state in self.rules]
        # A resolved alert is told once more before the evaluation may drop it: the server may have died in between.
        resumed = self._resume(now_ms)
        settled = self._settled_ms is None or now_ms >= self._settled_ms
        for state in self.rules:
            await self._evaluator.evaluate(state, now_ms, settled=settled)
        missed = 0 if self._last_ms is None else max(0, (now_ms - self._last_ms) // self.interval_ms - 1)
        self._last_ms = now_ms
        self._seconds = self._ports.clock.monotonic_s() - started_s
        self._metrics.finished(self.label, now_ms, self._seconds, missed)
        await self._save(before, now_ms)
        external = self._settings.external.labels
        alerts = {alert.labels: alert for alert in resumed}
        alerts |= {alert.labels: alert for state in self.rules for alert in state.alerts.values()}
        return [outgoing(alert, external) for alert in alerts.values() if alert.state is not AlertState.PENDING]

    async def end(self, now_ms: int) -> list[Alert]:
        """The group is no longer configured: its series end, and what fired is resolved."""
        return await self.end_rules(self.rules, now_ms)

    async def end_rules(self, rules: Sequence[RuleState], now_ms: int) -> list[Alert]:
        resolved: list[Alert] = []
        for state in rules:
            try:
                state.writer.end(now_ms)
            except TracksideError as error:
                _log.warning("cannot end the series of rule %s: %s", state.key, error)
            resolved += resolved_all(state.alerts, now_ms).values()
        return [outgoing(alert, self._settings.external.labels) for alert in resolved]

    def _resume(self, now_ms: int) -> list[Alert]:
        """At the first evaluation after a start: the time that was not observed does not count for `for`."""
        if self._down_since_ms is None:
            return []
        outage_ms = max(0, now_ms - self._down_since_ms - self.interval_ms)
        self._down_since_ms = None
        self._settled_ms = now_ms + max(SETTLE_MS, 2 * self.interval_ms)
        for state in self.rules:
            for labels, alert in state.alerts.items():
                if alert.state is AlertState.PENDING:
                    state.alerts[labels] = replace(alert, active_at_ms=alert.active_at_ms + outage_ms)
        restored = [alert for state in self.rules for alert in state.alerts.values()]
        return [alert for alert in restored if alert.state is AlertState.RESOLVED]

    async def _save(self, before: Sequence[dict[Labels, Alert]], now_ms: int) -> None:
        changes = _changes(self.rules, before)
        key = (self.config.file, self.config.name)
        try:
            await asyncio.wrap_future(
                self._ports.db.write(lambda connection: store.save(connection, key, changes, now_ms))
            )
        except sqlite3.Error as error:
            # An alert must go out though the disk is full.
            self._metrics.state_write_failures.inc()
            _log.warning("cannot save the state of rule group %s: %s", self.label, error)


def _changes(rules: Sequence[RuleState], before: Sequence[dict[Labels, Alert]]) -> store.Changes:
    saved: dict[str, tuple[Alert, ...]] = {}
    gone: dict[str, tuple[Labels, ...]] = {}
    for state, old in zip(rules, before, strict=True):
        saved[state.key] = tuple(
            alert for labels, alert in state.alerts.items() if _milestones(alert) != _milestones(old.get(labels))
        )
        gone[state.key] = tuple(old.keys() - state.alerts.keys())
    return store.Changes(saved, gone)


def _milestones(alert: Alert | None) -> tuple[object, ...]:
    """What is worth a write: not the value and the texts, which may change at every evaluation."""
    if alert is None:
        return ()
    return (
        alert.state,
        alert.active_at_ms,
        alert.fired_at_ms,
        alert.resolved_at_ms,
        alert.keep_firing_since_ms,
    )


def _status(state: RuleState) -> RuleStatus:
    rule = state.rule
    if isinstance(rule, RecordingRule):
        status = RuleStatus(rule.name, "recording", rule.expr, Labels.of(rule.labels))
    else:
        living = tuple(alert for alert in state.alerts.values() if alert.state is not AlertState.RESOLVED)
        status = RuleStatus(
            rule.name,
            "alerting",
            rule.expr,
            Labels.of(rule.labels),
            Labels.of(rule.annotations),
            rule.for_ms,
            rule.keep_firing_for_ms,
            alerts=living,
        )
    return replace(
        status,
        health=state.health,
        last_error=state.error,
        last_evaluation_ms=state.last_ms,
        evaluation_s=state.seconds,
    )
