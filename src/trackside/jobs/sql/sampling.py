"""One look at a table of jobs: what waits, what runs, what has ended."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from trackside.jobs.source import MAX_FINISHED, MAX_RUNNING
from trackside.jobs.sql.connection import Look
from trackside.jobs.sql.endings import MAX_REMEMBERED, Cursor, Ending, Raw, advanced, begun, unseen
from trackside.jobs.sql.rows import job_of, state_of, text_of, ulid_ms
from trackside.jobs.sql.statements import Statements
from trackside.model.jobs import Job, JobState, QueueNow

_MAX_AT_ONCE = 500
"""Ids in one query."""
_AHEAD_MS = 1_000
_MAX_BACKLOGS = 5_000
_WAITING = (JobState.QUEUED, JobState.RETRYING)


class Backlog:
    """How many live jobs each queue has, and since when the oldest waits."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._counts: defaultdict[str, Counter[JobState]] = defaultdict(Counter)
        self._oldest: dict[str, int] = {}

    def read(self, look: Look) -> None:
        table = self._statements.table
        first: dict[str, list[Any]] = defaultdict(list)
        # A limit in SQL makes Postgres sort all of them first; a queue has but a few rows.
        for queue, raw_state, is_due, count, oldest, first_id in look(self._statements.backlog())[:_MAX_BACKLOGS]:
            name = text_of(queue)
            state = state_of(text_of(raw_state), table, is_due=bool(is_due), has_due=bool(table.due))
            self._counts[name][state] += int(count)
            if state in _WAITING and is_due:
                self._older(name, self._statements.read_ms(oldest))
                first[name].append(first_id)
        self._read_first(look, {name: [id for id in ids if id is not None] for name, ids in first.items()})

    def queues(self, known: Iterable[str], paused: frozenset[str]) -> tuple[QueueNow, ...]:
        """`known`: queues that have been there before; an empty one is not a missing one."""
        table = self._statements.table
        possible = {state for state in table.states.values() if not state.is_final}
        if table.due:
            possible.add(JobState.SCHEDULED)
        by_queue = {**{name: Counter[JobState]() for name in known}, **self._counts}
        return tuple(
            QueueNow(
                name,
                {
                    state: self._counts[name][state]
                    for state in JobState
                    if state in possible or self._counts[name][state]
                },
                self._oldest.get(name),
                name in paused or "*" in paused,
            )
            for name, counts in sorted(by_queue.items())
        )

    def _older(self, queue: str, at_ms: int | None) -> None:
        if at_ms is not None:
            self._oldest[queue] = min(at_ms, self._oldest.get(queue, at_ms))

    def _read_first(self, look: Look, ids: dict[str, list[Any]]) -> None:
        """Of queues whose jobs are only in their ids in order."""
        table = self._statements.table
        if not table.enqueued:
            for queue, some in ids.items():
                for id in some:
                    self._older(queue, ulid_ms(text_of(id)))
        if table.is_oldest_by_id:
            wanted = [id for some in ids.values() for id in some][:_MAX_AT_ONCE]
            for row in _rows_by_ids(look, self._statements, wanted):
                job = job_of(self._statements.job_row(row), table, 0)
                self._older(job.queue, job.ready_ms)


def running(look: Look, statements: Statements, at_ms: int) -> tuple[Job, ...]:
    if not statements.words(JobState.RUNNING):
        return ()
    rows = look(statements.running(MAX_RUNNING))
    return tuple(job_of(statements.job_row(row), statements.table, at_ms) for row in rows)


def _rows_by_ids(look: Look, statements: Statements, ids: Sequence[Any]) -> list[tuple[Any, ...]]:
    rows = []
    for start in range(0, len(ids), _MAX_AT_ONCE):
        some = ids[start : start + _MAX_AT_ONCE]
        rows += look(statements.by_ids(len(some)), some)
    return rows


def first_cursor(look: Look, statements: Statements, at_ms: int) -> Cursor:
    """From where on we report; what has ended before is remembered, not reported."""
    sql = statements.ended_latest(has_floor=False, has_top=False, limit=MAX_REMEMBERED + 1)
    return begun(_endings(statements, look(sql), at_ms))


def ended(look: Look, statements: Statements, cursor: Cursor, at_ms: int) -> tuple[list[Job], Cursor, list[str]]:
    """Jobs that have ended since, the oldest first; where to go on; notes."""
    late = _late(look, statements, cursor, at_ms)
    values = () if cursor.place is None else (cursor.place, cursor.place, cursor.place, cursor.id)
    rows = look(statements.ended_after(cursor.place is None, MAX_FINISHED + 1), values)
    after = _read(statements, rows[:MAX_FINISHED], at_ms)
    missed = unseen(cursor, late)
    found = {ending.key: job for ending, job in after}
    found.update((ending.key, job) for ending, job in _read_missed(look, statements, missed, at_ms))
    new = unseen(cursor, [*missed, *(ending for ending, _job in after)])
    jobs = [found[ending.key] for ending in new if ending.key in found]
    jobs.sort(key=lambda job: job.finished_ms or at_ms)
    notes = []
    if len(rows) > MAX_FINISHED:
        notes.append(f"more than {MAX_FINISHED} jobs have ended since the last look; the rest follows at the next ones")
    if any(ending.at_ms > at_ms + _AHEAD_MS for ending, _job in after):
        notes.append("a worker's clock is ahead of the database's: it writes ends into the future")
    return jobs, advanced(cursor, late, [ending for ending, _job in after], at_ms), notes


def _read(statements: Statements, rows: Iterable[tuple[Any, ...]], at_ms: int) -> list[tuple[Ending, Job]]:
    found = []
    for row in rows:
        job = job_of(statements.job_row(row), statements.table, at_ms)
        found.append((Ending(_raw(row[-2]), _raw(row[-1]), at_ms if job.finished_ms is None else job.finished_ms), job))
    return found


def _read_missed(look: Look, statements: Statements, missed: Sequence[Ending], at_ms: int) -> list[tuple[Ending, Job]]:
    rows = _rows_by_ids(look, statements, [ending.id for ending in missed])
    return [(ending, job) for ending, job in _read(statements, rows, at_ms) if job.state.is_final]


def _late(look: Look, statements: Statements, cursor: Cursor, at_ms: int) -> list[Ending]:
    if cursor.place is None:
        return []
    sql = statements.ended_latest(has_floor=cursor.floor is not None, has_top=True, limit=MAX_REMEMBERED + _MAX_AT_ONCE)
    top = [cursor.place, cursor.place, cursor.id]
    values = top if cursor.floor is None else [cursor.floor, *top]
    return _endings(statements, look(sql, values), at_ms)[::-1]


def _endings(statements: Statements, rows: Iterable[tuple[Any, ...]], at_ms: int) -> list[Ending]:
    endings = []
    for place, id, moment in rows:
        ms = statements.read_ms(moment)
        endings.append(Ending(_raw(place), _raw(id), at_ms if ms is None else ms))
    return endings


def _raw(value: Any) -> Raw:
    """As it goes into a cursor."""
    return value if isinstance(value, (str, int, float)) or value is None else text_of(value)
