"""Schedules: when each should have run and did, when it will, and whether it missed its time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from trackside.jobs.verdicts.facts import SourceView
from trackside.jobs.verdicts.memory import GRACE_MS, Due, Memory, SourceMemory
from trackside.jobs.verdicts.slots import EARLY_MS, Slot
from trackside.model.jobs import JobsSample, ScheduleNow
from trackside.server.jobs.runs.store import Failed
from trackside.server.web.figures import age
from trackside.server.web.verdict import Level

MAX_SCHEDULES = 200
SHAPES = ("ran", "late", "failed", "missed", "awaited")
_FAILED_AFTER_MS = 60_000
"""A job that a schedule makes can be taken so soon after the schedule ran."""
Fails = Callable[[str, Iterable[str], int], Sequence[Failed]]
"""Jobs of a source that failed: of these kinds, since then."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One time at which a schedule should have run."""

    due_ms: int
    shape: str
    """ "ran", "late", "failed", "missed" or "awaited"."""
    word: str


@dataclass(frozen=True, slots=True)
class Past:
    """The last times of a schedule, as far as it was watched."""

    cells: tuple[Cell, ...] = ()
    """Oldest first."""
    failed_id: str = ""
    """Newest job that failed, of those the schedule made."""

    @property
    def counts(self) -> list[tuple[str, int]]:
        """What became of them, where it is more than none."""
        shapes = Counter(cell.shape for cell in self.cells)
        return [(shape, shapes[shape]) for shape in SHAPES if shapes[shape]]


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    source: str
    name: str
    kind: str
    queue: str
    rule: str
    level: Level
    word: str
    last_ms: int | None
    next_ms: int | None
    next: str
    is_listed: bool
    past: Past


@dataclass(frozen=True, slots=True)
class Timetable:
    rows: tuple[ScheduleRow, ...]
    missed: int
    """Times that came and went without a run, since the sources are watched."""
    hidden: int


def timetable(views: Sequence[SourceView], memory: Memory, queue: str, fails: Fails) -> Timetable:
    """What missed its time first, then by the next run."""
    rows, missed = [], 0
    for view in views:
        of_source = memory.sources.get(view.name, SourceMemory())
        missed += of_source.missed_total
        if view.sample is not None:
            rows += _rows(view.name, view.sample, of_source, fails)
    rows = [row for row in rows if not queue or row.queue in ("", queue)]
    rows.sort(key=lambda row: (-row.level, row.next_ms is None, row.next_ms or 0, row.name))
    return Timetable(tuple(rows[:MAX_SCHEDULES]), missed, max(0, len(rows) - MAX_SCHEDULES))


def _rows(source: str, sample: JobsSample, memory: SourceMemory, fails: Fails) -> list[ScheduleRow]:
    listed = {one.name for one in sample.schedules}
    all_of_them = [*sample.schedules, *(ScheduleNow(name, "") for name in memory.due if name not in listed)]
    slots = [one.due_ms for some in memory.slots.values() for one in some]
    failed = fails(source, {one.kind for one in sample.schedules if one.kind}, min(slots)) if slots else ()
    return [
        _row(
            source,
            one,
            memory.due.get(one.name),
            sample.at_ms,
            _past(memory.slots.get(one.name, ()), [job for job in failed if _is_of(job, one)], sample.at_ms),
            is_listed=one.name in listed,
        )
        for one in all_of_them
    ]


def _is_of(job: Failed, schedule: ScheduleNow) -> bool:
    return job.kind == schedule.kind and (not job.queue or schedule.queue in ("", job.queue))


def _past(slots: Sequence[Slot], failed: Sequence[Failed], at_ms: int) -> Past:
    cells, newest = [], ""
    for slot in slots:
        if slot.ran_ms is None and slot.due_ms > at_ms:
            continue
        from_ms = None if slot.ran_ms is None else slot.ran_ms - EARLY_MS
        jobs = [job for job in failed if from_ms is not None and 0 <= job.at_ms - from_ms <= _FAILED_AFTER_MS]
        newest = jobs[0].id if jobs else newest
        cells.append(_cell(slot, bool(jobs), at_ms))
    return Past(tuple(cells), newest)


def _cell(slot: Slot, has_failed: bool, at_ms: int) -> Cell:
    if slot.ran_ms is None:
        is_missed = at_ms - slot.due_ms > GRACE_MS
        return Cell(slot.due_ms, "missed", "missed") if is_missed else Cell(slot.due_ms, "awaited", "awaited")
    late_ms = slot.ran_ms - slot.due_ms
    late = f", {age(late_ms)} late" if late_ms > GRACE_MS else ""
    if has_failed:
        return Cell(slot.due_ms, "failed", f"ran{late}, and failed")
    return Cell(slot.due_ms, "late", f"ran{late}") if late else Cell(slot.due_ms, "ran", "ran on time")


def _row(source: str, one: ScheduleNow, due: Due | None, at_ms: int, past: Past, *, is_listed: bool) -> ScheduleRow:
    next_ms = due.at_ms if due is not None else one.next_ms
    late_ms = at_ms - next_ms if next_ms is not None else 0
    if late_ms > GRACE_MS:
        level, word = Level.BAD, "missed"
    elif late_ms > 0:
        level, word = Level.WARN, "late"
    elif not is_listed:
        level, word = Level.UNKNOWN, "no longer listed"
    else:
        level, word = (Level.OK, "on time") if one.last_ms is not None else (Level.UNKNOWN, "not run yet")
    when = "" if next_ms is None else f"{age(late_ms)} ago" if late_ms > 0 else f"in {age(-late_ms)}"
    return ScheduleRow(
        source, one.name, one.kind, one.queue, one.rule, level, word, one.last_ms, next_ms, when, is_listed, past
    )
