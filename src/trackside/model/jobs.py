"""Background jobs, queues, workers and schedules: the same objects from any back-end to a page, a series or a verdict.

Times are milliseconds since 1970 by the back-end's clock, where it has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class JobState(Enum):
    """What every back-end's own states mean."""

    SCHEDULED = "scheduled"
    """Not due yet."""
    BLOCKED = "blocked"
    """Waits for another job, or for a rate limit."""
    QUEUED = "queued"
    """Due, and waiting for a worker."""
    RUNNING = "running"
    RETRYING = "retrying"
    """An attempt failed, and there will be another one."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """For good."""
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class Fidelity(Enum):
    """How far a number of a back-end can be trusted."""

    EXACT = "exact"
    SAMPLED = "sampled"
    """What came and went between two looks is missing."""
    INFERRED = "inferred"
    """Concluded from something else; what that was is said in a note."""
    NEEDS_HOOK = "needs hook"
    """The back-end does not know; a hook in the worker does."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job as its back-end has it now."""

    id: str
    kind: str
    """What it does: the name of its function or class."""
    queue: str
    state: JobState
    raw_state: str
    """In the back-end's own words."""
    enqueued_ms: int | None = None
    due_ms: int | None = None
    started_ms: int | None = None
    """Of the last attempt."""
    finished_ms: int | None = None
    attempt: int | None = None
    """From 1; which one it is, or was."""
    max_attempts: int | None = None
    worker: str | None = None
    lease_until_ms: int | None = None
    """Until then the worker has to say that it lives; a running job beyond it is abandoned."""
    error: str | None = None
    """The last line of the failure, without a traceback and without secrets."""

    @property
    def ready_ms(self) -> int | None:
        """Since when a worker could have taken it: waiting for a countdown is not waiting."""
        known = [at for at in (self.enqueued_ms, self.due_ms) if at is not None]
        return max(known) if known else None

    @property
    def wait_s(self) -> float | None:
        """Never negative: the clocks of producer and worker differ."""
        ready = self.ready_ms
        return None if ready is None or self.started_ms is None else max(0, self.started_ms - ready) / 1000

    @property
    def run_s(self) -> float | None:
        if self.started_ms is None or self.finished_ms is None:
            return None
        return max(0, self.finished_ms - self.started_ms) / 1000


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a job."""

    number: int
    outcome: str
    """"succeeded", "failed", "retried", "cancelled", "lost", "running"."""
    started_ms: int | None = None
    finished_ms: int | None = None
    worker: str | None = None
    error: str | None = None
    traceback: str | None = None
    cost_usd: float | None = None
    peak_memory_bytes: int | None = None
    cpu_s: float | None = None
    trace_id: str | None = None
    request_id: str | None = None
    """Of the request that enqueued the job."""


@dataclass(frozen=True, slots=True)
class JobDetail:
    """Everything its back-end can tell about one job."""

    job: Job
    args: tuple[Any, ...] = ()
    """JSON values, redacted; what was a foreign object is its text. Nothing is ever unpickled."""
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    result: Any = None
    attempts: tuple[Attempt, ...] = ()
    """Oldest first; those the back-end remembers."""
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)
    """More that the back-end says: time-outs, locks, priorities."""


@dataclass(frozen=True, slots=True)
class QueueNow:
    """One queue at the moment of a sample."""

    name: str
    counts: Mapping[JobState, int]
    """Those that are known. Of the final states the back-end may remember only the latest."""
    oldest_ready_ms: int | None = None
    """Since when the oldest job that is due waits."""
    is_paused: bool = False
    prefetched: int | None = None
    """Of those queued: already in the hands of a worker, and not begun. None: such a thing is not known there."""


@dataclass(frozen=True, slots=True)
class WorkerNow:
    """One worker at the moment of a sample."""

    id: str
    queues: tuple[str, ...] = ()
    """Empty: unknown. "*": all."""
    state: str = ""
    """In the back-end's own words: "busy", "idle", "suspended"."""
    beat_ms: int | None = None
    expected_ms: int | None = None
    """When it has to have said again that it lives."""
    jobs: tuple[str, ...] = ()
    """Ids of what it runs now."""
    succeeded: int | None = None
    """Since it began; with its failed attempts, and the seconds it worked, the source of exact throughput."""
    failed_attempts: int | None = None
    busy_s: float | None = None
    host: str | None = None
    process: int | None = None
    version: str | None = None
    started_ms: int | None = None
    skew_s: float | None = None
    """How far its clock is ahead of the back-end's."""
    is_inferred: bool = False


@dataclass(frozen=True, slots=True)
class ScheduleNow:
    """Something that enqueues a job again and again."""

    name: str
    kind: str
    queue: str = ""
    rule: str = ""
    """"every 60 s", or five fields of cron."""
    last_ms: int | None = None
    next_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Throughput:
    """What has ended since the sample before, where it can be counted but not seen job by job."""

    queue: str
    succeeded: int
    failed_attempts: int


@dataclass(frozen=True, slots=True)
class JobsSample:
    """One look at a back-end."""

    at_ms: int
    queues: tuple[QueueNow, ...] = ()
    workers: tuple[WorkerNow, ...] = ()
    running: tuple[Job, ...] = ()
    """At most a few hundred, those that run longest first."""
    finished: tuple[Job, ...] = ()
    """Ended since the cursor, oldest first, at most a few thousand; none at the first look."""
    ended: tuple[Throughput, ...] = ()
    """Where the back-end counts more than it shows: everything that ended, those in `finished` too."""
    schedules: tuple[ScheduleNow, ...] = ()
    cursor: Any = None
    """A JSON value, to be handed back at the next look."""
    notes: tuple[str, ...] = ()
    """What this back-end cannot know, or what was cut off this time; a sentence each."""


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs are wanted. None and empty: any."""

    states: frozenset[JobState] = frozenset()
    queue: str = ""
    kind: str = ""
    worker: str = ""
    text: str = ""
    """Somewhere in the arguments or the error."""


@dataclass(frozen=True, slots=True)
class JobsPage:
    jobs: tuple[Job, ...]
    next: str = ""
    """Where the next page begins; empty: this is the last one."""
    is_cut: bool = False
    """Not all were looked at: the search is bounded, and older jobs may match too."""


@dataclass(frozen=True, slots=True)
class JobReport:
    """One attempt that ended, as a hook in the worker saw it. It joins what sampling sees of the same attempt."""

    source: str
    """Name of the source whose job it is; of the service, where no source is configured."""
    id: str
    kind: str
    queue: str = ""
    attempt: int | None = None
    outcome: str = "succeeded"
    """As of an `Attempt`, without "running"."""
    enqueued_ms: int | None = None
    due_ms: int | None = None
    started_ms: int | None = None
    finished_ms: int | None = None
    """All four by the worker's clock."""
    run_s: float | None = None
    """By a clock that never goes back; None: the difference of the times."""
    worker: str = ""
    error: str = ""
    traceback: str = ""
    cost_usd: float | None = None
    tokens: int | None = None
    cpu_s: float | None = None
    peak_memory_bytes: int | None = None
    trace_id: str = ""
    backend: str = ""
    """What runs it, as a source calls that: "rq", "celery". Says which source is meant where none has that name."""
    request_id: str = ""
    """Of the request that enqueued the job."""
