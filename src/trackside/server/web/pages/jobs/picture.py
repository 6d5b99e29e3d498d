"""The one chart of the page: what ended, how long jobs waited, or how long they ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trackside.jobs.ledger.charts import ChartBy, ChartMetric
from trackside.jobs.ledger.figures import ChartSeries, JobFilter
from trackside.jobs.ledger.runs import Outcome
from trackside.jobs.ledger.tiers import DAY_MS
from trackside.jobs.verdicts.facts import Deploy
from trackside.model.durations import format_duration
from trackside.server.jobs.ledger import JobsLedger, Range
from trackside.server.web.chart import Chart, Line
from trackside.server.web.pages.jobs.choice import Tab
from trackside.server.web.period import Period

MOST_BUCKETS = 120
DASHED = 8
"""Past the eight hues lines are dashed."""
KINDS_SHOWN = 7
# No half days: what is counted by the day is read far faster than what is counted by the hour.
_STEPS_S = (10, 20, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 86_400, 172_800, 604_800)
_OUTCOMES = (
    (Outcome.SUCCEEDED, "succeeded", 2),
    (Outcome.RETRIED, "retried", 5),
    (Outcome.CANCELLED, "cancelled", 7),
    (Outcome.LOST, "lost", 3),
    (Outcome.FAILED, "failed", 1),
)
_WAITS = ((ChartMetric.WAIT_P50, "p50", 0), (ChartMetric.WAIT_P95, "p95", 3), (ChartMetric.WAIT_P99, "p99", 4))


@dataclass(frozen=True, slots=True)
class Grid:
    """Buckets of a chart; the last one is not over yet, if it holds the present."""

    start_ms: int
    step_ms: int
    count: int
    now_ms: int

    @property
    def end_ms(self) -> int:
        """Beginning of the last bucket."""
        return self.start_ms + (self.count - 1) * self.step_ms

    @property
    def range(self) -> Range:
        return Range(self.start_ms, self.end_ms + self.step_ms)

    @property
    def unfinished_ms(self) -> int | None:
        return self.end_ms if self.now_ms < self.end_ms + self.step_ms else None

    def values(self, series: ChartSeries, missing: float | None, sums: bool) -> tuple[float | None, ...]:
        """`sums`: several points of one bucket are added up; otherwise the highest counts."""
        found: list[float | None] = [missing] * self.count
        for point in series.points:
            at = (point.start_ms - self.start_ms) // self.step_ms
            if 0 <= at < self.count:
                known = found[at]
                value = float(f"{point.value:.4g}")
                found[at] = value if not known else known + value if sums else max(known, value)
        return tuple(found)


def grid_of(period: Period) -> Grid:
    end_ms = min(period.now_ms, period.end_ms) if period.is_fixed else period.now_ms
    span_ms = max(1, period.end_ms - period.start_ms)
    step_ms = next((s * 1000 for s in _STEPS_S if span_ms <= s * 1000 * MOST_BUCKETS), _STEPS_S[-1] * 1000)
    start_ms, last_ms = period.start_ms // step_ms * step_ms, end_ms // step_ms * step_ms
    return Grid(start_ms, step_ms, max(2, (last_ms - start_ms) // step_ms + 1), period.now_ms)


@dataclass(frozen=True, slots=True)
class Beside:
    """What the ledger does not know."""

    deploys: Sequence[Deploy] = ()
    budget_usd: float | None = None
    """Of a day."""


def picture(ledger: JobsLedger, tab: Tab, grid: Grid, of: JobFilter, beside: Beside) -> Chart:
    if tab is Tab.FLOW:
        title, unit, lines = (
            f"Attempts that ended, in {format_duration(grid.step_ms)}",
            "amount",
            _flow(ledger, grid, of),
        )
    elif tab is Tab.WAIT:
        title, unit, lines = "How long jobs waited that began or ended then", "seconds", _wait(ledger, grid, of)
    elif tab is Tab.COST:
        title, unit, lines = (
            f"Dollars that attempts cost, in {format_duration(grid.step_ms)}, by kind",
            "amount",
            _cost(ledger, grid, of, beside.budget_usd),
        )
    else:
        title, unit, lines = "How long 95 of 100 runs took at most, by kind", "seconds", _run(ledger, grid, of)
    is_stacked = tab in (Tab.FLOW, Tab.COST)
    return Chart(
        f"jobs-{tab.value}",
        title,
        unit,
        grid.start_ms,
        grid.end_ms,
        grid.step_ms,
        lines,
        unfinished_ms=grid.unfinished_ms,
        stacked=is_stacked,
        joined=not is_stacked,
        is_log=not is_stacked,
        marks=tuple((one.at_ms, one.version) for one in beside.deploys if grid.start_ms <= one.at_ms <= grid.end_ms),
    )


def _flow(ledger: JobsLedger, grid: Grid, of: JobFilter) -> tuple[Line, ...]:
    found = _series(ledger, ChartMetric.FINISHED, ChartBy.OUTCOME, grid, of)
    by_name = {series.by: series for series in found}
    return tuple(
        Line(name, grid.values(by_name[outcome.value], 0.0, sums=True), hue=hue)
        for outcome, name, hue in _OUTCOMES
        if outcome.value in by_name
    )


def _wait(ledger: JobsLedger, grid: Grid, of: JobFilter) -> tuple[Line, ...]:
    metrics = [metric for metric, _, _ in _WAITS]
    found = ledger.several(metrics, ChartBy.ALL, grid.range, grid.step_ms, of, now_ms=grid.now_ms)
    return tuple(
        Line(name, grid.values(one, None, sums=False), hue=hue)
        for (_, name, hue), series in zip(_WAITS, found, strict=True)
        for one in series
    )


def _run(ledger: JobsLedger, grid: Grid, of: JobFilter) -> tuple[Line, ...]:
    found = _series(ledger, ChartMetric.RUN_P95, ChartBy.KIND, grid, of)[:KINDS_SHOWN]
    return tuple(
        Line(series.by or "not seen one by one", grid.values(series, None, sums=False), hue=hue)
        for hue, series in enumerate(found)
        if series.points
    )


def _cost(ledger: JobsLedger, grid: Grid, of: JobFilter, budget_usd: float | None) -> tuple[Line, ...]:
    found = [
        one for one in _series(ledger, ChartMetric.COST, ChartBy.KIND, grid, of) if any(p.value for p in one.points)
    ]
    lines = [
        Line(series.by or "not seen one by one", grid.values(series, 0.0, sums=True), hue=hue)
        for hue, series in enumerate(found[:KINDS_SHOWN])
    ]
    if lines and budget_usd and not (of.kind or of.queue or of.source):
        even = (float(f"{budget_usd * grid.step_ms / DAY_MS:.4g}"),) * grid.count
        lines.append(Line("budget", even, f"${budget_usd:,.2f} a day, spent evenly", DASHED, apart=True))
    return tuple(lines)


def _series(ledger: JobsLedger, metric: ChartMetric, by: ChartBy, grid: Grid, of: JobFilter) -> Sequence[ChartSeries]:
    return ledger.series(metric, by, grid.range, grid.step_ms, of, now_ms=grid.now_ms)
