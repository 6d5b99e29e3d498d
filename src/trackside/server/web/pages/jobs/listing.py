"""The table of single jobs: what runs and what ended, as it was sampled; or what a search in the back-ends finds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from trackside.jobs.ledger.figures import JobFilter
from trackside.jobs.ledger.runs import Outcome, Run
from trackside.jobs.search import JobSearch
from trackside.jobs.verdicts.facts import SourceView
from trackside.model.jobs import Job, JobsSample, JobState
from trackside.server.jobs.ledger import JobsLedger
from trackside.server.jobs.runs.store import RunFilter
from trackside.server.jobs.searching import find_jobs
from trackside.server.jobs.watch import JobsWatch
from trackside.server.web.pages.jobs.choice import Choice
from trackside.server.web.verdict import Level

RUNNING_SHOWN = 50
PAGE = 50
GLIMPSE = 15
"""Of those that ended, as long as nobody turned to them."""
STATE_LEVELS = {
    JobState.SUCCEEDED: Level.OK,
    JobState.RUNNING: Level.OK,
    JobState.FAILED: Level.BAD,
    JobState.RETRYING: Level.WARN,
    JobState.CANCELLED: Level.UNKNOWN,
}
OUTCOME_LEVELS = {
    Outcome.SUCCEEDED: Level.OK,
    Outcome.FAILED: Level.BAD,
    Outcome.LOST: Level.BAD,
    Outcome.RETRIED: Level.WARN,
    Outcome.CANCELLED: Level.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class JobRow:
    source: str
    id: str
    kind: str
    queue: str
    level: Level
    state: str
    at_ms: int | None
    """The moment that says most of it: since when it runs or waits, or when it ended."""
    wait_s: float | None
    run_s: float | None
    attempt: str
    worker: str
    error: str


@dataclass(frozen=True, slots=True)
class JobTable:
    rows: tuple[JobRow, ...]
    next: str = ""
    """Where the next page begins; "" when there is none."""
    is_cut: bool = False
    """Older jobs were not looked at."""
    errors: tuple[str, ...] = ()
    """Of sources that could not be asked."""


def running_rows(views: Sequence[SourceView], choice: Choice) -> tuple[list[JobRow], int]:
    """Those that run longest first, and how many more the samples have."""
    found = [
        _job_row(view.name, job, view.sample)
        for view in views
        if view.sample is not None and not view.error
        for job in view.sample.running
        if choice.queue in ("", job.queue) and choice.kind in ("", job.kind)
    ]
    found.sort(key=lambda row: -(row.run_s or 0.0))
    return found[:RUNNING_SHOWN], max(0, len(found) - RUNNING_SHOWN)


def ended_table(ledger: JobsLedger, of: JobFilter, after: str) -> JobTable:
    found = ledger.recent(RunFilter(of), PAGE if after else GLIMPSE, after)
    return JobTable(tuple(_run_row(run) for run in found.runs), found.next)


def found_table(watch: JobsWatch, search: JobSearch, after: str) -> JobTable:
    """Asks the back-ends, each for no longer than its own bounds allow."""
    if not search.sources:
        return JobTable(())
    page = find_jobs(watch, search, after, PAGE)
    samples = {name: watch.samplers[name].seen.view.sample for name in search.sources}
    rows = tuple(_job_row(found.source, found.job, samples[found.source]) for found in page.jobs)
    return JobTable(rows, page.next, page.is_cut, page.errors)


def narrowed(search: JobSearch, choice: Choice, names: Iterable[str]) -> JobSearch:
    """What was written, and where it says nothing, what was chosen; in those of the sources `names` that are meant."""
    query, known = search.query, frozenset(names)
    return replace(
        search,
        sources=known & search.sources if search.sources else known,
        query=replace(
            query,
            states=query.states or (frozenset() if choice.state is None else frozenset((choice.state,))),
            queue=query.queue or choice.queue,
            kind=query.kind or choice.kind,
            worker=query.worker or choice.worker,
        ),
    )


def _job_row(source: str, job: Job, sample: JobsSample | None) -> JobRow:
    at_ms = sample.at_ms if sample is not None else None
    run_s, wait_s = job.run_s, job.wait_s
    if at_ms is not None and job.state is JobState.RUNNING and job.started_ms is not None:
        run_s = max(0, at_ms - job.started_ms) / 1000
    if at_ms is not None and job.state is JobState.QUEUED and job.ready_ms is not None:
        wait_s, run_s = max(0, at_ms - job.ready_ms) / 1000, None
    moments = {JobState.RUNNING: job.started_ms, JobState.SCHEDULED: job.due_ms, JobState.RETRYING: job.due_ms}
    moment = job.finished_ms if job.state.is_final else moments.get(job.state, job.ready_ms)
    of = f" of {job.max_attempts}" if job.max_attempts else ""
    return JobRow(
        source,
        job.id,
        job.kind,
        job.queue,
        STATE_LEVELS.get(job.state, Level.UNKNOWN),
        job.state.value,
        moment,
        wait_s,
        run_s,
        f"{job.attempt}{of}" if job.attempt is not None and (job.attempt > 1 or of) else "",
        job.worker or "",
        job.error or "",
    )


def _run_row(run: Run) -> JobRow:
    return JobRow(
        run.source,
        run.id,
        run.kind,
        run.queue,
        OUTCOME_LEVELS[run.outcome],
        run.outcome.value,
        run.ended_ms,
        run.wait_s,
        run.run_s,
        str(run.attempt) if run.attempt is not None and run.attempt > 1 else "",
        run.worker,
        run.error,
    )
