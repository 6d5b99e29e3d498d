"""The SQL of a map: what is asked at each look, of each search, of one job."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from trackside.jobs.sql.catalog import Column
from trackside.jobs.sql.dialect import Dialect
from trackside.jobs.sql.rows import milliseconds, stored_milliseconds
from trackside.jobs.sql.table_map import TableMap, Times, column_name, is_column
from trackside.model.jobs import JobState

MOMENTS = ("enqueued", "due", "started", "finished", "lease_until", "beat")
_PARTS = ("id", "state", "kind", "queue", *MOMENTS, "attempt", "max_attempts", "worker", "error")
_TEXTS = ("id", "state", "kind", "queue", "worker")
_MAX_ERROR = 4_000

LIVE = (JobState.SCHEDULED, JobState.BLOCKED, JobState.QUEUED, JobState.RUNNING, JobState.RETRYING)
FINAL = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Statements:
    """Of one table."""

    table: TableMap
    dialect: Dialect
    found: Mapping[str, Column]
    """The columns of the table."""
    known_words: Collection[str] | None = None
    """Of a state that is an enumeration: comparing it with any other word is an error."""

    @property
    def moments_are_stored(self) -> bool:
        return self.dialect.name == "sqlite"

    def read_ms(self, value: Any, times: Times | None = None) -> int | None:
        read = stored_milliseconds if self.moments_are_stored else milliseconds
        return read(value, times or self.table.times)

    def part(self, name: str) -> str:
        return self.dialect.sql(getattr(self.table, name))

    def words(self, *states: JobState) -> list[str]:
        words = self.table.words(*states)
        return words if self.known_words is None else [word for word in words if word in self.known_words]

    def in_states(self, *states: JobState) -> str:
        return f"{self.part('state')} IN ({self.dialect.words(self.words(*states))})"

    @property
    def live(self) -> str:
        if self.table.live:
            return f"({self.dialect.escaped(self.table.live)})"
        return self.in_states(*LIVE)

    @property
    def from_table(self) -> str:
        return f"FROM {self.dialect.table(self.table.table)} AS j"

    @property
    def from_joined(self) -> str:
        joins = self.dialect.escaped(self.table.joins)
        return f"{self.from_table} {joins}".rstrip()

    def kind_of(self, part: str) -> str:
        """The type of the column a part is; "" of an expression."""
        column = self._column(part)
        return column.kind if column is not None else ""

    def columns(self) -> str:
        """What `job` reads."""
        return ", ".join(self._selected(part) for part in _PARTS)

    def job_row(self, row: tuple[Any, ...]) -> dict[str, Any]:
        """With moments in milliseconds."""
        named = dict(zip(_PARTS, row, strict=False))
        for moment in MOMENTS:
            named[moment] = self.read_ms(named[moment])
        if not self.table.queue:
            named["queue"] = "default"
        return named

    @property
    def now(self) -> str:
        """Milliseconds by the database's clock."""
        return {
            "postgres": "SELECT floor(extract(epoch FROM now()) * 1000)::bigint",
            "sqlite": "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
            "mysql": "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000",
        }[self.dialect.name]

    @property
    def ready(self) -> str:
        """Since when a live job could run, from the table alone."""
        table = self.table
        enqueued = "" if table.is_oldest_by_id else table.enqueued
        if table.due and enqueued:
            due, column = self.dialect.sql(table.due), self._column("due")
            is_always_there = column is not None and not column.is_nullable
            return due if is_always_there else f"coalesce({due}, {self.dialect.sql(enqueued)})"
        return self.dialect.sql(table.due or enqueued)

    def backlog(self) -> str:
        """Rows of queue, raw state, is due, how many, the oldest's moment; or its id if that is how it is found."""
        table, dialect = self.table, self.dialect
        ready = self.ready
        oldest = "NULL" if ready == "NULL" else self._ms(f"min({ready})")
        is_due = dialect.is_due(dialect.sql(table.due), table.times) if table.due else "1 = 1"
        first = "NULL"
        if not table.enqueued or table.is_oldest_by_id:
            # Those without a time of their own; the id says when they came.
            id = self.dialect.raw(self.part("id")) if self.kind_of("id") == "uuid" else self.part("id")
            first = f"min(CASE WHEN {dialect.sql(table.due)} IS NULL THEN {id} END)" if table.due else f"min({id})"
        return (
            f"SELECT {self._queue()} AS queue, {self._state_text()} AS state,"
            f" CASE WHEN {is_due} THEN 1 ELSE 0 END AS is_due, count(*), {oldest}, {first}"
            f" {self.from_table} WHERE {self.live} GROUP BY 1, 2, 3"
        )

    def running(self, limit: int) -> str:
        """Those that run longest come first."""
        known = self.table.running or self.table.live
        both = f"({self.dialect.escaped(known)}) AND " if known else ""
        order = f" ORDER BY {self.part('started')}" if self.table.started else ""
        return (
            f"SELECT {self.columns()} {self.from_joined}"
            f" WHERE {both}{self.in_states(JobState.RUNNING)}{order} LIMIT {limit}"
        )

    def ended_after(self, is_beginning: bool, limit: int) -> str:
        """Jobs, with place and id. Placeholders: place, place, place, id. At the beginning there are none."""
        place, id, mark = self._place, self.part("id"), self.dialect.placeholder
        behind = f"{place} >= {mark} AND ({place} > {mark} OR ({place} = {mark} AND {id} > {mark}))"
        return (
            f"SELECT {self.columns()}, {self._raw_place} {self._from_ended}"
            f"{'' if is_beginning else f' AND {behind}'} ORDER BY {place}, {id} LIMIT {limit}"
        )

    def ended_latest(self, *, has_floor: bool, has_top: bool, limit: int) -> str:
        """Place, id and moment, newest first, none of the future. Placeholders: floor; place, place, id of the top."""
        place, id, mark = self._place, self.part("id"), self.dialect.placeholder
        bounds = f" AND {place} > {mark}" if has_floor else ""
        is_past = self.dialect.is_past(self.part("finished"), self.table.times)
        bounds += f" AND {place} <= {mark} AND ({place} < {mark} OR {id} <= {mark})" if has_top else f" AND {is_past}"
        return (
            f"SELECT {self._raw_place}, {self._ms(self.part('finished'))} {self._from_ended}{bounds}"
            f" ORDER BY {place} DESC, {id} DESC LIMIT {limit}"
        )

    def by_ids(self, number: int) -> str:
        marks = ", ".join([self.dialect.placeholder] * number)
        return f"SELECT {self.columns()}, {self._raw_place} {self.from_joined} WHERE {self.part('id')} IN ({marks})"

    @property
    def _place(self) -> str:
        return self.dialect.sql(self.table.position)

    @property
    def _raw_place(self) -> str:
        return f"{self.dialect.raw(self._place)}, {self.dialect.raw(self.part('id'))}"

    @property
    def _from_ended(self) -> str:
        known = f"{self._place} IS NOT NULL"
        if self.table.finished != self.table.position:
            known += f" AND {self.part('finished')} IS NOT NULL"
        return f"{self.from_joined} WHERE {known} AND {self.in_states(*FINAL)}"

    def _column(self, part: str) -> Column | None:
        text = getattr(self.table, part)
        return self.found.get(column_name(text)) if is_column(text) else None

    def _queue(self) -> str:
        return self.dialect.text(self.part("queue")) if self.table.queue else "'default'"

    def _state_text(self) -> str:
        return self.dialect.text(self.part("state"))

    def _ms(self, expression: str) -> str:
        return self.dialect.ms(expression, self.table.times)

    def _selected(self, part: str) -> str:
        if not getattr(self.table, part):
            return "NULL"
        expression = self.part(part)
        if part in MOMENTS:
            return self._ms(expression)
        if part == "error":
            return self.dialect.text(expression, _MAX_ERROR, self.kind_of(part))
        return self.dialect.text(expression) if part in _TEXTS else expression


def part_text(statements: Statements, part: str, characters: int) -> str:
    """Its beginning, as text."""
    if not getattr(statements.table, part):
        return "NULL"
    return statements.dialect.text(statements.part(part), characters, statements.kind_of(part))
