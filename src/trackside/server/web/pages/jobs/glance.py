"""Everything the page of all jobs shows of what was sampled: read from memory and from the ledger, on a thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trackside.exceptions import QueryError
from trackside.jobs.actor import Verb
from trackside.jobs.ledger.figures import FailureGroup, JobFilter
from trackside.jobs.search import parse_search
from trackside.jobs.verdicts.facts import ExpectedWorkers, SourceView
from trackside.server.jobs.lately import spending
from trackside.server.jobs.ledger import JobsLedger, Range
from trackside.server.jobs.watch import JobsWatch
from trackside.server.web.chart import Chart
from trackside.server.web.console import Console
from trackside.server.web.pages.jobs.acting import Bulk, Verbs, bulk_of, ids_of, verbs_of
from trackside.server.web.pages.jobs.choice import Choice
from trackside.server.web.pages.jobs.completion import search_words
from trackside.server.web.pages.jobs.crew import ExpectedRow, Watched, WorkerRow, expected_rows, worker_rows
from trackside.server.web.pages.jobs.kinds import WEEK_MS, KindRow, kind_rows
from trackside.server.web.pages.jobs.lanes import Lane, SourceRow, lanes_of, source_rows
from trackside.server.web.pages.jobs.listing import JobRow, JobTable, ended_table, found_table, narrowed, running_rows
from trackside.server.web.pages.jobs.picture import Beside, grid_of, picture
from trackside.server.web.pages.jobs.timetable import Timetable, timetable
from trackside.server.web.pages.jobs.verdicts import VerdictRow, verdict_rows
from trackside.server.web.pages.jobs.weeks import Weeks, weeks
from trackside.server.web.period import Period

FAILURES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Spent:
    """Money, as far as jobs said."""

    today_usd: float
    range_usd: float
    by_midnight_usd: float = 0.0
    """What today will have cost if it goes on as in the last hour."""
    budget_usd: float | None = None
    """Of a day."""


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
    weeks: Weeks | None
    words: tuple[str, ...]
    """To search for."""


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
    kinds = _kinds(watch.ledger, grid.range, period, of)
    failures = tuple(_failures(watch.ledger, grid.range, of, verbs))
    beside = Beside(watch.deploys(), watch.expectations.limits.budget_usd)
    return Glance(
        tuple(rows),
        elsewhere,
        tuple(source_rows(seen, fidelity, period.now_ms)),
        tuple(lane for lane in lanes if choice.queue in ("", lane.queue)),
        picture(watch.ledger, choice.tab, grid, of, beside),
        tuple(kinds),
        failures,
        _jobs(watch, choice, names, of, verbs),
        tuple(workers),
        hidden_workers,
        tuple(_expected(watch, choice, views, period)),
        timetable(views, memory, choice.queue, watch.ledger.failed),
        _spent(watch, grid.range, period, of),
        verbs,
        weeks(watch.spans.of(of, period.now_ms)),
        search_words(views, (row.kind for row in kinds), (one.group for one in failures)),
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


def _expected(watch: JobsWatch, choice: Choice, views: Sequence[SourceView], period: Period) -> list[ExpectedRow]:
    declared = watch.expectations
    workers = [one for one in declared.workers if _is_shown(one, choice, views)]
    beats = watch.expected_beats() if not choice.queue and not choice.source and not choice.backend else ()
    watched = Watched(watch.since_ms, period.now_ms, declared.limits)
    return expected_rows(views, workers, beats, watch.beats(), watched)


def _is_shown(one: ExpectedWorkers, choice: Choice, views: Sequence[SourceView]) -> bool:
    """Workers that may be of any source belong where their queue is."""
    if not choice.covers(one.source, one.queue):
        return False
    if one.source:
        return any(view.name == one.source for view in views)
    return not choice.backend or any(
        view.sample is not None and any(queue.name == one.queue for queue in view.sample.queues) for view in views
    )


def _spent(watch: JobsWatch, range: Range, period: Period, of: JobFilter) -> Spent:
    now = spending(watch.ledger, period.now_ms, of)
    return Spent(
        now.today_usd,
        sum(watch.ledger.costs_usd(range, period.now_ms, of).values()),
        now.projected_usd(period.now_ms),
        watch.expectations.limits.budget_usd,
    )
