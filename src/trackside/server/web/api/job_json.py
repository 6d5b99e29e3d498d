"""Jobs, queues, workers and verdicts as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from trackside.jobs.ledger.figures import FailureGroup, JobStats, KindStats
from trackside.jobs.ledger.runs import Outcome, Run
from trackside.jobs.search import run_ms, wait_ms
from trackside.jobs.verdicts.verdict import Verdict
from trackside.model.jobs import Attempt, Job, JobDetail, ScheduleNow
from trackside.server.web.api.times import rfc3339

Json = dict[str, Any]


def moment(at_ms: int | None) -> str | None:
    """None stays None: it is not known."""
    if at_ms is None or not 0 <= at_ms < 253_402_300_800_000:
        return None
    return rfc3339(at_ms)


def plain(value: Any) -> Any:
    """Only what JSON has: what is no number is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def job_json(source: str, job: Job, now_ms: int | None) -> Json:
    """`now_ms` is the back-end's clock: what runs or waits has done so until then."""
    run, wait = (None, None) if now_ms is None else (run_ms(job, now_ms), wait_ms(job, now_ms))
    return {
        "source": source,
        "id": job.id,
        "kind": job.kind,
        "queue": job.queue,
        "state": job.state.value,
        "raw_state": job.raw_state,
        "enqueued_at": moment(job.enqueued_ms),
        "due_at": moment(job.due_ms),
        "started_at": moment(job.started_ms),
        "finished_at": moment(job.finished_ms),
        "wait_seconds": job.wait_s if wait is None else wait / 1_000,
        "run_seconds": job.run_s if run is None else run / 1_000,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "worker": job.worker,
        "lease_until": moment(job.lease_until_ms),
        "error": job.error,
    }


def detail_json(source: str, detail: JobDetail, now_ms: int | None) -> Json:
    return {
        **job_json(source, detail.job, now_ms),
        "args": plain(detail.args),
        "kwargs": plain(detail.kwargs),
        "result": plain(detail.result),
        "attempts": [_attempt_json(attempt) for attempt in detail.attempts],
        "parents": list(detail.parents),
        "children": list(detail.children),
        "extra": plain(detail.extra),
    }


def run_json(run: Run) -> Json:
    return {
        "source": run.source,
        "id": run.id,
        "kind": run.kind,
        "queue": run.queue,
        "outcome": run.outcome.value,
        "attempt": run.attempt,
        "ready_at": moment(run.ready_ms),
        "started_at": moment(run.started_ms),
        "ended_at": moment(run.ended_ms),
        "wait_seconds": run.wait_s,
        "run_seconds": run.run_s,
        "worker": run.worker,
        "error": run.error,
        "traceback": run.traceback,
        "cost_usd": run.cost_usd,
        "tokens": run.tokens,
        "cpu_seconds": run.cpu_s,
        "peak_memory_bytes": run.peak_memory_bytes,
        "trace_id": run.trace_id,
        "request_id": run.request_id,
    }


def stats_json(stats: JobStats) -> Json:
    return {
        "start": moment(stats.start_ms),
        "end": moment(stats.end_ms),
        "counts": {outcome.value: stats.counts.get(outcome, 0) for outcome in Outcome},
        "success_rate": stats.success_rate,
        "mean_run_seconds": stats.mean_run_s,
        "run_seconds": _quantiles(stats.run_s),
        "wait_seconds": _quantiles(stats.wait_s),
        "cost_usd": stats.cost_usd,
        "tokens": stats.tokens,
        "cpu_seconds": stats.cpu_s,
    }


def kind_json(kind: KindStats) -> Json:
    return {
        "source": kind.source,
        "kind": kind.kind,
        **stats_json(kind.stats),
        "attempts_per_success": kind.attempts_per_success,
        "cost_per_success": kind.cost_per_success,
    }


def failure_json(group: FailureGroup) -> Json:
    return {
        "source": group.source,
        "cause": group.cause,
        "kind": group.kind,
        "text": group.text,
        "count": group.count,
        "first_at": moment(group.first_ms),
        "last_at": moment(group.last_ms),
        "newest": run_json(group.newest),
    }


def schedule_json(source: str, schedule: ScheduleNow) -> Json:
    return {
        "source": source,
        "name": schedule.name,
        "kind": schedule.kind,
        "queue": schedule.queue,
        "rule": schedule.rule,
        "last_at": moment(schedule.last_ms),
        "next_at": moment(schedule.next_ms),
    }


def verdict_json(verdict: Verdict) -> Json:
    return {
        "kind": verdict.kind.value,
        "severity": verdict.severity.value,
        "sentence": verdict.sentence,
        "next_step": verdict.next_step,
        "source": verdict.source,
        "queue": verdict.queue,
        "jobs": list(verdict.jobs),
        "workers": list(verdict.workers),
        "figures": plain(verdict.figures),
        "since": moment(verdict.since_ms),
    }


def _attempt_json(attempt: Attempt) -> Json:
    return {
        "number": attempt.number,
        "outcome": attempt.outcome,
        "started_at": moment(attempt.started_ms),
        "finished_at": moment(attempt.finished_ms),
        "worker": attempt.worker,
        "error": attempt.error,
        "traceback": attempt.traceback,
        "cost_usd": attempt.cost_usd,
        "peak_memory_bytes": attempt.peak_memory_bytes,
        "cpu_seconds": attempt.cpu_s,
        "trace_id": attempt.trace_id,
        "request_id": attempt.request_id,
    }


def _quantiles(by_share: Mapping[float, float]) -> dict[str, float]:
    return {f"p{round(100 * share)}": value for share, value in by_share.items()}
