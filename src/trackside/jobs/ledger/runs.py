"""What the ledger keeps of one attempt that ended, whoever told of it: a sample, a hook, or both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, IntFlag
from math import isfinite
from typing import TypeVar

from trackside.jobs.failures import shown_traceback
from trackside.jobs.ledger.causes import last_line
from trackside.model.jobs import Job, JobReport, JobState

MAX_NAME = 200
MAX_ERROR = 2_000
MAX_TRACEBACK = 16_384
_MAX_INTEGER = 2**53

T = TypeVar("T")


class Outcome(Enum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """For good, as far as anyone knows."""
    RETRIED = "retried"
    """The attempt failed, and there will be another."""
    CANCELLED = "cancelled"
    LOST = "lost"
    """The worker died with it."""

    @property
    def is_failure(self) -> bool:
        """Of the attempt, whatever becomes of the job."""
        return self in (Outcome.FAILED, Outcome.RETRIED, Outcome.LOST)


class Origin(IntFlag):
    SAMPLE = 1
    HOOK = 2


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt that ended."""

    source: str
    id: str
    kind: str
    queue: str
    outcome: Outcome
    ended_ms: int
    """Never later than when it was told of."""
    attempt: int | None = None
    ready_ms: int | None = None
    started_ms: int | None = None
    wait_s: float | None = None
    run_s: float | None = None
    worker: str = ""
    error: str = ""
    traceback: str = ""
    cost_usd: float | None = None
    tokens: int | None = None
    cpu_s: float | None = None
    peak_memory_bytes: int | None = None
    trace_id: str = ""
    origins: Origin = Origin.SAMPLE
    counted_queue: str = ""
    counted_kind: str = ""
    """Under which names it is counted: the last two, unless there were too many of them."""
    seq: int = 0
    """Its row; 0: none yet."""
    request_id: str = ""


_OUTCOMES = {
    JobState.SUCCEEDED: Outcome.SUCCEEDED,
    JobState.FAILED: Outcome.FAILED,
    JobState.CANCELLED: Outcome.CANCELLED,
    # A finished job in one of these is an attempt that failed: the job itself goes on.
    JobState.RETRYING: Outcome.RETRIED,
    JobState.SCHEDULED: Outcome.RETRIED,
    JobState.QUEUED: Outcome.RETRIED,
}


def run_of_job(source: str, job: Job, at_ms: int) -> Run | None:
    """None: it has not ended. `at_ms` is the back-end's clock at the sample: nothing has ended after it."""
    outcome = _OUTCOMES.get(job.state)
    if outcome is None or not job.id:
        return None
    return Run(
        source,
        _text(job.id),
        _text(job.kind),
        _text(job.queue),
        outcome,
        min(at_ms, at_ms if job.finished_ms is None else job.finished_ms),
        job.attempt,
        job.ready_ms,
        job.started_ms,
        job.wait_s,
        job.run_s,
        _text(job.worker or ""),
        _text(job.error or "", MAX_ERROR),
    )


def run_of_report(report: JobReport, now_ms: int) -> Run | None:
    """None: it does not tell of an attempt that ended. What makes no sense in it is left out."""
    try:
        outcome = Outcome(report.outcome)
    except ValueError:
        return None
    if not report.source or not report.id:
        return None
    started_ms, finished_ms = _time(report.started_ms), _time(report.finished_ms)
    seen = Job(
        "", "", "", JobState.SUCCEEDED, "", _time(report.enqueued_ms), _time(report.due_ms), started_ms, finished_ms
    )
    return Run(
        _text(report.source),
        _text(report.id),
        _text(report.kind),
        _text(report.queue),
        outcome,
        min(now_ms, now_ms if finished_ms is None else finished_ms),
        _whole(report.attempt),
        seen.ready_ms,
        started_ms,
        seen.wait_s,
        seen.run_s if (run_s := _amount(report.run_s)) is None else run_s,
        _text(report.worker),
        # Ours have lost their secrets before they were sent; anybody may write a hook.
        _text(shown_traceback(report.error or last_line(report.traceback)), MAX_ERROR),
        # The end of a traceback says more than its beginning.
        _text(shown_traceback(report.traceback)[-MAX_TRACEBACK:], MAX_TRACEBACK),
        _amount(report.cost_usd),
        _whole(report.tokens),
        _amount(report.cpu_s),
        _whole(report.peak_memory_bytes),
        _text(report.trace_id),
        Origin.HOOK,
        request_id=_text(report.request_id),
    )


def merged(known: Run, told: Run) -> Run:
    """The same attempt, told of again. What was known first stays, so that nothing counted has to be counted anew; only
    what became of the job is better known to the back-end than to a hook, which sees no more than its own attempt."""
    outcome = told.outcome if _knows_better(known, told) else known.outcome
    return replace(
        known,
        outcome=outcome,
        kind=known.kind or told.kind,
        queue=known.queue or told.queue,
        attempt=_first(known.attempt, told.attempt),
        ready_ms=_first(known.ready_ms, told.ready_ms),
        started_ms=_first(known.started_ms, told.started_ms),
        wait_s=_first(known.wait_s, told.wait_s),
        run_s=_first(known.run_s, told.run_s),
        worker=known.worker or told.worker,
        error=known.error or told.error,
        traceback=known.traceback or told.traceback,
        cost_usd=_first(known.cost_usd, told.cost_usd),
        tokens=_first(known.tokens, told.tokens),
        cpu_s=_first(known.cpu_s, told.cpu_s),
        peak_memory_bytes=_first(known.peak_memory_bytes, told.peak_memory_bytes),
        trace_id=known.trace_id or told.trace_id,
        request_id=known.request_id or told.request_id,
        origins=known.origins | told.origins,
    )


def _knows_better(known: Run, told: Run) -> bool:
    if told.origins is Origin.SAMPLE:
        # A cancelled or killed job may be "failed" to its back-end; who stood beside it knows more.
        return not (known.outcome in (Outcome.CANCELLED, Outcome.LOST) and told.outcome is Outcome.FAILED)
    return known.outcome is Outcome.FAILED and told.outcome in (Outcome.CANCELLED, Outcome.LOST)


def _first(known: T | None, told: T | None) -> T | None:
    return told if known is None else known


def _text(text: str, longest: int = MAX_NAME) -> str:
    """Halves of surrogate pairs cannot be stored."""
    return text[:longest].encode(errors="replace").decode()


def _time(ms: int | None) -> int | None:
    return ms if isinstance(ms, int) and 0 < ms < _MAX_INTEGER else None


def _whole(number: int | None) -> int | None:
    return number if isinstance(number, int) and 0 <= number < _MAX_INTEGER else None


def _amount(number: float | None) -> float | None:
    return float(number) if isinstance(number, int | float) and isfinite(number) and number >= 0 else None
