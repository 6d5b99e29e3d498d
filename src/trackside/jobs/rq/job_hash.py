"""The hash that RQ keeps of a job, as a job."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from trackside.jobs.redis_store import text
from trackside.model.jobs import Job, JobState

STATES = {
    "created": JobState.BLOCKED,
    "queued": JobState.QUEUED,
    "ready_to_enqueue": JobState.QUEUED,
    "started": JobState.RUNNING,
    "finished": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
    "deferred": JobState.BLOCKED,
    "rate_limited": JobState.BLOCKED,
    "scheduled": JobState.SCHEDULED,
    "stopped": JobState.CANCELLED,
    "canceled": JobState.CANCELLED,
}
FIELDS = (
    "status",
    "origin",
    "description",
    "enqueued_at",
    "created_at",
    "started_at",
    "ended_at",
    "worker_name",
    "retries_left",
    "number_of_retries",
    "result_ttl",
    "failure_ttl",
)
# A call, as RQ describes jobs; an application may describe them in its own words.
_CALL = re.compile(r"([^\s()]{1,200})\(")
_MAX_TIME_MS = 253_402_300_799_000


@dataclass(frozen=True, slots=True)
class JobHash:
    job: Job
    is_described: bool
    """In words of the application: what the function is called is only in its payload."""
    result_ttl_s: int | None
    """None: the worker's own."""
    failure_ttl_s: int | None


def job_hash(id: str, values: Sequence[bytes | None] | None) -> JobHash | None:
    """Of the values of FIELDS. None: the job is gone."""
    if values is None or values[0] is None:
        # A late heartbeat may leave a hash with nothing but itself.
        return None
    status, origin, description, enqueued, created, started, ended, worker, left, retried, result_ttl, failure_ttl = (
        text(value) for value in values
    )
    state = STATES.get(status, JobState.BLOCKED)
    retries = whole(retried) or 0
    has_retries = bool(left) or retries > 0
    if state is JobState.SCHEDULED and started and has_retries:
        state = JobState.RETRYING
    call = _CALL.match(description)
    job = Job(
        id=id,
        kind=call[1] if call else description[:200],
        queue=origin,
        state=state,
        raw_state=status,
        enqueued_ms=iso_ms(enqueued) or iso_ms(created),
        started_ms=iso_ms(started),
        finished_ms=iso_ms(ended) if state.is_final else None,
        # Retries that follow an exception are counted down from a number which is not kept.
        attempt=retries + 1 if started and not left else None,
        worker=worker or None,
    )
    return JobHash(job, call is None, whole(result_ttl), whole(failure_ttl))


def iso_ms(value: str) -> int | None:
    """RQ writes UTC, with and without a fraction, and with a Z or nothing."""
    if not value:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return round(found.timestamp() * 1000)


def epoch_ms(value: object) -> int | None:
    """Of seconds since 1970, as a score or a field. None: there is none, or it never comes."""
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return round(found * 1000) if 0 <= found * 1000 <= _MAX_TIME_MS else None


def whole(value: str) -> int | None:
    try:
        return int(value)
    except ValueError:
        return None
