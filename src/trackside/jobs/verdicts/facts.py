"""What verdicts are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trackside.jobs.ledger.figures import FailureGroup
from trackside.jobs.ledger.tiers import DAY_MS
from trackside.model.jobs import JobsSample, JobState, QueueNow, WorkerNow


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source as it was last seen."""

    name: str
    backend: str
    sample: JobsSample | None = None
    """None: not yet, since we started."""
    knows_workers: bool = True
    """Whether a worker that it does not list is none; False where idle ones cannot be seen."""
    error: str = ""
    """Why the last look failed; "" when it did not."""
    looked_ms: int | None = None
    """When `sample` was taken, by our clock."""
    slowed: str = ""
    """Why it is looked at less often than it should be."""


@dataclass(frozen=True, slots=True)
class ExpectedWorkers:
    """Declared: so many workers serve a queue."""

    queue: str
    workers: int = 1
    source: str = ""
    """Empty: any."""


@dataclass(frozen=True, slots=True)
class ExpectedBeat:
    """Declared: a poller, or anything else, that says every so often that it lives."""

    name: str
    every_ms: int


@dataclass(frozen=True, slots=True)
class KindNow:
    """How one kind of job fared lately."""

    source: str
    kind: str
    ended: int
    """Jobs, in the last `window_ms`; attempts that were retried are none."""
    failed: int
    attempts: int
    failed_attempts: int
    window_ms: int
    causes: Sequence[FailureGroup] = ()
    """Most frequent first."""


@dataclass(frozen=True, slots=True)
class Deploy:
    version: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class KindCost:
    source: str
    kind: str
    today_usd: float
    lately_usd: float = 0.0
    """Of the last `Spending.lately_ms`."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What jobs said that they cost, since midnight UTC."""

    day_ms: int
    """When the day began."""
    lately_ms: int
    kinds: Sequence[KindCost] = ()
    """The dearest first."""

    @property
    def today_usd(self) -> float:
        return sum(kind.today_usd for kind in self.kinds)

    @property
    def usd_per_ms(self) -> float:
        """Lately."""
        return sum(kind.lately_usd for kind in self.kinds) / self.lately_ms

    def projected_usd(self, now_ms: int) -> float:
        """At the end of the day, if it goes on as lately."""
        return self.today_usd + self.usd_per_ms * max(0, self.day_ms + DAY_MS - now_ms)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is known at one moment."""

    watching_since_ms: int
    """By our clock. Who was never seen may only be missed some time after it."""
    sources: Sequence[SourceView] = ()
    expected_workers: Sequence[ExpectedWorkers] = ()
    expected_beats: Sequence[ExpectedBeat] = ()
    beats: Mapping[str, int] = field(default_factory=dict)
    """When each was heard last, by our clock."""
    kinds: Sequence[KindNow] = ()
    usual_run_s: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """By source and kind: what 99 of 100 runs do not exceed, where enough of them are known."""
    deploys: Sequence[Deploy] = ()
    """Latest first."""
    spending: Spending | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Where trouble begins."""

    oldest_ms: int = 300_000
    """A due job should not wait longer."""
    unserved_ms: int = 30_000
    """A deploy restarts workers: so long may a queue be without."""
    never_seen_ms: int = 30_000
    late_beats: float = 3.0
    """Intervals."""
    lease_slack_ms: int = 5_000
    vanished_ms: int = 10_000
    """A worker and its job are read a moment apart: so long may a running job have a worker that is not listed."""
    stuck_ms: int = 3_600_000
    """For a kind of which too few runs are known."""
    stuck_least_ms: int = 600_000
    stuck_times: float = 5.0
    """As long as usual."""
    failing_share: float = 0.1
    failing_jobs: int = 5
    retrying_share: float = 0.25
    backlog: int = 20
    """Fewer jobs than these are no backlog, whatever their number does."""
    unreachable_ms: int = 15_000
    budget_usd: float | None = None
    """What jobs may cost on one day, UTC. None: nobody has said."""


def is_alive(worker: WorkerNow, at_ms: int) -> bool:
    """Idle is alive, and silent is not late: only a beat that is overdue tells of a dead one. `at_ms`: by the
    back-end's clock."""
    return worker.expected_ms is None or at_ms <= worker.expected_ms


def serves(worker: WorkerNow, queue: str) -> bool:
    """Also where it is not known what it serves."""
    return not worker.queues or queue in worker.queues or "*" in worker.queues


def waiting(queue: QueueNow) -> int | None:
    """Jobs that are due. None: the back-end cannot count them."""
    count = queue.counts.get(JobState.QUEUED)
    if count is None and queue.oldest_ready_ms is not None:
        return 1
    return count


def oldest_s(queue: QueueNow, at_ms: int) -> float | None:
    """How long the oldest due job waits."""
    return None if queue.oldest_ready_ms is None else max(0, at_ms - queue.oldest_ready_ms) / 1000
