"""What is read from the ledger: its counts as the figures people ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from trackside.jobs.ledger.cells import Cell, SeriesKey
from trackside.jobs.ledger.runs import Outcome, Run


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which series count. None: any. (An empty kind is that of runs that were counted and not seen.)"""

    source: str | None = None
    queue: str | None = None
    kind: str | None = None
    sources: frozenset[str] | None = None
    """Any of these, and no other."""


@dataclass(frozen=True, slots=True)
class JobStats:
    """What ended in a range, by when it ended."""

    start_ms: int
    end_ms: int
    counts: Mapping[Outcome, int]
    success_rate: float | None
    """Succeeded / (succeeded + failed), of jobs: attempts that were retried are neither. None: nothing ended."""
    mean_run_s: float | None
    """Of the runs whose duration is known; without waiting."""
    run_s: Mapping[float, float]
    """Share to duration: 0.5, 0.95 and 0.99; empty when none is known."""
    wait_s: Mapping[float, float]
    cost_usd: float
    tokens: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class KindStats:
    source: str
    kind: str
    """"" for the runs that a back-end counts and does not show."""
    stats: JobStats
    attempts_per_success: float | None
    cost_per_success: float | None


@dataclass(frozen=True, slots=True)
class ChartPoint:
    start_ms: int
    """Of the bucket."""
    value: float


@dataclass(frozen=True, slots=True)
class ChartSeries:
    by: str
    """Value of what the chart is split by; "" for all in one."""
    points: tuple[ChartPoint, ...]
    """Buckets with something in them, oldest first."""


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures of one cause."""

    source: str
    cause: str
    kind: str
    text: str
    """The error, without what differs from one to the next."""
    count: int
    """In the range."""
    first_ms: int
    """Ever."""
    last_ms: int
    newest: Run


@dataclass(frozen=True, slots=True)
class Recent:
    runs: tuple[Run, ...]
    """Newest first."""
    next: str = ""
    """Where the next page begins; empty: this is the last one."""


@dataclass(slots=True)
class Totals:
    """Cells of one group, added up."""

    counts: dict[Outcome, int] = field(default_factory=dict)
    cell: Cell = field(default_factory=Cell)

    def add(self, outcome: Outcome, cell: Cell) -> None:
        self.counts[outcome] = self.counts.get(outcome, 0) + cell.count
        self.cell.merge(cell)

    def stats(self, start_ms: int, end_ms: int) -> JobStats:
        cell = self.cell
        return JobStats(
            start_ms,
            end_ms,
            {outcome: count for outcome, count in self.counts.items() if count},
            success_rate(self.counts),
            cell.run.mean_s,
            _quantiles(cell, "run"),
            _quantiles(cell, "wait"),
            cell.cost_usd,
            cell.tokens,
            cell.cpu_s,
        )


def stats_of(cells: Iterable[tuple[SeriesKey, Cell]], start_ms: int, end_ms: int) -> JobStats:
    totals = Totals()
    for key, cell in cells:
        totals.add(key.outcome, cell)
    return totals.stats(start_ms, end_ms)


def kinds_of(cells: Iterable[tuple[SeriesKey, Cell]], start_ms: int, end_ms: int) -> tuple[KindStats, ...]:
    """The busiest first."""
    groups: dict[tuple[str, str], Totals] = {}
    for key, cell in cells:
        groups.setdefault((key.source, key.kind), Totals()).add(key.outcome, cell)
    found = [
        KindStats(source, kind, totals.stats(start_ms, end_ms), *_per_success(totals))
        for (source, kind), totals in groups.items()
        if totals.cell.count
    ]
    return tuple(sorted(found, key=lambda kind: (-sum(kind.stats.counts.values()), kind.source, kind.kind)))


def success_rate(counts: Mapping[Outcome, int]) -> float | None:
    succeeded = counts.get(Outcome.SUCCEEDED, 0)
    ended = succeeded + counts.get(Outcome.FAILED, 0) + counts.get(Outcome.LOST, 0)
    return succeeded / ended if ended else None


def _per_success(totals: Totals) -> tuple[float | None, float | None]:
    succeeded = totals.counts.get(Outcome.SUCCEEDED, 0)
    if not succeeded:
        return None, None
    attempts = sum(count for outcome, count in totals.counts.items() if outcome is not Outcome.CANCELLED)
    return attempts / succeeded, totals.cell.cost_usd / succeeded


def _quantiles(cell: Cell, of: str) -> dict[float, float]:
    sketch = cell.run if of == "run" else cell.wait
    return {share: value for share in (0.5, 0.95, 0.99) if (value := sketch.quantile(share)) is not None}
