"""Evaluating one rule at one moment: its query, its templates, the series it writes, and what became of it."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from trackside.exceptions import QueryError, TracksideError
from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.server.clock import Clock
from trackside.server.rules import no_data
from trackside.server.rules.alerting_rule import Active, alert_labels, resolved_all, step, without_data
from trackside.server.rules.collector import RuleMetrics
from trackside.server.rules.config import AlertingRule, RecordingRule, Rule, RuleGroupConfig
from trackside.server.rules.no_data import NoData
from trackside.server.rules.recording import SeriesWriter, alert_series, recorded
from trackside.server.rules.results import template_answer, vector
from trackside.server.rules.template_functions import QueryNeeded, TemplateSample
from trackside.server.rules.templates import Expansion, ExternalFacts
from trackside.server.series import QueryResult

YIELD_EVERY = 100
"""Alerts whose texts are expanded (some 80 µs each) before anything else on the event loop has its turn."""

Query = Callable[[str, int], Awaitable[QueryResult]]
"""Value of an expression at one moment; raises `QueryError`."""

_log = logging.getLogger("trackside.server")


@dataclass(slots=True, eq=False)
class RuleState:
    """A rule and what became of it."""

    rule: Rule
    key: str
    writer: SeriesWriter
    alerts: dict[Labels, Alert] = field(default_factory=dict)
    unseen: set[Labels] = field(default_factory=set)
    """Alerts from before the start whose expression has not held since."""
    health: str = "unknown"
    error: str = ""
    last_ms: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Evaluator:
    """Evaluates the rules of one group. Called for one rule at a time."""

    config: RuleGroupConfig
    label: str
    """Of the group, in metrics and logs."""
    query: Query
    clock: Clock
    metrics: RuleMetrics
    external: ExternalFacts
    query_offset_ms: int = 0
    """How far back expressions look: samples that are pushed come late."""

    async def evaluate(self, state: RuleState, now_ms: int, *, settled: bool = True) -> None:
        """`settled` False: so soon after a start that a restored alert without data is not known rather than over."""
        started_s = self.clock.monotonic_s()
        try:
            query_ms = now_ms - self.query_offset_ms
            samples = vector(await self.query(state.rule.expr, query_ms))
            if isinstance(state.rule, RecordingRule):
                self._record(state, state.rule, samples, query_ms)
            else:
                await self._alert(state, state.rule, samples, now_ms, settled=settled)
            state.health, state.error = "ok", ""
        except TracksideError as error:
            state.health, state.error = "err", str(error)
        except Exception as error:  # noqa: BLE001 - one rule must not stop the others; shown as its state, and counted
            _log.exception("rule %s of group %s failed", state.key, self.label)
            state.health, state.error = "err", f"internal error: {error!r}"
        state.last_ms = now_ms
        state.seconds = self.clock.monotonic_s() - started_s
        self.metrics.evaluated(self.label, failed=state.health == "err")

    def _record(self, state: RuleState, rule: RecordingRule, samples: Sequence[TemplateSample], query_ms: int) -> None:
        series = recorded(samples, rule)
        if 0 < self.config.limit < len(series):
            raise QueryError(f"{len(series)} series; the group's limit is {self.config.limit}")
        self._write(state, series, query_ms)

    async def _alert(
        self, state: RuleState, rule: AlertingRule, samples: Sequence[TemplateSample], now_ms: int, *, settled: bool
    ) -> None:
        active = await self._expanded(rule, samples, now_ms)
        kept: dict[Labels, Alert] = {}
        if rule.no_data is not NoData.RESOLVE:
            kept = await self._missing(state, rule, active, now_ms)
        after = step(state.alerts, active, rule, now_ms) | kept
        state.unseen.difference_update(one.labels for one in active)
        if not settled:
            # Nothing known of it since the start: as it was.
            after |= {labels: alert for labels in state.unseen if (alert := state.alerts.get(labels)) is not None}
        query_ms = now_ms - self.query_offset_ms
        living = sum(alert.state is not AlertState.RESOLVED for alert in after.values())
        if 0 < self.config.limit < living:
            state.alerts = resolved_all(state.alerts, now_ms)
            self._write(state, {}, query_ms)
            raise QueryError(f"{living} alerts; the group's limit is {self.config.limit}: none is raised")
        state.alerts = after
        self._write(state, alert_series(after.values()), query_ms)

    async def _missing(
        self, state: RuleState, rule: AlertingRule, active: list[Active], now_ms: int
    ) -> dict[Labels, Alert]:
        """The alerts that stay as they are, their series being gone. Those for which that counts join `active`."""
        living = any(alert.state is not AlertState.RESOLVED for alert in state.alerts.values())
        if not (living or (rule.no_data is NoData.ALERT and not active)):
            return {}
        data = vector(await self.query(no_data.data_expr(rule.expr), now_ms - self.query_offset_ms))
        again, kept = without_data(state.alerts, active, rule, (sample.labels for sample in data))
        active += again
        if rule.no_data is NoData.ALERT and not (data or active):
            active += await self._expanded(rule, [TemplateSample(Labels(), math.nan)], now_ms)
        return kept

    def _write(self, state: RuleState, series: dict[Labels, float], time_ms: int) -> None:
        appended = state.writer.write(series, time_ms)
        self.metrics.dropped(self.label, appended.out_of_order + appended.duplicate + appended.too_old)

    async def _expanded(self, rule: AlertingRule, samples: Sequence[TemplateSample], now_ms: int) -> list[Active]:
        answers: dict[str, tuple[TemplateSample, ...] | str] = {}
        link = f"{self.external.url}/explore?expr={quote_plus(rule.expr)}"
        active: list[Active] = []
        while len(active) < len(samples):
            sample = samples[len(active)]
            expansion = Expansion(sample.labels, sample.value, self.external, answers, now_ms)
            try:
                labels = alert_labels(sample.labels, expansion.expand_all(rule.labels), rule.name)
                annotations = Labels.of(expansion.expand_all(rule.annotations))
                active.append(Active(labels, annotations, sample.value, link))
                if len(active) % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
            except QueryNeeded as needed:
                answers[needed.expr] = await self._answer(needed.expr, now_ms - self.query_offset_ms)
        return active

    async def _answer(self, expr: str, query_ms: int) -> tuple[TemplateSample, ...] | str:
        try:
            return template_answer(await self.query(expr, query_ms))
        except QueryError as error:
            return str(error)


def keyed(rules: Sequence[Rule]) -> list[tuple[Rule, str]]:
    """Each rule with what identifies it across restarts and reloads: kind, name and labels, and a number for twins.

    Not the expression: with a new threshold the alert is the same alert.
    """
    seen: dict[str, int] = {}
    found = []
    for rule in rules:
        kind = "record" if isinstance(rule, RecordingRule) else "alert"
        key = " ".join((kind, rule.name, *(f"{name}={text!r}" for name, text in rule.labels)))
        seen[key] = seen.get(key, 0) + 1
        found.append((rule, key if seen[key] == 1 else f"{key} #{seen[key]}"))
    return found
