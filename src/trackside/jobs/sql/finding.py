"""Searching a table of jobs: newest first, page by page, never through more than the newest hundred thousand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from trackside.jobs.payloads import IsSecret
from trackside.jobs.source import MAX_SEARCHED
from trackside.jobs.sql.connection import Look
from trackside.jobs.sql.payload import MAX_CHARACTERS, shown
from trackside.jobs.sql.rows import error_line, job_of, text_of
from trackside.jobs.sql.statements import Statements, part_text
from trackside.model.jobs import JobQuery, JobsPage, JobState

MAX_READ = 10_000
"""Rows that a search for a text goes through at a time; it goes on at the next page."""
_CHUNK = 200
_MAX_PAGE = 1_000
_TIMED = (JobState.QUEUED, JobState.SCHEDULED)


_Place = tuple[Any, Any]
"""Of a row: what it is sorted by, and its id."""


@dataclass(frozen=True, slots=True)
class Finder:
    """Searches one table. For a text the database is asked first, and then what would be shown: a search that finds
    secrets tells them. It goes through so many rows at a time, whatever is in them: how far it came tells nothing of
    rows that hold the text where nobody may see it."""

    look: Look
    statements: Statements
    is_secret: IsSecret

    def page(self, query: JobQuery, after: str, limit: int) -> JobsPage:
        """`after` of something else than a page: the first one."""
        conditions = _Conditions(self.statements)
        text = sendable(query.text)
        if text is None or not conditions.narrow(query):
            return JobsPage(())
        order = conditions.order
        floor = self.look(_floor(self.statements, order))
        if floor:
            conditions.add(f"{order} >= {self.statements.dialect.placeholder}", floor[0][0])
        limit = max(1, min(limit, _MAX_PAGE))
        place, end = _place_of(after), None
        if place is not None:
            conditions.add_behind(place)
        if text:
            end = self._window_end(conditions)
            if end is not None:
                conditions.add_up_to(end)
            conditions.add_text(text)
        ((at_ms,),) = self.look(self.statements.now)
        found = list(islice(self._rows(conditions, text, _CHUNK if text else limit + 1), limit + 1))
        next = found[limit - 1][1] if len(found) > limit else end
        return JobsPage(
            tuple(job_of(row, self.statements.table, int(at_ms)) for row, _ in found[:limit]),
            "" if next is None else json.dumps(list(next), default=str),
            is_cut=bool(floor),
        )

    def _window_end(self, conditions: _Conditions) -> _Place | None:
        """The last row of those that are looked at this time; None: these are all."""
        statements, id = self.statements, self.statements.part("id")
        raw, order = statements.dialect.raw, conditions.order
        rows = self.look(
            f"SELECT {raw(order)}, {raw(id)} {statements.from_joined}{conditions.where}"
            f" ORDER BY {order} DESC, {id} DESC LIMIT 1 OFFSET {MAX_READ - 1}",
            conditions.values,
        )
        return (rows[0][0], rows[0][1]) if rows else None

    def _rows(self, conditions: _Conditions, text: str, chunk: int) -> Iterator[tuple[dict[str, Any], _Place]]:
        """Newest first, with their places."""
        statements, id = self.statements, self.statements.part("id")
        raw, order = statements.dialect.raw, conditions.order
        payload = part_text(statements, "payload", MAX_CHARACTERS + 1) if text else "NULL"
        rest = conditions
        while True:
            rows = self.look(
                f"SELECT {statements.columns()}, {payload}, {raw(order)}, {raw(id)} {statements.from_joined}"
                f"{rest.where} ORDER BY {order} DESC, {id} DESC LIMIT {chunk}",
                rest.values,
            )
            for row in rows:
                named = statements.job_row(row)
                if not text or self._shows(named, row[-3], text.casefold()):
                    yield named, (row[-2], row[-1])
            if len(rows) < chunk:
                return
            rest = conditions.copy()
            rest.add_behind((rows[-1][-2], rows[-1][-1]))

    def _shows(self, row: Mapping[str, Any], payload: Any, wanted: str) -> bool:
        if any(wanted in text_of(row[part]).casefold() for part in ("id", "kind")):
            return True
        error = text_of(row["error"])
        # Its line, as everywhere else: thousands of tracebacks to look through for secrets would take a minute.
        if wanted in error.casefold() and wanted in error_line(error).casefold():
            return True
        called = shown(payload, self.is_secret)
        if isinstance(called, str):
            return wanted in called.casefold()
        # As the table may have it, and as everything else is searched.
        narrow = json.dumps(called, ensure_ascii=False, separators=(",", ":"))
        return wanted in f"{json.dumps(called, ensure_ascii=False)} {narrow}".casefold()


def sendable(text: str) -> str | None:
    """As every database takes it; None: no database holds such a text."""
    return None if "\0" in text else text.encode("utf-8", "replace").decode()


class _Conditions:
    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._sql: list[str] = []
        self.values: list[Any] = []
        self.order = statements.dialect.sql(statements.table.newest or statements.table.id)

    def copy(self) -> _Conditions:
        same = _Conditions(self._statements)
        same._sql, same.values = [*self._sql], [*self.values]
        return same

    @property
    def where(self) -> str:
        return f" WHERE {' AND '.join(self._sql)}" if self._sql else ""

    def add(self, sql: str, *values: Any) -> None:
        self._sql.append(sql)
        self.values += values

    def add_behind(self, place: _Place) -> None:
        """Only what comes after it."""
        self._add_beside(place, "<", "<")

    def add_up_to(self, place: _Place) -> None:
        """Only what comes before it, and itself."""
        self._add_beside(place, ">", ">=")

    def _add_beside(self, place: _Place, sign: str, for_ids: str) -> None:
        order, id, mark = self.order, self._statements.part("id"), self._statements.dialect.placeholder
        # The first one is for an index.
        self.add(f"{order} {sign}= {mark}", place[0])
        self.add(f"({order} {sign} {mark} OR ({order} = {mark} AND {id} {for_ids} {mark}))", place[0], *place)

    def narrow(self, query: JobQuery) -> bool:
        """False: no job can be meant."""
        if query.states:
            self._narrow_states(query.states)
        for part, wanted in (("queue", query.queue), ("kind", query.kind), ("worker", query.worker)):
            if wanted and not self._narrow_to(part, wanted):
                return False
        return True

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

    def add_text(self, text: str) -> None:
        statements, dialect = self._statements, self._statements.dialect
        parts = [part for part in ("payload", "error", "id", "kind") if getattr(statements.table, part)]
        choices = [dialect.contains(statements.part(part), statements.kind_of(part)) for part in parts]
        needles = [dialect.needle(text, statements.kind_of(part)) for part in parts]
        self.add(f"({' OR '.join(choices)})", *needles)


def _floor(statements: Statements, order: str) -> str:
    """The oldest that is looked at; nothing, if all of them are."""
    return (
        f"SELECT {statements.dialect.raw(order)} {statements.from_table} ORDER BY {order} DESC"
        f" LIMIT 1 OFFSET {MAX_SEARCHED - 1}"
    )


def _place_of(after: str) -> _Place | None:
    try:
        place = json.loads(after) if after else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(place, list) or len(place) != 2:
        return None
    if not all(isinstance(part, (str, int, float)) and sendable(str(part)) is not None for part in place):
        return None
    return place[0], place[1]
