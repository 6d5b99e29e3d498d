"""Searching a table of jobs: newest first, page by page, never through more than the newest hundred thousand."""

from __future__ import annotations

import json
from typing import Any

from trackside.jobs.source import MAX_SEARCHED
from trackside.jobs.sql.connection import Look
from trackside.jobs.sql.rows import job_of
from trackside.jobs.sql.statements import Statements
from trackside.model.jobs import JobQuery, JobsPage, JobState

_MAX_PAGE = 1_000
_TIMED = (JobState.QUEUED, JobState.SCHEDULED)


def find(look: Look, statements: Statements, query: JobQuery, after: str, limit: int) -> JobsPage:
    """One page. `after` of something else than a page: the first one."""
    conditions = _Conditions(statements)
    if not conditions.narrow(query):
        return JobsPage(())
    order = statements.dialect.sql(statements.table.newest or statements.table.id)
    id, mark = statements.part("id"), statements.dialect.placeholder
    floor = look(_floor(statements, order))
    if floor:
        conditions.add(f"{order} >= {mark}", floor[0][0])
    place = _place_of(after)
    if place is not None:
        conditions.add(f"{order} <= {mark}", place[0])
        conditions.add(f"({order} < {mark} OR ({order} = {mark} AND {id} < {mark}))", place[0], place[0], place[1])
    limit = max(1, min(limit, _MAX_PAGE))
    raw = statements.dialect.raw
    rows = look(
        f"SELECT {statements.columns()}, {raw(order)}, {raw(id)} {statements.from_joined}{conditions.where}"
        f" ORDER BY {order} DESC, {id} DESC LIMIT {limit + 1}",
        conditions.values,
    )
    ((at_ms,),) = look(statements.now)
    jobs = tuple(job_of(statements.job_row(row), statements.table, int(at_ms)) for row in rows[:limit])
    next = json.dumps(list(rows[limit - 1][-2:]), default=str) if len(rows) > limit else ""
    return JobsPage(jobs, next, is_cut=bool(floor))


def sendable(text: str) -> str | None:
    """As every database takes it; None: no database holds such a text."""
    return None if "\0" in text else text.encode("utf-8", "replace").decode()


class _Conditions:
    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._sql: list[str] = []
        self.values: list[Any] = []

    @property
    def where(self) -> str:
        return f" WHERE {' AND '.join(self._sql)}" if self._sql else ""

    def add(self, sql: str, *values: Any) -> None:
        self._sql.append(sql)
        self.values += values

    def narrow(self, query: JobQuery) -> bool:
        """False: no job can be meant."""
        if query.states:
            self._narrow_states(query.states)
        for part, wanted in (("queue", query.queue), ("kind", query.kind), ("worker", query.worker)):
            if wanted and not self._narrow_to(part, wanted):
                return False
        return self._narrow_text(query.text) if query.text else True

    def _narrow_states(self, states: frozenset[JobState]) -> None:
        statements, table = self._statements, self._statements.table
        if not table.due or all(state in states for state in _TIMED):
            self.add(statements.in_states(*states))
            return
        choices = [statements.in_states(*(state for state in states if state not in _TIMED))]
        is_due = statements.dialect.is_due(statements.part("due"), table.times)
        waiting = statements.in_states(*_TIMED)
        if JobState.QUEUED in states:
            choices.append(f"{waiting} AND {is_due}")
        if JobState.SCHEDULED in states:
            choices.append(f"{waiting} AND NOT {is_due}")
        self.add(f"({' OR '.join(f'({choice})' for choice in choices)})")

    def _narrow_to(self, part: str, wanted: str) -> bool:
        if not getattr(self._statements.table, part):
            return part == "queue" and wanted == "default"
        value = sendable(wanted)
        if value is None:
            return False
        dialect = self._statements.dialect
        self.add(f"{dialect.text(self._statements.part(part))} = {dialect.placeholder}", value)
        return True

    def _narrow_text(self, text: str) -> bool:
        value = sendable(text)
        statements, dialect = self._statements, self._statements.dialect
        parts = [part for part in ("payload", "error") if getattr(statements.table, part)]
        if value is None or not parts:
            return False
        choices = [dialect.contains(statements.part(part), statements.kind_of(part)) for part in parts]
        needles = [dialect.needle(value, statements.kind_of(part)) for part in parts]
        self.add(f"({' OR '.join(choices)})", *needles)
        return True


def _floor(statements: Statements, order: str) -> str:
    """The oldest that is looked at; nothing, if all of them are."""
    return (
        f"SELECT {statements.dialect.raw(order)} {statements.from_table} ORDER BY {order} DESC"
        f" LIMIT 1 OFFSET {MAX_SEARCHED - 1}"
    )


def _place_of(after: str) -> tuple[Any, Any] | None:
    try:
        place = json.loads(after) if after else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(place, list) or len(place) != 2:
        return None
    if not all(isinstance(part, (str, int, float)) and sendable(str(part)) is not None for part in place):
        return None
    return place[0], place[1]
