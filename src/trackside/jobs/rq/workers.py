"""RQ's workers: who lives, by the time their keys have left, and what they have counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trackside.jobs.redis_store import text
from trackside.jobs.rq.cursor import WorkerBefore
from trackside.jobs.rq.job_hash import iso_ms, whole
from trackside.jobs.rq.keys import job_id
from trackside.model.jobs import Job, Throughput, WorkerNow

# An idle worker says every 405 s that it lives, and its key is kept for 480 s.
_IDLE_LIFETIME_MS = 480_000
_EXACT_MS = 1_000


@dataclass(frozen=True, slots=True)
class WorkerHash:
    """What Redis answered about one worker."""

    name: str
    fields: Mapping[bytes, bytes]
    """Empty: its key is gone."""
    left_ms: int
    """-1: for ever; -2: none."""
    executions: Iterable[bytes] = ()

    def text(self, field: str) -> str:
        return text(self.fields.get(field.encode()))


def worker_now(found: WorkerHash, before: WorkerBefore | None, skew_s: float | None, at_ms: int) -> WorkerNow:
    if not found.fields:
        # Listed, but it has not said for the whole lifetime of its key that it lives.
        return WorkerNow(
            id=found.name,
            state="gone",
            expected_ms=before.expected_ms if before and before.expected_ms else at_ms - 1,
            skew_s=before.skew_s if before else None,
        )
    current = found.text("current_job")
    return WorkerNow(
        id=found.name,
        queues=tuple(name for name in found.text("queues").split(",") if name),
        state=found.text("state"),
        beat_ms=iso_ms(found.text("last_heartbeat")),
        expected_ms=at_ms + found.left_ms if found.left_ms >= 0 else None,
        jobs=tuple(sorted({job_id(member) for member in found.executions})) or ((current,) if current else ()),
        succeeded=whole(found.text("successful_job_count")) or 0,
        failed_attempts=whole(found.text("failed_job_count")) or 0,
        busy_s=_seconds(found.text("total_working_time")),
        host=found.text("hostname") or None,
        process=whole(found.text("pid")),
        version=found.text("version") or None,
        started_ms=iso_ms(found.text("birth")),
        skew_s=skew_s,
    )


def skew_s(found: WorkerHash, measured_s: float | None, before: WorkerBefore | None, at_ms: int) -> float | None:
    """How far its clock is ahead. `measured_s` is exact, where it runs a job."""
    if measured_s is not None:
        return measured_s
    beat_ms = iso_ms(found.text("last_heartbeat"))
    if beat_ms is None or found.left_ms < 0:
        return before.skew_s if before else None
    # Both change with each beat, and their sum does not: the lifetime of the key minus the skew.
    sum_ms = at_ms - beat_ms + found.left_ms
    skew_ms = _IDLE_LIFETIME_MS - sum_ms
    if abs(skew_ms) <= _EXACT_MS:
        return skew_ms / 1000
    if before is not None and before.skew_s is not None:
        return before.skew_s
    if found.text("state") != "idle" or 0 < sum_ms < _IDLE_LIFETIME_MS:
        # As likely a key of another lifetime: of a worker that has just been busy, or was told its own.
        return None
    return skew_ms / 1000


def ended_since(
    workers: Sequence[WorkerHash], before: Mapping[str, WorkerBefore], finished: Sequence[Job]
) -> tuple[Throughput, ...]:
    """What the counters of workers have grown by. A worker of several queues does not say which: what was seen to
    end tells, and what was not seen has the queue ""."""
    totals: dict[str, list[int]] = {}
    for worker in workers:
        if not worker.fields:
            continue
        last = before.get(worker.name)
        if last is not None and last.started_ms != iso_ms(worker.text("birth")):
            last = None
        succeeded = _growth(whole(worker.text("successful_job_count")) or 0, last.succeeded if last else 0)
        failed = _growth(whole(worker.text("failed_job_count")) or 0, last.failed_attempts if last else 0)
        queues = [name for name in worker.text("queues").split(",") if name]
        if len(queues) == 1:
            _add(totals, queues[0], succeeded, failed)
            continue
        for job in finished:
            if job.worker != worker.name:
                continue
            if job.raw_state == "finished" and succeeded > 0:
                succeeded -= 1
                _add(totals, job.queue, 1, 0)
            elif job.raw_state == "failed" and failed > 0:
                failed -= 1
                _add(totals, job.queue, 0, 1)
        _add(totals, "", succeeded, failed)
    return tuple(Throughput(queue, *counts) for queue, counts in sorted(totals.items()) if any(counts))


def _add(totals: dict[str, list[int]], queue: str, succeeded: int, failed: int) -> None:
    counts = totals.setdefault(queue, [0, 0])
    counts[0] += succeeded
    counts[1] += failed


def _growth(now: int, before: int) -> int:
    """A counter that fell has begun anew."""
    return now - before if now >= before else now


def _seconds(value: str) -> float | None:
    try:
        return float(value) if value else None
    except ValueError:
        return None


def hash_of(name: str, answers: Sequence[Any]) -> WorkerHash:
    """Of HGETALL, PTTL and SMEMBERS."""
    fields, left_ms, executions = answers
    return WorkerHash(name, fields or {}, left_ms if isinstance(left_ms, int) else -2, executions or ())
