"""Schedules: when each ran, when it will, and whether it missed its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trackside.jobs.verdicts.facts import SourceView
from trackside.jobs.verdicts.memory import GRACE_MS, Due, Memory, SourceMemory
from trackside.model.jobs import JobsSample, ScheduleNow
from trackside.server.web.figures import age
from trackside.server.web.verdict import Level

MAX_SCHEDULES = 200


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


@dataclass(frozen=True, slots=True)
class Timetable:
    rows: tuple[ScheduleRow, ...]
    missed: int
    """Times that came and went without a run, since the sources are watched."""
    hidden: int


def timetable(views: Sequence[SourceView], memory: Memory, queue: str) -> Timetable:
    """What missed its time first, then by the next run."""
    rows, missed = [], 0
    for view in views:
        of_source = memory.sources.get(view.name, SourceMemory())
        missed += of_source.missed_total
        if view.sample is not None:
            rows += _rows(view.name, view.sample, of_source)
    rows = [row for row in rows if not queue or row.queue in ("", queue)]
    rows.sort(key=lambda row: (-row.level, row.next_ms is None, row.next_ms or 0, row.name))
    return Timetable(tuple(rows[:MAX_SCHEDULES]), missed, max(0, len(rows) - MAX_SCHEDULES))


def _rows(source: str, sample: JobsSample, memory: SourceMemory) -> list[ScheduleRow]:
    rows = [_row(source, one, memory.due.get(one.name), sample.at_ms) for one in sample.schedules]
    listed = {one.name for one in sample.schedules}
    rows += [
        _row(source, ScheduleNow(name, ""), due, sample.at_ms, is_listed=False)
        for name, due in memory.due.items()
        if name not in listed
    ]
    return rows


def _row(source: str, one: ScheduleNow, due: Due | None, at_ms: int, *, is_listed: bool = True) -> ScheduleRow:
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
        source, one.name, one.kind, one.queue, one.rule, level, word, one.last_ms, next_ms, when, is_listed
    )
