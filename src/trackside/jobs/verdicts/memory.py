"""What has to be known of the past to judge the present: bounded, and carried from one look to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trackside.jobs.verdicts.facts import waiting
from trackside.jobs.verdicts.slots import EARLY_MS, Slot, slots_of
from trackside.model.jobs import Job, JobsSample, ScheduleNow, WorkerNow

POINT_MS = 10_000
KEPT_MS = 600_000
DAY_MS = 86_400_000
MAX_POINTS = KEPT_MS // POINT_MS
MAX_QUEUES = 500
MAX_WORKERS = 1_000
MAX_RUNNING = 2_000
MAX_SCHEDULES = 1_000
GRACE_MS = 60_000
"""After which a schedule that has not run has missed its time."""
WORKER_KEPT_MS = 3_600_000
"""Dead ones fade after an hour."""


@dataclass(frozen=True, slots=True)
class Depth:
    at_ms: int
    waiting: int
    ended: int
    """Since the point before."""


@dataclass(frozen=True, slots=True)
class SeenWorker:
    queues: tuple[str, ...]
    seen_ms: int
    """When it was last listed, or when it last said that it lived."""
    is_listed: bool


@dataclass(frozen=True, slots=True)
class SeenRun:
    worker: str
    attempt: int | None
    seen_ms: int
    workerless_ms: int | None = None
    """Since when its worker is not listed."""


@dataclass(frozen=True, slots=True)
class Doubled:
    """A job that ran, or runs, in two places at once."""

    workers: tuple[str, ...]
    at_ms: int


@dataclass(frozen=True, slots=True)
class Due:
    """The next run of a schedule that nothing has confirmed yet."""

    at_ms: int
    seen_ms: int
    """When the schedule was last listed."""


@dataclass(frozen=True, slots=True)
class SourceMemory:
    """Of one source. Times are the back-end's."""

    at_ms: int = 0
    depths: Mapping[str, tuple[Depth, ...]] = field(default_factory=dict)
    """By queue, oldest first."""
    workers: Mapping[str, SeenWorker] = field(default_factory=dict)
    running: Mapping[str, SeenRun] = field(default_factory=dict)
    doubled: Mapping[str, Doubled] = field(default_factory=dict)
    due: Mapping[str, Due] = field(default_factory=dict)
    slots: Mapping[str, tuple[Slot, ...]] = field(default_factory=dict)
    """By schedule: its last times, and whether it ran."""
    duplicated_total: int = 0
    missed_total: int = 0
    clamped_total: int = 0
    """Jobs that waited or ran for less than nothing, since clocks differ: counted as 0."""


@dataclass(frozen=True, slots=True)
class Memory:
    since: Mapping[str, int] = field(default_factory=dict)
    """By the key of a finding: since when it is found, by our clock."""
    sources: Mapping[str, SourceMemory] = field(default_factory=dict)


def remembered(before: SourceMemory, sample: JobsSample) -> SourceMemory:
    """The memory after a sample; itself when it has seen it already."""
    if sample.at_ms == before.at_ms:
        return before
    doubled, due = _doubled(before, sample), _due(before, sample)
    kept = {id: one for id, one in before.doubled.items() if sample.at_ms - one.at_ms < KEPT_MS}
    return replace(
        before,
        at_ms=sample.at_ms,
        depths=_depths(before, sample),
        workers=_workers(before, sample),
        running=_running(before, sample),
        doubled={**kept, **doubled},
        due=due,
        slots=slots_of(before.slots, sample.schedules, due, sample.at_ms),
        duplicated_total=before.duplicated_total + len(doubled.keys() - kept.keys()),
        clamped_total=before.clamped_total + sum(_is_clamped(job) for job in sample.finished),
        missed_total=before.missed_total
        + sum(before.at_ms <= one.at_ms + GRACE_MS < sample.at_ms for one in due.values() if before.at_ms),
    )


def _depths(before: SourceMemory, sample: JobsSample) -> dict[str, tuple[Depth, ...]]:
    ended = _ended(sample)
    found = {}
    for queue in sample.queues[:MAX_QUEUES]:
        count = waiting(queue)
        if count is None:
            continue
        points = before.depths.get(queue.name, ())
        now = Depth(sample.at_ms, count, ended.get(queue.name, 0))
        if len(points) > 1 and sample.at_ms - points[-2].at_ms < POINT_MS:
            # Not a point of its own yet: the last one moves.
            now = replace(now, ended=now.ended + points[-1].ended)
            points = points[:-1]
        points = tuple(point for point in points if 0 <= sample.at_ms - point.at_ms <= KEPT_MS)
        found[queue.name] = (*points, now)[-MAX_POINTS:]
    return found


def _ended(sample: JobsSample) -> dict[str, int]:
    """By queue: what was counted, or what was shown, where the counters do not tell queues apart."""
    counted: dict[str, int] = {}
    for one in sample.ended:
        counted[one.queue] = counted.get(one.queue, 0) + one.succeeded + one.failed_attempts
    shown: dict[str, int] = {}
    for job in sample.finished:
        shown[job.queue] = shown.get(job.queue, 0) + 1
    return {queue: max(counted.get(queue, 0), shown.get(queue, 0)) for queue in counted.keys() | shown.keys()}


def _workers(before: SourceMemory, sample: JobsSample) -> dict[str, SeenWorker]:
    found = {
        id: replace(seen, is_listed=False)
        for id, seen in before.workers.items()
        if sample.at_ms - seen.seen_ms < WORKER_KEPT_MS
    }
    for worker in sample.workers:
        found[worker.id] = SeenWorker(worker.queues, _heard_ms(worker, sample.at_ms), is_listed=True)
    newest = sorted(found.items(), key=lambda item: -item[1].seen_ms)
    return dict(newest[:MAX_WORKERS])


def _heard_ms(worker: WorkerNow, at_ms: int) -> int:
    return at_ms if worker.beat_ms is None else min(worker.beat_ms, at_ms)


def _running(before: SourceMemory, sample: JobsSample) -> dict[str, SeenRun]:
    over = {job.id for job in sample.finished}
    found = {
        id: seen for id, seen in before.running.items() if id not in over and sample.at_ms - seen.seen_ms < KEPT_MS
    }
    listed = {worker.id for worker in sample.workers}
    for job in sample.running[:MAX_RUNNING]:
        seen = before.running.get(job.id)
        gone_ms = None
        if job.worker is not None and job.worker not in listed:
            known = seen is not None and seen.worker == job.worker and seen.workerless_ms is not None
            gone_ms = seen.workerless_ms if known and seen is not None else sample.at_ms
        found[job.id] = SeenRun(job.worker or "", job.attempt, sample.at_ms, gone_ms)
    newest = sorted(found.items(), key=lambda item: -item[1].seen_ms)
    return dict(newest[:MAX_RUNNING])


def _doubled(before: SourceMemory, sample: JobsSample) -> dict[str, Doubled]:
    """A job that is listed twice; or that was taken from a worker that lives, without its attempt having ended."""
    found: dict[str, Doubled] = {}
    here: dict[str, Job] = {}
    over = {job.id for job in sample.finished}
    listed = {worker.id for worker in sample.workers}
    for job in sample.running:
        other = here.setdefault(job.id, job)
        if other is not job and other.worker != job.worker:
            found[job.id] = Doubled((other.worker or "?", job.worker or "?"), sample.at_ms)
        seen = before.running.get(job.id)
        if seen is not None and job.id not in over and _is_taken(seen, job, listed):
            found[job.id] = Doubled((seen.worker, job.worker or "?"), sample.at_ms)
    return found


def _is_taken(seen: SeenRun, job: Job, listed: set[str]) -> bool:
    both_named = bool(seen.worker and job.worker) and seen.worker != job.worker
    return both_named and seen.worker in listed and job.attempt is not None and seen.attempt == job.attempt


def _due(before: SourceMemory, sample: JobsSample) -> dict[str, Due]:
    found = {name: due for name, due in before.due.items() if sample.at_ms - due.seen_ms < DAY_MS}
    for schedule in sample.schedules[:MAX_SCHEDULES]:
        due = before.due.get(schedule.name)
        if due is not None and not _has_run(schedule, due.at_ms):
            found[schedule.name] = replace(due, seen_ms=sample.at_ms)
        elif schedule.next_ms is not None:
            found[schedule.name] = Due(schedule.next_ms, sample.at_ms)
        else:
            found.pop(schedule.name, None)
    return found


def _is_clamped(job: Job) -> bool:
    times = [at for at in (job.ready_ms, job.started_ms, job.finished_ms) if at is not None]
    return times != sorted(times)


def _has_run(schedule: ScheduleNow, due_ms: int) -> bool:
    if schedule.last_ms is not None:
        return schedule.last_ms >= due_ms - EARLY_MS
    return schedule.next_ms is None or schedule.next_ms > due_ms
