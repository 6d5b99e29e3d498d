"""The history of all jobs: takes what sources and hooks tell, each thing once, and answers what was."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from trackside.jobs.ledger.booking import Account, Booked, Names, booked, counted, paid
from trackside.jobs.ledger.cells import Cell, SeriesKey, cell_changes
from trackside.jobs.ledger.charts import ChartBy, ChartMetric, charts, sketch_of
from trackside.jobs.ledger.figures import (
    ChartSeries,
    FailureGroup,
    JobFilter,
    JobStats,
    KindStats,
    Recent,
    kinds_of,
    stats_of,
)
from trackside.jobs.ledger.runs import Run, run_of_job, run_of_report
from trackside.jobs.ledger.tiers import HOUR_MS, TIERS, Stretch, Tier, stretches, tier_for
from trackside.model.jobs import JobReport, JobsSample
from trackside.server.db.database import Database
from trackside.server.jobs import store
from trackside.server.jobs.cells import store as cells
from trackside.server.jobs.runs import store as runs
from trackside.server.jobs.runs.store import Bounds, Failed, RunFilter
from trackside.server.jobs.store import Position

MAX_FAILURE_GROUPS = 100
ANY = JobFilter()


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept, and how long."""

    tiers: Sequence[Tier] = TIERS
    """Finest first."""
    rows: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True, slots=True)
class Range:
    """[start, end)."""

    start_ms: int
    end_ms: int


class JobsLedger:
    """Blocks on SQLite: not for an event loop. Any thread may call it, and any process that shares the file."""

    def __init__(self, db: Database, kept: Kept | None = None) -> None:
        self._db = db
        self._kept = kept or Kept()
        db.create(store.SCHEMA, cells.SCHEMA, runs.SCHEMA)
        db.add_columns(runs.ADDED)

    def position(self, source: str) -> Position:
        """Where the next sample of `source` begins: to be handed back with it."""
        return self._db.read(partial(store.position, source=source))

    def take_sample(self, source: str, sample: JobsSample, since: Position) -> bool:
        """In one transaction. False: it was taken before, or another has taken one since the same position; nothing of
        it is counted then."""
        return self._db.write(partial(self._take_sample, source=source, sample=sample, since=since)).result()

    def take(self, reports: Iterable[JobReport], now_ms: int) -> int:
        """What hooks tell. How many of them told of an attempt that was not known before; the others are joined with
        what was, and those that make no sense are left out."""
        told: dict[str, list[Run]] = {}
        for report in reports:
            run = run_of_report(report, now_ms)
            if run is not None:
                told.setdefault(run.source, []).append(run)
        return self._db.write(partial(self._take_reports, told=told, now_ms=now_ms)).result() if told else 0

    def compact(self, now_ms: int) -> None:
        """Forget what is older than it may be. Now and then; every minute does no harm."""
        self._db.write(partial(self._prune, now_ms=now_ms)).result()

    def stats(self, hours: float, now_ms: int, of: JobFilter = ANY) -> JobStats:
        """Of what ended in the last `hours`."""
        return self.stats_between(Range(now_ms - int(hours * HOUR_MS), now_ms + 1), now_ms, of)

    def stats_between(self, range: Range, now_ms: int, of: JobFilter = ANY) -> JobStats:
        return stats_of(self._cells(range, now_ms, of), range.start_ms, range.end_ms)

    def kinds(self, range: Range, now_ms: int, of: JobFilter = ANY) -> tuple[KindStats, ...]:
        return kinds_of(self._cells(range, now_ms, of), range.start_ms, range.end_ms)

    def fared(self, range: Range, now_ms: int, of: JobFilter = ANY) -> tuple[JobStats, tuple[KindStats, ...]]:
        """All together, and by kind, from one look."""
        found = self._cells(range, now_ms, of)
        return stats_of(found, range.start_ms, range.end_ms), kinds_of(found, range.start_ms, range.end_ms)

    def costs_usd(self, range: Range, now_ms: int, of: JobFilter = ANY) -> dict[tuple[str, str], float]:
        """By source and kind, of those that cost something."""
        wanted = stretches(range.start_ms, range.end_ms, now_ms, self._kept.tiers)
        return self._db.read(lambda connection: cells.costs_usd(connection, of, wanted))

    def began_ms(self) -> int | None:
        """The day since which anything is counted."""
        return self._db.read(partial(cells.began_ms, step_ms=max(tier.step_ms for tier in self._kept.tiers)))

    def series(
        self, metric: ChartMetric, by: ChartBy, range: Range, step_ms: int, of: JobFilter = ANY, *, now_ms: int
    ) -> list[ChartSeries]:
        """Buckets of `step_ms`, or of the finest step that is still kept for that range, if that is longer."""
        return self.several([metric], by, range, step_ms, of, now_ms=now_ms)[0]

    def several(
        self,
        metrics: Sequence[ChartMetric],
        by: ChartBy,
        range: Range,
        step_ms: int,
        of: JobFilter = ANY,
        *,
        now_ms: int,
    ) -> list[list[ChartSeries]]:
        """As `series`, for metrics that are made from the same sketch, by one look."""
        tier = tier_for(range.start_ms, step_ms, now_ms, self._kept.tiers)
        step_ms = max(step_ms - step_ms % tier.step_ms, tier.step_ms)
        stretch = Stretch(tier.step_ms, range.start_ms - range.start_ms % step_ms, range.end_ms)
        (sketches,) = {sketch_of(metric) for metric in metrics}
        if sketches:
            found = self._db.read(lambda connection: list(cells.in_stretches(connection, of, [stretch], sketches)))
        else:
            found = self._db.read(lambda connection: list(cells.summed(connection, of, stretch, step_ms)))
        return charts(found, metrics, by, step_ms)

    def failures(self, range: Range, of: JobFilter = ANY, limit: int = MAX_FAILURE_GROUPS) -> tuple[FailureGroup, ...]:
        """Grouped by cause, most frequent first."""
        return self._db.read(
            lambda connection: runs.failures(connection, of, range.start_ms, range.end_ms, limit),
        )

    def recent(self, wanted: RunFilter | None = None, limit: int = 20, after: str = "") -> Recent:
        """Runs that ended, newest first."""
        return self._db.read(lambda connection: runs.recent(connection, wanted or RunFilter(), limit, after))

    def failed(self, source: str, kinds: Iterable[str], since_ms: int, limit: int = 1_000) -> list[Failed]:
        """Jobs of these kinds that failed for good, newest first."""
        return self._db.read(lambda connection: runs.failed(connection, source, kinds, since_ms, limit))

    def totals(self) -> list[tuple[SeriesKey, Cell]]:
        """Since ever, for counters."""
        return self._db.read(cells.totals)

    def _cells(self, range: Range, now_ms: int, of: JobFilter) -> list[tuple[SeriesKey, Cell]]:
        wanted = stretches(range.start_ms, range.end_ms, now_ms, self._kept.tiers)
        return self._db.read(
            lambda connection: [(key, cell) for _, key, cell in cells.in_stretches(connection, of, wanted)]
        )

    def _take_sample(self, connection: sqlite3.Connection, source: str, sample: JobsSample, since: Position) -> bool:
        now, cursor = store.position(connection, source), json.loads(json.dumps(sample.cursor))
        if now.version != since.version:
            return False
        if now.version and (sample.at_ms, cursor) == (now.at_ms, now.cursor):
            return False
        account = _account(connection, source)
        told = [run for job in sample.finished if (run := run_of_job(source, job, sample.at_ms)) is not None]
        entry = _book(connection, account, told)
        entries = counted(account, entry.changes, sample.ended, sample.at_ms, self._kept.tiers)
        cells.add(connection, entries.cells)
        store.advance(connection, source, Position(now.version + 1, sample.at_ms, cursor), entries.balances)
        return True

    def _take_reports(self, connection: sqlite3.Connection, told: dict[str, list[Run]], now_ms: int) -> int:
        added = 0
        for source, some in told.items():
            account = _account(connection, source)
            entry = _book(connection, account, some)
            cells.add(connection, cell_changes(entry.changes, self._kept.tiers))
            store.save_balances(connection, source, paid(account, entry.changes, now_ms))
            added += entry.added
        return added

    def _prune(self, connection: sqlite3.Connection, now_ms: int) -> None:
        cells.prune(connection, self._kept.tiers, now_ms)
        runs.prune(connection, self._kept.rows, now_ms)


def _account(connection: sqlite3.Connection, source: str) -> Account:
    return Account(source, Names(*cells.names(connection, source)), store.balances(connection, source))


def _book(connection: sqlite3.Connection, account: Account, told: Sequence[Run]) -> Booked:
    known = runs.known(connection, account.source, (run.id for run in told))
    entry = booked(known, told, account.names)
    runs.save(connection, entry.changes)
    return entry
