"""Counters and sketches of runs that belong together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from trackside.jobs.ledger.runs import Outcome, Run
from trackside.jobs.ledger.tiers import Tier
from trackside.jobs.sketch import Sketch

UNSEEN = ""
"""Kind of the runs that a back-end counts and does not show."""
OTHER = "other"
"""Kind of those whose own came after there were too many."""


class SeriesKey(NamedTuple):
    source: str
    queue: str
    kind: str
    outcome: Outcome


@dataclass(slots=True, eq=True)
class Cell:
    """Counts of one series in one bucket; as a change, they may be negative."""

    count: int = 0
    wait: Sketch = field(default_factory=Sketch)
    run: Sketch = field(default_factory=Sketch)
    cost_usd: float = 0.0
    tokens: int = 0
    cpu_s: float = 0.0

    def add(self, run: Run, sign: int = 1) -> None:
        self.count += sign
        if run.wait_s is not None:
            self.wait.add(run.wait_s, sign)
        if run.run_s is not None:
            self.run.add(run.run_s, sign)
        self.cost_usd += sign * (run.cost_usd or 0.0)
        self.tokens += sign * (run.tokens or 0)
        self.cpu_s += sign * (run.cpu_s or 0.0)

    def merge(self, other: Cell) -> None:
        self.count += other.count
        self.wait.merge(other.wait)
        self.run.merge(other.run)
        self.cost_usd += other.cost_usd
        self.tokens += other.tokens
        self.cpu_s += other.cpu_s


class Change(NamedTuple):
    """One run as it was known, and as it is now."""

    before: Run | None
    after: Run


class CellKey(NamedTuple):
    step_ms: int
    start_ms: int
    series: SeriesKey


@dataclass(slots=True)
class CellChanges:
    """What to add to what is stored."""

    cells: dict[CellKey, Cell] = field(default_factory=dict)
    totals: dict[SeriesKey, Cell] = field(default_factory=dict)
    """Since ever, for counters."""


def cell_changes(changes: Iterable[Change], tiers: Sequence[Tier]) -> CellChanges:
    """Each run in one bucket of every tier, by when it ended; one that is known better leaves where it was first."""
    made = CellChanges()
    for before, after in changes:
        if before is not None:
            _add(made, before, -1, tiers)
        _add(made, after, 1, tiers)
    return made


def add_unseen(made: CellChanges, key: SeriesKey, count: int, at_ms: int, tiers: Sequence[Tier]) -> None:
    for place in _places(made, key, at_ms, tiers):
        place.count += count


def series_key(run: Run) -> SeriesKey:
    return SeriesKey(run.source, run.counted_queue, run.counted_kind, run.outcome)


def _add(made: CellChanges, run: Run, sign: int, tiers: Sequence[Tier]) -> None:
    for place in _places(made, series_key(run), run.ended_ms, tiers):
        place.add(run, sign)


def _places(made: CellChanges, key: SeriesKey, at_ms: int, tiers: Sequence[Tier]) -> list[Cell]:
    found = [made.totals.setdefault(key, Cell())]
    for tier in tiers:
        found.append(made.cells.setdefault(CellKey(tier.step_ms, tier.start_of(at_ms), key), Cell()))  # noqa: PERF401
    return found
