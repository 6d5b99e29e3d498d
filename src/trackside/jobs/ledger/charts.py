"""Cells as lines of a chart."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from trackside.jobs.ledger.cells import Cell, SeriesKey
from trackside.jobs.ledger.figures import ChartPoint, ChartSeries, Totals, success_rate

MAX_LINES = 20
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class ChartMetric(Enum):
    FINISHED = "finished"
    """Attempts that ended, in a bucket."""
    FAILED = "failed"
    """Attempts that did not work."""
    SUCCESS_RATE = "success_rate"
    WAIT_P50 = "wait_p50"
    WAIT_P95 = "wait_p95"
    WAIT_P99 = "wait_p99"
    RUN_P50 = "run_p50"
    RUN_P95 = "run_p95"
    RUN_P99 = "run_p99"
    RUN_MEAN = "run_mean"
    COST = "cost"
    """In dollars."""
    TOKENS = "tokens"
    CPU = "cpu"
    """Seconds."""


class ChartBy(Enum):
    """What a chart has a line for."""

    ALL = "all"
    SOURCE = "source"
    QUEUE = "queue"
    KIND = "kind"
    OUTCOME = "outcome"


def charts(
    cells: Iterable[tuple[int, SeriesKey, Cell]], metrics: Iterable[ChartMetric], by: ChartBy, step_ms: int
) -> list[list[ChartSeries]]:
    """For each metric. `cells` with the start of their bucket, in a tier that divides `step_ms`. The lines with most
    runs come first, at most `MAX_LINES` of them."""
    groups: dict[str, dict[int, Totals]] = {}
    for start_ms, key, cell in cells:
        buckets = groups.setdefault(_line(key, by), {})
        buckets.setdefault(start_ms - start_ms % step_ms, Totals()).add(key.outcome, cell)
    weight = {line: sum(totals.cell.count for totals in buckets.values()) for line, buckets in groups.items()}
    lines = sorted(groups, key=lambda line: (-weight[line], line))[:MAX_LINES]
    return [[ChartSeries(line, _points(groups[line], metric)) for line in lines] for metric in metrics]


def sketch_of(metric: ChartMetric) -> tuple[str, ...]:
    """Which sketch a metric is made from: "run", "wait" or none."""
    side = metric.value.partition("_")[0]
    return (side,) if side in ("run", "wait") else ()


def _points(buckets: dict[int, Totals], metric: ChartMetric) -> tuple[ChartPoint, ...]:
    found = []
    for start_ms in sorted(buckets):
        value = _value(buckets[start_ms], metric)
        if value is not None:
            found.append(ChartPoint(start_ms, value))
    return tuple(found)


def _value(totals: Totals, metric: ChartMetric) -> float | None:
    side, _, share = metric.value.partition("_")
    if share in _QUANTILES:
        return (totals.cell.wait if side == "wait" else totals.cell.run).quantile(_QUANTILES[share])
    if metric is ChartMetric.SUCCESS_RATE:
        return success_rate(totals.counts)
    if metric is ChartMetric.RUN_MEAN:
        return totals.cell.run.mean_s
    amounts = {
        ChartMetric.FINISHED: totals.cell.count,
        ChartMetric.FAILED: sum(count for outcome, count in totals.counts.items() if outcome.is_failure),
        ChartMetric.COST: totals.cell.cost_usd,
        ChartMetric.TOKENS: totals.cell.tokens,
        ChartMetric.CPU: totals.cell.cpu_s,
    }
    return float(amounts[metric])


def _line(key: SeriesKey, by: ChartBy) -> str:
    if by is ChartBy.ALL:
        return ""
    return key.outcome.value if by is ChartBy.OUTCOME else str(getattr(key, by.value))
