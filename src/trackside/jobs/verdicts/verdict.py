"""One thing that is wrong, or that nothing is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Severity(Enum):
    DOWN = "down"
    """Work stands still, and nobody but a person will change that."""
    HIGH = "high"
    """Work is lost, done twice, or fails more often than not."""
    MEDIUM = "medium"
    LOW = "low"
    CALM = "calm"

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return list(Severity).index(self)


class VerdictKind(Enum):
    UNREACHABLE = "source_unreachable"
    UNSERVED = "queue_unserved"
    MISSING = "expected_missing"
    LATE_WORKER = "worker_late"
    ORPHANED = "jobs_orphaned"
    DUPLICATED = "jobs_duplicated"
    STUCK = "jobs_stuck"
    FAILING = "kind_failing"
    NEVER_DRAINS = "queue_never_drains"
    WAITING = "queue_waiting"
    PAUSED = "queue_paused"
    MISSED_SCHEDULE = "schedule_missed"
    SLOWED = "sampling_slowed"
    BUDGET = "budget_exceeded"
    LOOKING = "looking"
    """Not enough was seen yet to say that nothing is wrong."""
    CALM = "calm"


@dataclass(frozen=True, slots=True)
class Verdict:
    kind: VerdictKind
    severity: Severity
    key: str
    """The same as long as it is the same trouble."""
    sentence: str
    next_step: str
    source: str = ""
    queue: str = ""
    jobs: tuple[str, ...] = ()
    """Ids, at most `MAX_EVIDENCE`."""
    workers: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    """What the sentence says, as numbers: "waiting", "oldest_s", "failed"."""
    since_ms: int = 0
    """By our clock: when it was first found."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict that becomes one when it is found for `hold_ms` on end."""

    verdict: Verdict
    hold_ms: int = 0


MAX_EVIDENCE = 20
