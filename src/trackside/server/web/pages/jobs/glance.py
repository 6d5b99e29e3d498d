"""Everything the page of all jobs shows of what was sampled: read from memory and from the ledger, on a thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trackside.exceptions import QueryError
from trackside.jobs.actor import Verb
from trackside.jobs.ledger.figures import FailureGroup, JobFilter
from trackside.jobs.search import parse_search
from trackside.server.jobs.ledger import JobsLedger, Range
from trackside.server.jobs.sampler import Seen
from trackside.server.jobs.watch import JobsWatch
from trackside.server.web.chart import Chart
from trackside.server.web.console import Console
from trackside.server.web.pages.jobs.acting import Bulk, Verbs, bulk_of, ids_of, verbs_of
from trackside.server.web.pages.jobs.choice import Choice
from trackside.server.web.pages.jobs.crew import ExpectedRow, WorkerRow, expected_rows, worker_rows
from trackside.server.web.pages.jobs.kinds import WEEK_MS, KindRow, kind_rows
from trackside.server.web.pages.jobs.lanes import Lane, SourceRow, lanes_of, source_rows
from trackside.server.web.pages.jobs.listing import JobRow, JobTable, ended_table, found_table, narrowed, running_rows
from trackside.server.web.pages.jobs.picture import grid_of, picture
from trackside.server.web.pages.jobs.timetable import Timetable, timetable
from trackside.server.web.pages.jobs.verdicts import VerdictRow, verdict_rows
from trackside.server.web.period import Period

FAILURES_SHOWN = 20
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Spent:
    """Money, as far as jobs said."""

    today_usd: float
    range_usd: float


@dataclass(frozen=True, slots=True)
class Jobs:
    """Single ones."""

    table: JobTable
    """What ended, or what was found."""
    running: tuple[JobRow, ...] = ()
    hidden_running: int = 0
    mistake: QueryError | None = None
    """In what was searched for."""
    bulk: Bulk | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    group: FailureGroup
    retried: tuple[str, ...]
    """Ids of those that a button would retry; none where the reader may not, or nobody can."""


@dataclass(frozen=True, slots=True)
class Glance:
    verdicts: tuple[VerdictRow, ...]
    verdicts_elsewhere: int
    sources: tuple[SourceRow, ...]
    lanes: tuple[Lane, ...]
    chart: Chart
    kinds: tuple[KindRow, ...]
    failures: tuple[Failure, ...]
    jobs: Jobs
    workers: tuple[WorkerRow, ...]
    hidden_workers: int
    expected: tuple[ExpectedRow, ...]
    schedules: Timetable
    spent: Spent
    verbs: Verbs
    """What the reader may do, by source."""


def glance(console: Console, choice: Choice, period: Period, *, may: bool) -> Glance | None:
    """None: no job queue is watched. `may`: whether the reader may act on jobs."""
    watch = console.jobs()
    if watch is None or is_idle(watch):
        return None
    verdicts, memory, names = watch.verdicts(), watch.memory(), choice.names(watch)
    seen = [one for one in watch.seen() if one.view.name in names]
    views = [one.view for one in seen]
    fidelity = {name: watch.samplers[name].source.fidelity for name in names}
    rows, elsewhere = verdict_rows(verdicts, choice, names, period)
    lanes = lanes_of(seen, memory, watch.expectations.limits, fidelity)
    workers, hidden_workers = worker_rows(views, memory, choice.queue)
    verbs = verbs_of(console, names, may=may)
    of, grid = choice.filter(watch), grid_of(period)
    return Glance(
        tuple(rows),
        elsewhere,
        tuple(source_rows(seen, fidelity, period.now_ms)),
        tuple(lane for lane in lanes if choice.queue in ("", lane.queue)),
        picture(watch.ledger, choice.tab, grid, of, watch.deploys()),
        tuple(_kinds(watch.ledger, grid.range, period, of)),
        tuple(_failures(watch.ledger, grid.range, of, verbs)),
        _jobs(watch, choice, names, of, verbs),
        tuple(workers),
        hidden_workers,
        tuple(_expected(watch, choice, seen, period)),
        timetable(views, memory, choice.queue),
        _spent(watch.ledger, grid.range, period, of),
        verbs,
    )


def is_idle(watch: JobsWatch) -> bool:
    """Nothing is declared, and no hook has told of a job."""
    return not watch.samplers and not watch.expected_beats() and not watch.ledger.totals()


def _kinds(ledger: JobsLedger, range: Range, period: Period, of: JobFilter) -> list[KindRow]:
    week_ago = Range(range.start_ms - WEEK_MS, range.end_ms - WEEK_MS)
    now = ledger.kinds(range, period.now_ms, of)
    before = ledger.kinds(week_ago, period.now_ms, of)
    return kind_rows(now, before, max(1.0, (min(range.end_ms, period.now_ms) - range.start_ms) / 1000))


def _failures(ledger: JobsLedger, range: Range, of: JobFilter, verbs: Verbs) -> Iterator[Failure]:
    for group in ledger.failures(range, of, FAILURES_SHOWN):
        can_retry = Verb.RETRY in verbs.get(group.source, {})
        yield Failure(group, ids_of(ledger, group, range.start_ms) if can_retry else ())


def _jobs(watch: JobsWatch, choice: Choice, names: Sequence[str], of: JobFilter, verbs: Verbs) -> Jobs:
    if not choice.is_search:
        views = [one.view for one in watch.seen() if one.view.name in names]
        running, hidden = running_rows(views, choice)
        return Jobs(ended_table(watch.ledger, of, choice.after), tuple(running), hidden)
    try:
        search = narrowed(parse_search(choice.text), choice, names)
    except QueryError as error:
        return Jobs(JobTable(()), mistake=error)
    return Jobs(found_table(watch, search, choice.after), bulk=bulk_of(search, verbs))


def _expected(watch: JobsWatch, choice: Choice, seen: Sequence[Seen], period: Period) -> list[ExpectedRow]:
    declared = watch.expectations
    workers = [one for one in declared.workers if choice.covers(one.source, one.queue)]
    beats = watch.expected_beats() if not choice.queue and not choice.source and not choice.backend else ()
    return expected_rows([one.view for one in seen], workers, beats, watch.beats(), period.now_ms)


def _spent(ledger: JobsLedger, range: Range, period: Period, of: JobFilter) -> Spent:
    now_ms = period.now_ms
    today = ledger.stats_between(Range(now_ms - now_ms % DAY_MS, now_ms + 1), now_ms, of)
    return Spent(today.cost_usd, ledger.stats_between(range, now_ms, of).cost_usd)
