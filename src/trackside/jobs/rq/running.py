"""What RQ runs: the members of its `wip` registries, with their leases and their jobs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from trackside.jobs.rq.job_hash import JobHash, epoch_ms
from trackside.model.jobs import Job, JobState


@dataclass(slots=True)
class Running:
    member: str
    score: float
    left_ms: int = -2
    read: JobHash | None = None

    @property
    def id(self) -> str:
        return self.member.split(":", 1)[0]

    @property
    def is_running(self) -> bool:
        """An entry may outlive its job, and be nothing that runs."""
        return self.read is not None and self.read.job.state is JobState.RUNNING

    def lease_until_ms(self, at_ms: int) -> int | None:
        """By the clock of Redis, while it lasts: the score is by the worker's."""
        if self.left_ms >= 0:
            return at_ms + self.left_ms
        until_ms = epoch_ms(self.score)
        if until_ms is None or ":" not in self.member:
            # For ever, or of RQ 1, which knew no executions.
            return until_ms
        # Over: the key of an execution lives exactly as long as its lease.
        return min(until_ms, at_ms)

    def skew_s(self, at_ms: int) -> float | None:
        """How far the worker's clock is ahead: it wrote the end of its lease and the lifetime of the key at once."""
        until_ms = epoch_ms(self.score)
        return None if self.left_ms < 0 or until_ms is None else (until_ms - at_ms - self.left_ms) / 1000


def longest_first(running: Iterable[Running], at_ms: int) -> tuple[Job, ...]:
    jobs = {
        one.id: replace(one.read.job, lease_until_ms=one.lease_until_ms(at_ms))
        for one in running
        if one.read is not None and one.read.job.state is JobState.RUNNING
    }
    return tuple(sorted(jobs.values(), key=lambda job: (job.started_ms or 0, job.id)))
