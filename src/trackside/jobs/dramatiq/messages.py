"""A message of dramatiq, as JSON encodes it, as a job."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from trackside.jobs.failures import raised_last, shown_traceback
from trackside.jobs.redis_store import encoded
from trackside.model.jobs import Attempt, Job, JobState

MAX_MESSAGE_BYTES = 1 << 20
_MAX_MS = 253_402_300_799_000
MAX_TRACEBACK = 64_000


@dataclass(frozen=True, slots=True)
class Message:
    id: str
    kind: str
    queue: str
    """Without the ending of its delayed twin."""
    sent_ms: int | None
    eta_ms: int | None
    """Of a delayed one."""
    retries: int
    """Attempts that failed."""
    max_retries: int | None
    failed_ms: int | None
    """When the last of them did."""
    traceback: str
    """Of that attempt, with all that stands in it, secrets too."""
    args: Any
    kwargs: Any
    options: dict[str, Any]


def message_of(raw: bytes | None, queue: str) -> Message | None:
    """None: it is gone, of another encoder, or larger than is looked at."""
    if not raw or len(raw) > MAX_MESSAGE_BYTES:
        return None
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("message_id"), str):
        return None
    options = found.get("options")
    options = options if isinstance(options, dict) else {}
    kind, trace = found.get("actor_name"), options.get("traceback")
    return Message(
        id=_clean(found["message_id"][:200]),
        kind=_clean(kind[:200]) if isinstance(kind, str) and kind else "?",
        queue=queue,
        sent_ms=_ms(found.get("message_timestamp")),
        eta_ms=_ms(options.get("eta")),
        retries=_count(options.get("retries")) or 0,
        max_retries=_count(options.get("max_retries")),
        failed_ms=_ms(options.get("requeue_timestamp")),
        traceback=_clean(trace[-MAX_TRACEBACK:].strip()) if isinstance(trace, str) else "",
        args=found.get("args"),
        kwargs=found.get("kwargs"),
        options=options,
    )


def delayed_job(message: Message, at_ms: int) -> Job:
    """Of one that is on its delayed queue, or in the memory of a worker because of it."""
    if message.eta_ms is None or message.eta_ms <= at_ms:
        return _job(message, JobState.QUEUED, "delayed, and due")
    return _job(message, JobState.RETRYING if message.retries else JobState.SCHEDULED, "delayed")


def waiting_job(message: Message, due_ms: int | None) -> Job:
    """`due_ms`: as it was seen when it was delayed. The message does not say it any more."""
    return replace(_job(message, JobState.QUEUED, "waiting"), due_ms=due_ms or message.failed_ms)


def fetched_job(message: Message, worker: str, due_ms: int | None, lease_until_ms: int | None) -> Job:
    return replace(
        _job(message, JobState.RUNNING, "fetched"),
        due_ms=due_ms or message.failed_ms,
        worker=worker,
        lease_until_ms=lease_until_ms,
    )


def dead_job(message: Message, dead_ms: int | None) -> Job:
    return replace(_job(message, JobState.FAILED, "dead letter"), finished_ms=dead_ms)


def _job(message: Message, state: JobState, raw_state: str) -> Job:
    return Job(
        id=message.id,
        kind=message.kind,
        queue=message.queue,
        state=state,
        raw_state=raw_state,
        enqueued_ms=message.sent_ms,
        due_ms=message.eta_ms,
        attempt=message.retries + 1 if message.retries or state in (JobState.RUNNING, JobState.FAILED) else None,
        max_attempts=None if message.max_retries is None else message.max_retries + 1,
        error=raised_last(message.traceback),
    )


def attempts(message: Message, job: Job) -> tuple[Attempt, ...]:
    """A message carries the traceback of the attempt before: that of the last one, after which it was given up, was
    never written."""
    found = []
    if message.retries:
        found.append(
            Attempt(
                number=message.retries,
                outcome="retried",
                finished_ms=message.failed_ms,
                error=raised_last(message.traceback),
                traceback=shown_traceback(message.traceback) or None,
            )
        )
    if job.state is JobState.FAILED:
        found.append(Attempt(number=message.retries + 1, outcome="failed", finished_ms=job.finished_ms))
    elif job.state is JobState.RUNNING:
        found.append(Attempt(message.retries + 1, "running", started_ms=job.started_ms, worker=job.worker))
    return tuple(found)


def _clean(said: str) -> str:
    """Lone surrogates cannot be sent to a browser."""
    return encoded(said).decode()


def _ms(value: Any) -> int | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return round(value) if is_number and 0 < value <= _MAX_MS else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1_000_000 else None
