"""One rule on history: its expression over the whole time, and its alerts' life step by step."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from trackside.exceptions import QueryError
from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.server.backtest.result import Episode
from trackside.server.rules import no_data
from trackside.server.rules.alerting_rule import Active, alert_labels, resolved_all, step, without_data
from trackside.server.rules.config import AlertingRule, RecordingRule
from trackside.server.rules.no_data import NoData
from trackside.server.rules.recording import alert_series, recorded_labels
from trackside.server.rules.scratch import ScratchStore
from trackside.server.rules.template_functions import QueryNeeded, TemplateSample
from trackside.server.rules.templates import Expansion, ExternalFacts
from trackside.server.series import STALE, Bools, Float64s, Int64s, Matrix, QueryResult, Series

STEPS_AT_ONCE = 2_000
"""Of one query: ten thousand series over that many steps are 160 MB."""
MAX_EPISODES = 10_000
"""Of one rule."""

Query = Callable[[str, int, int, int], Awaitable[QueryResult]]
"""Expression, start, end, step."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The moments at which the rules of a group are evaluated."""

    start_ms: int
    end_ms: int
    step_ms: int
    offset_ms: int = 0
    """How far back expressions look."""

    def parts(self) -> Iterator[tuple[int, int]]:
        """First and last moment of each query."""
        first_ms = self.start_ms
        while first_ms <= self.end_ms:
            last_ms = min(first_ms + (STEPS_AT_ONCE - 1) * self.step_ms, self.end_ms)
            yield first_ms, first_ms + (last_ms - first_ms) // self.step_ms * self.step_ms
            first_ms += STEPS_AT_ONCE * self.step_ms


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What an expression gave at some of the moments."""

    matrix: Matrix
    times_ms: Int64s
    """Of the evaluations; shape (t,)."""

    def samples(self, place: int) -> list[TemplateSample]:
        rows = np.flatnonzero(self.matrix.present[:, place]).tolist()
        return [TemplateSample(self.matrix.labels[row], float(self.matrix.values[row, place])) for row in rows]

    def any_present(self) -> list[bool]:
        found: Bools = np.logical_or.reduce(self.matrix.present, axis=0)
        return [bool(each) for each in found]


async def parts(query: Query, expr: str, grid: Grid) -> AsyncIterator[Part]:
    """One query after the other.

    Raises:
        QueryError: the expression is wrong, asks too much, or gives no vector.
    """
    for first_ms, last_ms in grid.parts():
        yield await _part(query, expr, grid, np.arange(first_ms, last_ms + 1, grid.step_ms, dtype=np.int64))


async def _part(query: Query, expr: str, grid: Grid, times_ms: Int64s) -> Part:
    first_ms, last_ms = int(times_ms[0]) - grid.offset_ms, int(times_ms[-1]) - grid.offset_ms
    result = await query(expr, first_ms, last_ms, grid.step_ms)
    if not isinstance(result.value, Matrix):
        raise QueryError("a rule needs an expression that gives an instant vector or a scalar")
    return Part(result.value, times_ms)


async def replay_recording(query: Query, rule: RecordingRule, grid: Grid, store: ScratchStore) -> None:
    """
    Raises:
        QueryError: as the rule would have failed.
    """
    living: set[Labels] = set()
    async for part in parts(query, rule.expr, grid):
        taken: dict[Labels, tuple[Float64s, Bools]] = {}
        for labels, values, present in zip(part.matrix.labels, part.matrix.values, part.matrix.present, strict=True):
            named = recorded_labels(labels, rule)
            if named in taken:
                known, there = taken[named]
                if (there & present).any():
                    raise QueryError(f"two series have the same labels once the rule's are added: {named}")
                values, present = np.where(present, values, known), there | present
            taken[named] = values, present
        # What was there at the end of the part before and is not at the beginning of this one has ended.
        times_ms = part.times_ms - grid.offset_ms
        gone = [labels for labels in living if labels not in taken or not taken[labels][1][0]]
        store.append_series("backtest", [Series(labels, times_ms[:1], np.array([STALE])) for labels in gone])
        store.append_series("backtest", [_with_ends(labels, *found, times_ms) for labels, found in taken.items()])
        living = {labels for labels, (_, present) in taken.items() if present[-1]}


def _with_ends(labels: Labels, values: Float64s, present: Bools, times_ms: Int64s) -> Series:
    """The values where there are any, and an end marker where there are none any more."""
    ends = ~present
    ends[1:] &= present[:-1]
    ends[0] = False
    marked = np.where(ends, STALE, values)
    kept = present | ends
    return Series(labels, times_ms[kept], marked[kept])


@dataclass(slots=True, eq=False)
class AlertReplay:
    """The alerts of one rule from step to step, by the same state machine as the server's."""

    rule: AlertingRule
    limit: int
    external: ExternalFacts
    alerts: dict[Labels, Alert] = field(default_factory=dict)
    episodes: list[Episode] = field(default_factory=list)
    transitions: list[tuple[int, Alert]] = field(default_factory=list)
    """What the routes hear of: when an alert fires, and when it is over."""

    def step(self, now_ms: int, samples: list[TemplateSample], data: list[TemplateSample] | None) -> None:
        """`data`: which series there were, for rules that care; None for those that do not."""
        active = [self._active(sample, now_ms) for sample in samples]
        kept: dict[Labels, Alert] = {}
        if data is not None:
            again, kept = without_data(self.alerts, active, self.rule, (sample.labels for sample in data))
            active += again
            if self.rule.no_data is NoData.ALERT and not (data or active):
                active.append(self._active(TemplateSample(Labels(), math.nan), now_ms))
        after = step(self.alerts, active, self.rule, now_ms) | kept
        living = sum(alert.state is not AlertState.RESOLVED for alert in after.values())
        if 0 < self.limit < living:
            after = resolved_all(self.alerts, now_ms)
        self._note(after, now_ms)
        self.alerts = {labels: alert for labels, alert in after.items() if alert.state is not AlertState.RESOLVED}

    def end(self) -> None:
        self.episodes += [_episode(alert, None) for alert in self.alerts.values()]

    def _active(self, sample: TemplateSample, now_ms: int) -> Active:
        expansion = Expansion(sample.labels, sample.value, self.external, {}, now_ms)
        labels = [(name, _expanded(expansion, text)) for name, text in self.rule.labels]
        return Active(alert_labels(sample.labels, labels, self.rule.name), Labels(), sample.value)

    def _note(self, after: Mapping[Labels, Alert], now_ms: int) -> None:
        for labels, before in self.alerts.items():
            now = after.get(labels)
            if now is None or now.state is AlertState.RESOLVED:
                self._ended(before, now, now_ms)
        for labels, alert in after.items():
            known = self.alerts.get(labels)
            if alert.state is AlertState.FIRING and (known is None or known.state is not AlertState.FIRING):
                self.transitions.append((now_ms, alert))

    def _ended(self, before: Alert, now: Alert | None, now_ms: int) -> None:
        if len(self.episodes) < MAX_EPISODES:
            self.episodes.append(_episode(before, now_ms))
        if now is not None:
            self.transitions.append((now_ms, now))


async def replay_alerting(
    query: Query, rule: AlertingRule, grid: Grid, replay: AlertReplay, store: ScratchStore
) -> None:
    """
    Raises:
        QueryError: as the rule would have failed.
    """
    columns: dict[Labels, list[tuple[int, float]]] = {}
    before: set[Labels] = set()
    async for part in parts(query, rule.expr, grid):
        data = await _data(query, rule, grid, part)
        for place, (now_ms, holds) in enumerate(zip(part.times_ms.tolist(), part.any_present(), strict=True)):
            if not holds and not replay.alerts and data is None and not before:
                continue
            replay.step(now_ms, part.samples(place) if holds else [], None if data is None else data.samples(place))
            series = alert_series(replay.alerts.values())
            for labels, value in series.items():
                columns.setdefault(labels, []).append((now_ms - grid.offset_ms, value))
            for labels in before - series.keys():
                columns[labels].append((now_ms - grid.offset_ms, float(STALE)))
            before = set(series)
    replay.end()
    store.append_series(
        "backtest",
        [
            Series(labels, np.array([at_ms for at_ms, _ in points], np.int64), np.array([value for _, value in points]))
            for labels, points in columns.items()
        ],
    )


async def _data(query: Query, rule: AlertingRule, grid: Grid, part: Part) -> Part | None:
    """Which series there were in the time of `part`, for a rule that cares."""
    if rule.no_data is NoData.RESOLVE:
        return None
    return await _part(query, no_data.data_expr(rule.expr), grid, part.times_ms)


def _episode(alert: Alert, ended_ms: int | None) -> Episode:
    return Episode(alert.labels, alert.active_at_ms, alert.fired_at_ms, ended_ms, alert.value)


def _expanded(expansion: Expansion, text: str) -> str:
    try:
        return expansion.expand(text)
    except QueryNeeded:
        # A label that asks for a query of its own at each moment: the alert is the same without it.
        return text
