"""`/admin/…`: the state of workers, queues and jobs in few and simple answers, for scripts and small dashboards.

Success rate: succeeded / (succeeded + failed), by when jobs ended. Processing time: running, without waiting. An active
worker is one whose sign of life is in time, idle ones too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from trackside.exceptions import SourceError
from trackside.jobs.ledger.figures import JobStats
from trackside.jobs.ledger.runs import Outcome, Run
from trackside.jobs.verdicts.facts import waiting
from trackside.jobs.verdicts.judging import worst
from trackside.jobs.verdicts.verdict import Severity, Verdict, VerdictKind
from trackside.model.jobs import Job, JobQuery, JobState
from trackside.server.jobs.runs.store import RunFilter
from trackside.server.jobs.watch import JobsWatch
from trackside.server.web.api.answers import failure
from trackside.server.web.api.job_json import Json, job_json, moment, plain, verdict_json
from trackside.server.web.api.job_now import queues_json, running_count, samples, sources_json, workers_json
from trackside.server.web.console import Console
from trackside.server.web.forms import ParameterError

MAX_RECENT = 100
USUAL_RECENT = 20
USUAL_HOURS = 24.0
MAX_HOURS = 3 * 366 * 24
STATUSES = ("queued", "processing", "succeeded", "failed")
_IN_REDIS = frozenset(("rq", "celery", "arq", "dramatiq"))
_HOURS = re.compile(r"\d{1,6}(\.\d{1,6})?", re.A)
_STATUS_OF = {
    JobState.RUNNING: "processing",
    JobState.SUCCEEDED: "succeeded",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}
_STATUS_OF_OUTCOME = {Outcome.SUCCEEDED: "succeeded", Outcome.CANCELLED: "cancelled"}
_OUTCOMES = {
    "succeeded": frozenset((Outcome.SUCCEEDED,)),
    "failed": frozenset((Outcome.FAILED, Outcome.LOST)),
    "": frozenset((Outcome.SUCCEEDED, Outcome.FAILED, Outcome.LOST, Outcome.CANCELLED)),
}
_NOT_BEGUN = frozenset((JobState.QUEUED, JobState.SCHEDULED, JobState.RETRYING, JobState.BLOCKED))


@dataclass(frozen=True, slots=True)
class AdminApi:
    console: Console

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/admin/health", self._answer(self._health)),
            Route("/admin/workers", self._answer(_workers)),
            Route("/admin/jobs/stats", self._answer(self._stats)),
            Route("/admin/jobs/recent", self._answer(_recent)),
            Route("/admin/metrics", self._answer(self._metrics)),
        ]

    def _answer(self, answer: Callable[[JobsWatch, Mapping[str, str]], Json]) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            watch = self.console.jobs()
            if watch is None:
                reason = "this server watches no jobs: declare a source under `jobs` in its configuration"
                return failure(reason, "not_found", 404, detail=reason)
            try:
                found = await run_in_threadpool(answer, watch, request.query_params)
            except ParameterError as error:
                return failure(str(error), "bad_data", 422, detail=str(error))
            return JSONResponse(plain(found), 503 if found.get("status") == "down" else 200)

        return handle

    def _health(self, watch: JobsWatch, given: Mapping[str, str]) -> Json:
        verdicts, sources, queues = watch.verdicts(), sources_json(watch), queues_json(watch)
        severity, workers = worst(verdicts), workers_json(watch)
        return {
            "status": _status(verdicts[0], is_known=any(source["is_up"] for source in sources)),
            "severity": severity.value,
            "verdict": verdicts[0].sentence,
            "next_step": verdicts[0].next_step,
            "timestamp": moment(self.console.clock.now_ms()),
            "database": _reached(sources, in_redis=False),
            "redis": _reached(sources, in_redis=True),
            "workers": _worker_counts(workers),
            "queues": [
                {name: queue[name] for name in ("source", "queue", "waiting", "oldest_seconds", "is_unserved")}
                for queue in queues
            ],
            "verdicts": [verdict_json(verdict) for verdict in verdicts],
        }

    def _stats(self, watch: JobsWatch, given: Mapping[str, str]) -> Json:
        hours = _hours(given)
        stats = watch.ledger.stats(hours, self.console.clock.now_ms())
        ended = _ended(stats)
        by_status = {"queued": _queued_count(watch), "processing": running_count(watch), **ended}
        return {
            "hours": hours,
            "total": sum(by_status.values()),
            "by_status": by_status,
            "success_rate": stats.success_rate,
            "average_processing_seconds": stats.mean_run_s,
            "processing_seconds": {f"p{round(100 * share)}": value for share, value in stats.run_s.items()},
            "waiting_seconds": {f"p{round(100 * share)}": value for share, value in stats.wait_s.items()},
            "retried_attempts": stats.counts.get(Outcome.RETRIED, 0),
            "cost_usd": stats.cost_usd,
        }

    def _metrics(self, watch: JobsWatch, given: Mapping[str, str]) -> Json:
        totals: dict[str, int] = {outcome.value: 0 for outcome in Outcome}
        for key, cell in watch.ledger.totals():
            totals[key.outcome.value] += cell.count
        return {
            "timestamp": moment(self.console.clock.now_ms()),
            "totals": {**totals, "attempts": sum(totals.values())},
            "queue_depth": _queued_count(watch),
            "processing": running_count(watch),
            "queues": {f"{queue['source']}/{queue['queue']}": queue["waiting"] for queue in queues_json(watch)},
            "workers": _worker_counts(workers_json(watch)),
        }


def _status(first: Verdict, *, is_known: bool) -> str:
    if first.severity is Severity.DOWN:
        return "down"
    if first.severity is Severity.CALM:
        return "healthy" if is_known and first.kind is not VerdictKind.LOOKING else "unknown"
    return "healthy" if first.severity is Severity.LOW else "degraded"


def _reached(sources: list[Json], *, in_redis: bool) -> Json:
    """The back-ends of one sort. None of it: `configured` is false."""
    those = [source for source in sources if (source["backend"] in _IN_REDIS) == in_redis]
    down = [source for source in those if source["error"]]
    return {
        "configured": bool(those),
        "status": "unknown" if not those else "down" if down else "up",
        "sources": [source["name"] for source in those],
        "errors": [source["error"] for source in down],
    }


def _worker_counts(workers: list[Json]) -> Json:
    active = [worker for worker in workers if worker["status"] == "active"]
    return {
        "active": len(active),
        "busy": sum(worker["is_busy"] for worker in active),
        "late": sum(worker["status"] == "late" for worker in workers),
        "inferred": any(worker["is_inferred"] for worker in workers),
    }


def _workers(watch: JobsWatch, given: Mapping[str, str]) -> Json:
    workers = workers_json(watch)
    return {
        **_worker_counts(workers),
        "total": sum(worker["status"] != "gone" for worker in workers),
        "workers": workers,
    }


def _queued_count(watch: JobsWatch) -> int:
    return sum(waiting(queue) or 0 for _, sample in samples(watch) for queue in sample.queues)


def _ended(stats: JobStats) -> dict[str, int]:
    return {
        "succeeded": stats.counts.get(Outcome.SUCCEEDED, 0),
        "failed": stats.counts.get(Outcome.FAILED, 0) + stats.counts.get(Outcome.LOST, 0),
        "cancelled": stats.counts.get(Outcome.CANCELLED, 0),
    }


def _recent(watch: JobsWatch, given: Mapping[str, str]) -> Json:
    limit, status = _limit(given), given.get("status", "")
    if status and status not in STATUSES:
        raise ParameterError("status", f"cannot use {status[:80]!r}; expected {', '.join(STATUSES)}")
    found: dict[tuple[str, str], tuple[int, Json]] = {}
    errors: list[str] = []
    if status in _OUTCOMES:
        for run in watch.ledger.recent(RunFilter(outcomes=_OUTCOMES[status]), limit).runs:
            found.setdefault((run.source, run.id), (run.ended_ms, _of_run(run)))
    if status in ("", "processing"):
        # One that runs again has ended before: what it does now is said.
        found |= _running(watch)
    if status in ("", "queued"):
        queued, errors = _queued(watch, limit)
        found |= queued
    newest = sorted(found.values(), key=lambda one: -one[0])[:limit]
    return {"jobs": [job for _, job in newest], "count": len(newest), "limit": limit, "errors": errors}


def _running(watch: JobsWatch) -> dict[tuple[str, str], tuple[int, Json]]:
    return {
        (view.name, job.id): (_latest_ms(job), _of_job(view.name, job, sample.at_ms))
        for view, sample in samples(watch)
        for job in sample.running
    }


def _queued(watch: JobsWatch, limit: int) -> tuple[dict[tuple[str, str], tuple[int, Json]], list[str]]:
    """Asked of the back-ends: a sample counts them, and does not list them."""
    found: dict[tuple[str, str], tuple[int, Json]] = {}
    errors = []
    for name, sampler in watch.samplers.items():
        try:
            page = sampler.find(JobQuery(_NOT_BEGUN), limit=limit)
        except SourceError as error:
            errors.append(f"{name}: {error}")
            continue
        sample = sampler.seen.view.sample
        at_ms = None if sample is None else sample.at_ms
        found |= {(name, job.id): (_latest_ms(job), _of_job(name, job, at_ms)) for job in page.jobs}
    return found, errors


def _latest_ms(job: Job) -> int:
    return max((at for at in (job.enqueued_ms, job.started_ms, job.finished_ms) if at is not None), default=0)


def _of_job(source: str, job: Job, at_ms: int | None) -> Json:
    seen = job_json(source, job, at_ms)
    same = ("id", "source", "kind", "queue", "state", "started_at", "finished_at", "attempt", "worker", "error")
    return {
        **{name: seen[name] for name in same},
        "status": _STATUS_OF.get(job.state, "queued"),
        "created_at": seen["enqueued_at"],
        "processing_seconds": seen["run_seconds"],
        "waiting_seconds": seen["wait_seconds"],
    }


def _of_run(run: Run) -> Json:
    return {
        "id": run.id,
        "source": run.source,
        "kind": run.kind,
        "queue": run.queue,
        "status": _STATUS_OF_OUTCOME.get(run.outcome, "failed"),
        "state": run.outcome.value,
        "created_at": moment(run.ready_ms),
        "started_at": moment(run.started_ms),
        "finished_at": moment(run.ended_ms),
        "processing_seconds": run.run_s,
        "waiting_seconds": run.wait_s,
        "attempt": run.attempt,
        "worker": run.worker or None,
        "error": run.error or None,
    }


def _hours(given: Mapping[str, str]) -> float:
    text = given.get("hours", "")
    if not text:
        return USUAL_HOURS
    hours = float(text) if _HOURS.fullmatch(text) else 0.0
    if not 0 < hours <= MAX_HOURS:
        raise ParameterError(
            "hours", f"cannot use {text[:80]!r}; expected a number of hours, above 0 and at most {MAX_HOURS}"
        )
    return int(hours) if hours == int(hours) else hours


def _limit(given: Mapping[str, str]) -> int:
    text = given.get("limit", "")
    if not text:
        return USUAL_RECENT
    limit = int(text) if re.fullmatch(r"\d{1,9}", text, re.A) else 0
    if not 1 <= limit <= MAX_RECENT:
        raise ParameterError("limit", f"cannot use {text[:80]!r}; expected a whole number from 1 to {MAX_RECENT}")
    return limit
