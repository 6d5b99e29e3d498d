"""The one chart of the page: what ended, how long jobs waited, or how long they ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trackside.jobs.ledger.charts import ChartBy, ChartMetric
from trackside.jobs.ledger.figures import ChartSeries, JobFilter
from trackside.jobs.ledger.runs import Outcome
from trackside.jobs.verdicts.facts import Deploy
from trackside.model.durations import format_duration
from trackside.server.jobs.ledger import JobsLedger, Range
from trackside.server.web.chart import Chart, Line
from trackside.server.web.pages.jobs.choice import Tab
from trackside.server.web.period import Period

MOST_BUCKETS = 120
KINDS_SHOWN = 7
_STEPS_S = (10, 20, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400, 172_800, 604_800)
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


def picture(ledger: JobsLedger, tab: Tab, grid: Grid, of: JobFilter, deploys: Sequence[Deploy]) -> Chart:
    if tab is Tab.FLOW:
        title, unit, lines = (
            f"Attempts that ended, in {format_duration(grid.step_ms)}",
            "amount",
            _flow(ledger, grid, of),
        )
    elif tab is Tab.WAIT:
        title, unit, lines = "How long jobs waited that began or ended then", "seconds", _wait(ledger, grid, of)
    else:
        title, unit, lines = "How long 95 of 100 runs took at most, by kind", "seconds", _run(ledger, grid, of)
    return Chart(
        f"jobs-{tab.value}",
        title,
        unit,
        grid.start_ms,
        grid.end_ms,
        grid.step_ms,
        lines,
        unfinished_ms=grid.unfinished_ms,
        stacked=tab is Tab.FLOW,
        joined=tab is not Tab.FLOW,
        is_log=tab is not Tab.FLOW,
        marks=tuple((one.at_ms, one.version) for one in deploys if grid.start_ms <= one.at_ms <= grid.end_ms),
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
    return tuple(
        Line(name, grid.values(series, None, sums=False), hue=hue)
        for metric, name, hue in _WAITS
        for series in _series(ledger, metric, ChartBy.ALL, grid, of)
    )


def _run(ledger: JobsLedger, grid: Grid, of: JobFilter) -> tuple[Line, ...]:
    found = _series(ledger, ChartMetric.RUN_P95, ChartBy.KIND, grid, of)[:KINDS_SHOWN]
    return tuple(
        Line(series.by or "not seen one by one", grid.values(series, None, sums=False), hue=hue)
        for hue, series in enumerate(found)
        if series.points
    )


def _series(ledger: JobsLedger, metric: ChartMetric, by: ChartBy, grid: Grid, of: JobFilter) -> Sequence[ChartSeries]:
    return ledger.series(metric, by, grid.range, grid.step_ms, of, now_ms=grid.now_ms)
