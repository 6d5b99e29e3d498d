"""Who works: the workers as they were last seen, those that are gone, and those that are declared and never were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trackside.jobs.verdicts.facts import ExpectedBeat, ExpectedWorkers, Limits, SourceView, is_alive, serves
from trackside.jobs.verdicts.memory import Memory, SourceMemory
from trackside.jobs.verdicts.presence import alive_workers, is_overdue, patience_ms
from trackside.jobs.verdicts.words import duration
from trackside.model.jobs import Job, JobsSample, WorkerNow
from trackside.server.web.figures import NOTHING, age
from trackside.server.web.verdict import Level

MAX_WORKERS = 200
SKEW_WORTH_SAYING_S = 2.0
AWAITED = (Level.UNKNOWN, "awaited")


@dataclass(frozen=True, slots=True)
class WorkerRow:
    source: str
    id: str
    level: Level
    state: str
    queues: tuple[str, ...]
    job: str
    """Id of the one it runs; "" for none."""
    job_kind: str
    job_age_ms: int | None
    more_jobs: int
    beat_ms: int | None
    beat: str
    """When it was heard, and when it has to be heard again."""
    skew_s: float | None
    is_skewed: bool
    succeeded: int | None
    failed: int | None
    busy: float | None
    """Share of its life that it worked."""
    where: str
    is_inferred: bool
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class ExpectedRow:
    """Something that is declared."""

    name: str
    what: str
    level: Level
    state: str
    heard_ms: int | None


@dataclass(frozen=True, slots=True)
class Watched:
    """For how long, and where patience ends."""

    since_ms: int
    now_ms: int
    limits: Limits

    def is_past(self, patience_ms: float) -> bool:
        return self.now_ms - self.since_ms >= patience_ms


def worker_rows(views: Sequence[SourceView], memory: Memory, queue: str) -> tuple[list[WorkerRow], int]:
    """Those in trouble first, those that are gone last; and how many were left out."""
    rows = [
        row
        for view in views
        if view.sample is not None
        for row in (
            *_present(view, view.sample, queue),
            *_gone(view.name, view.sample, memory.sources.get(view.name, SourceMemory()), queue),
        )
    ]
    rows.sort(key=lambda row: (row.is_gone, -row.level, row.source, row.state != "busy", row.id))
    return rows[:MAX_WORKERS], max(0, len(rows) - MAX_WORKERS)


def expected_rows(
    views: Sequence[SourceView],
    workers: Sequence[ExpectedWorkers],
    beats: Sequence[ExpectedBeat],
    heard: Mapping[str, int],
    watched: Watched,
) -> list[ExpectedRow]:
    rows = [_expected_beat(beat, heard.get(beat.name), watched) for beat in beats]
    rows += [_expected_workers(one, views, watched) for one in workers]
    return sorted(rows, key=lambda row: -row.level)


def _present(view: SourceView, sample: JobsSample, queue: str) -> list[WorkerRow]:
    running = {job.id: job for job in sample.running}
    return [_row(view, sample, worker, running) for worker in sample.workers if not queue or serves(worker, queue)]


def _row(view: SourceView, sample: JobsSample, worker: WorkerNow, running: Mapping[str, Job]) -> WorkerRow:
    is_late = not is_alive(worker, sample.at_ms)
    state = "late" if is_late else "busy" if worker.jobs else worker.state or "idle"
    job = running.get(worker.jobs[0]) if worker.jobs else None
    started_ms = job.started_ms if job is not None else None
    lives_s = (sample.at_ms - worker.started_ms) / 1000 if worker.started_ms else 0.0
    return WorkerRow(
        view.name,
        worker.id,
        Level.WARN if is_late else Level.UNKNOWN if view.error else Level.OK,
        state,
        worker.queues,
        worker.jobs[0] if worker.jobs else "",
        job.kind if job is not None else "",
        max(0, sample.at_ms - started_ms) if started_ms is not None else None,
        max(0, len(worker.jobs) - 1),
        worker.beat_ms,
        _beat(worker, sample.at_ms),
        worker.skew_s,
        worker.skew_s is not None and abs(worker.skew_s) >= SKEW_WORTH_SAYING_S,
        worker.succeeded,
        worker.failed_attempts,
        min(1.0, worker.busy_s / lives_s) if worker.busy_s is not None and lives_s > 0 else None,
        _where(worker),
        worker.is_inferred,
    )


def _gone(source: str, sample: JobsSample, memory: SourceMemory, queue: str) -> list[WorkerRow]:
    return [
        WorkerRow(
            source,
            id,
            Level.UNKNOWN,
            "gone",
            seen.queues,
            "",
            "",
            None,
            0,
            seen.seen_ms,
            f"last heard {age(sample.at_ms - seen.seen_ms)} ago",
            None,
            False,
            None,
            None,
            None,
            "",
            False,
            is_gone=True,
        )
        for id, seen in memory.workers.items()
        if not seen.is_listed and (not queue or queue in seen.queues or "*" in seen.queues)
    ]


def _beat(worker: WorkerNow, at_ms: int) -> str:
    heard = f"{age(at_ms - worker.beat_ms)} ago" if worker.beat_ms is not None else NOTHING
    if worker.expected_ms is None:
        return heard
    if at_ms > worker.expected_ms:
        return f"{heard}, {age(at_ms - worker.expected_ms)} overdue"
    return f"{heard}, next within {age(worker.expected_ms - at_ms)}"


def _where(worker: WorkerNow) -> str:
    where = worker.host or ""
    if worker.process is not None:
        where += f":{worker.process}" if where else str(worker.process)
    return f"{where} {worker.version}".strip() if worker.version else where


def _expected_beat(beat: ExpectedBeat, heard_ms: int | None, watched: Watched) -> ExpectedRow:
    what = f"beats every {duration(beat.every_ms / 1000)}"
    if heard_ms is None:
        is_missed = watched.is_past(patience_ms(beat, watched.limits))
        return ExpectedRow(beat.name, what, *((Level.BAD, "never seen") if is_missed else AWAITED), None)
    late_ms = watched.now_ms - heard_ms
    is_late = is_overdue(beat, late_ms, watched.limits)
    state = f"last heard {age(late_ms)} ago" if is_late else "in time"
    return ExpectedRow(beat.name, what, Level.BAD if is_late else Level.OK, state, heard_ms)


def _expected_workers(one: ExpectedWorkers, views: Sequence[SourceView], watched: Watched) -> ExpectedRow:
    what = f"{one.workers} worker{'s' if one.workers > 1 else ''} of the queue {one.queue}"
    there = len(alive_workers(one, [view for view in views if one.source in ("", view.name)]))
    level, state = Level.BAD if not there else Level.WARN, f"{there} there" if there else "none there"
    if there >= one.workers:
        level = Level.OK
    elif not watched.is_past(watched.limits.never_seen_ms):
        level, state = AWAITED[0], f"{AWAITED[1]}, {state}"
    return ExpectedRow(one.queue, what, level, state, None)
