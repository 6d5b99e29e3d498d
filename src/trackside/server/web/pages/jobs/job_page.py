"""The page of one job: its life, its attempts, what it was given and what it gave, and what was done to it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from trackside.exceptions import SourceError
from trackside.jobs.actor import Ability, Verb
from trackside.jobs.ledger.figures import JobFilter
from trackside.jobs.ledger.runs import Run
from trackside.jobs.verdicts.facts import is_alive
from trackside.model.jobs import Attempt, Job, JobDetail, JobState
from trackside.server.jobs.actions.actions import Told
from trackside.server.jobs.runs.store import RunFilter
from trackside.server.jobs.watch import JobsWatch
from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.figures import age
from trackside.server.web.pages.jobs.acting import verbs_of
from trackside.server.web.pages.jobs.choice import job_path
from trackside.server.web.pages.jobs.life import Bar, Moment, attempts_of, bars, moments
from trackside.server.web.pages.jobs.listing import STATE_LEVELS
from trackside.server.web.pages.jobs.words import usd
from trackside.server.web.verdict import Level
from trackside.server.web.visitor import may_act

RUNS_SHOWN = 100
MAX_SHOWN_CHARS = 65_536
"""Of arguments, and of a result."""
MAX_RELATIVES = 100


@dataclass(frozen=True, slots=True)
class Trace:
    """Where more is known of what attempts did."""

    attempt: int
    trace_id: str
    link: str
    """ "": nobody has said where traces are shown."""
    request_id: str


@dataclass(frozen=True, slots=True)
class JobView:
    source: str
    job: Job
    level: Level
    detail: JobDetail | None
    """None: only the ledger remembers it."""
    error: str
    """Why the back-end could not be asked."""
    moments: tuple[Moment, ...]
    bars: tuple[Bar, ...]
    args: str
    kwargs: str
    result: str
    worker_now: str
    """What its worker does now, in words."""
    cost_usd: float | None
    raw: tuple[tuple[str, str], ...]
    actions: tuple[Told, ...]
    verbs: tuple[Verb, ...]
    """What may be done to it."""
    traces: tuple[Trace, ...]


def page_of(console: Console) -> Callable[[Request], Awaitable[Response]]:
    async def show(request: Request) -> Response:
        source, id = request.path_params["source"], request.path_params["id"]
        period = render.period_for(request, console)
        view = await run_in_threadpool(_view, console, (source, id), period.now_ms, may=may_act(request))
        if view is None:
            return render.error_page(404, "There is no such job", _GONE, f"{source} {id}")
        facts: dict[str, Any] = {"view": view, "job_path": job_path, "usd": usd, "here": job_path(source, id)}
        title = f"{view.job.kind or view.job.id} {view.job.state.value}"
        level = view.level if view.level is Level.BAD else Level.OK
        return render.respond(request, console, period, render.Page("job.html", "jobs", title, level, facts, {}))

    return show


_GONE = (
    "Its queue does not know it, or does so no longer: most libraries forget jobs some time after they ended. What is "
    "kept here are the last runs and all failures of some weeks."
)


def _view(console: Console, which: tuple[str, str], now_ms: int, *, may: bool) -> JobView | None:
    """None: nobody knows it. `may`: whether the reader may act on it."""
    source, id = which
    watch = console.jobs()
    if watch is None:
        return None
    runs = watch.ledger.recent(RunFilter(JobFilter(source), job_id=id), RUNS_SHOWN).runs
    detail, error = _asked(watch, source, id)
    if detail is None and not runs:
        return None
    job = detail.job if detail is not None else _job_of(runs[0])
    sample = watch.samplers[source].seen.view.sample if source in watch.samplers else None
    # A life is told by the clock of its back-end.
    at_ms = max(now_ms, sample.at_ms) if sample is not None else now_ms
    attempts = attempts_of(detail.attempts if detail is not None else (), runs)
    costs = [one.cost_usd for one in attempts if one.cost_usd is not None]
    actions = console.job_actions()
    return JobView(
        source,
        job,
        STATE_LEVELS.get(job.state, Level.UNKNOWN),
        detail,
        error,
        tuple(moments(job, at_ms)),
        tuple(bars(attempts, job.ready_ms, at_ms)),
        _shown(list(detail.args)) if detail is not None and detail.args else "",
        _shown(dict(detail.kwargs)) if detail is not None and detail.kwargs else "",
        _shown(detail.result) if detail is not None and detail.result is not None else "",
        _worker_now(watch, source, job.worker),
        sum(costs) if costs else None,
        _raw(job, detail),
        tuple(actions.of_job(source, id)) if actions is not None else (),
        _verbs(verbs_of(console, (source,), may=may)[source], job.state),
        tuple(_traces(watch, attempts)),
    )


def _traces(watch: JobsWatch, attempts: Sequence[Attempt]) -> Iterator[Trace]:
    for one in attempts:
        if one.trace_id or one.request_id:
            link = watch.trace_link(one.trace_id) if one.trace_id else ""
            yield Trace(one.number, one.trace_id or "", link, one.request_id or "")


def _asked(watch: JobsWatch, source: str, id: str) -> tuple[JobDetail | None, str]:
    sampler = watch.samplers.get(source)
    if sampler is None:
        return None, ""
    try:
        return sampler.get(id), ""
    except SourceError as error:
        return None, str(error)


def _job_of(run: Run) -> Job:
    state = {"succeeded": JobState.SUCCEEDED, "cancelled": JobState.CANCELLED, "retried": JobState.RETRYING}
    return Job(
        run.id,
        run.kind,
        run.queue,
        state.get(run.outcome.value, JobState.FAILED),
        run.outcome.value,
        run.ready_ms,
        None,
        run.started_ms,
        run.ended_ms,
        run.attempt,
        worker=run.worker or None,
        error=run.error or None,
    )


def _worker_now(watch: JobsWatch, source: str, id: str | None) -> str:
    sampler = watch.samplers.get(source)
    sample = sampler.seen.view.sample if sampler is not None else None
    if id is None or sample is None:
        return ""
    for worker in sample.workers:
        if worker.id == id:
            if not is_alive(worker, sample.at_ms):
                return "late to say that it lives"
            return "busy now" if worker.jobs else "idle now"
    memory = watch.memory().sources.get(source)
    seen = memory.workers.get(id) if memory is not None else None
    return "gone" if seen is None else f"gone; last heard {age(sample.at_ms - seen.seen_ms)} ago"


def _verbs(abilities: Mapping[Verb, Ability], state: JobState) -> tuple[Verb, ...]:
    return tuple(verb for verb, ability in abilities.items() if state in ability.states)


def _shown(value: Any) -> str:
    """JSON, as people read it, and not more than can be read."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    if len(text) <= MAX_SHOWN_CHARS:
        return text
    return f"{text[:MAX_SHOWN_CHARS]}\n… {len(text) - MAX_SHOWN_CHARS:,} more characters"


def _raw(job: Job, detail: JobDetail | None) -> tuple[tuple[str, str], ...]:
    facts = [("id", job.id), ("state there", job.raw_state)]
    if job.max_attempts is not None:
        facts.append(("attempts allowed", str(job.max_attempts)))
    return (*facts, *(detail.extra.items() if detail is not None else ()))
