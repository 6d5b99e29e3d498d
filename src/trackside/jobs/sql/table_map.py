"""What a job library's tables mean: which column or expression is what. Configuration, checked when it is made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum

from trackside.exceptions import ConfigError
from trackside.model.jobs import JobState

_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*|\"[^\"\0]+\"")
_TABLE = re.compile(rf"(?:{_COLUMN.pattern})(?:\.(?:{_COLUMN.pattern}))?")
_TEXT_LITERAL = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`")
_FORBIDDEN = (";", "--", "/*", "\0", "'", '"', "`", "\\")
"""Outside of literals. What is left of a quotation mark there has no partner."""


class Times(Enum):
    """How a table writes moments."""

    TIMESTAMP = "timestamp"
    """The database's own type; in SQLite, text as in ISO 8601, UTC unless it says otherwise."""
    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"
    """Since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersTable:
    """Where workers say that they live."""

    table: str
    id: str
    beat: str
    late_s: float
    """So long after the last beat the worker is taken for dead."""
    queue: str = ""
    started: str = ""
    host: str = ""
    process: str = ""
    version: str = ""
    where: str = ""

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulesTable:
    """Where a library writes what it enqueues again and again."""

    table: str
    name: str
    kind: str = ""
    queue: str = ""
    rule: str = ""
    last: str = ""
    next: str = ""
    where: str = ""
    times: Times = Times.TIMESTAMP

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PausesTable:
    """Which queues are paused: one row each."""

    table: str
    queue: str
    where: str = ""

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMap:
    """A table of jobs, its alias is `j`.

    Each part is a column's name, or an SQL expression: whatever does not look like a name, in double quotes if need be.
    A part that is not there is "": what would follow from it is then unknown, and a note says so.

    Raises:
        ConfigError: a part that can be neither a column nor an expression.
    """

    table: str
    """With its schema, if need be: "apalis.jobs"."""
    states: Mapping[str, JobState]
    """A raw state that is not here counts as blocked when it is met: nobody will run it, as far as we know."""
    backend: str = ""
    """The library; "": the database."""
    id: str = "id"
    state: str = "status"
    kind: str = ""
    queue: str = ""
    enqueued: str = ""
    """Where there is none and `id` is a ULID, the time in it is taken."""
    due: str = ""
    started: str = ""
    finished: str = ""
    attempt: str = ""
    max_attempts: str = ""
    worker: str = ""
    lease_until: str = ""
    beat: str = ""
    """The worker writes here that this job lives; without `lease_until` the lease is `lease_s` from then."""
    lease_s: float = 0
    error: str = ""
    history: str = ""
    """JSON: a list of objects, one for an attempt, oldest first: "attempt", "started", "at" (its end), "outcome",
    "worker", "error", "trace", as far as known."""
    payload: str = ""
    result: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    """More to show of one job: label to column or expression."""
    times: Times = Times.TIMESTAMP
    joins: str = ""
    """SQL after the table, for expressions that need more than one table. Not used for counting."""
    live: str = ""
    """Which rows may be other than final, as a condition that an index answers. "": by the words in `states`."""
    running: str = ""
    """The same of those that run."""
    newest: str = ""
    """A column that grows with each new job, and is indexed. "": the id."""
    is_oldest_by_id: bool = False
    """`enqueued` needs the joins: the job that waits longest is then the one with the least id."""
    ended: TableMap | None = None
    """Jobs that have ended, where they are not (only) in this table: one row for each end."""
    ended_by: str = ""
    """What grows with each end, and is indexed. "": `finished`."""
    keeps_ended: bool = True
    """False: the library deletes a job when it has ended; what is left is in `ended`."""
    workers: WorkersTable | None = None
    schedules: SchedulesTable | None = None
    pauses: PausesTable | None = None
    also_reads: tuple[str, ...] = ()
    """Tables that joins and expressions name."""
    notes: tuple[str, ...] = ()
    """What the library does not know; a sentence each."""
    indexes: tuple[str, ...] = ()
    """To be suggested instead of those that follow from the columns; `{table}` stands for the table."""

    def __post_init__(self) -> None:
        _check(self)
        if not self.states:
            raise ConfigError(f"{self.table}: `states` is empty: which words of `{self.state}` mean what?")
        for word in self.states:
            if not word or any(character in word for character in "'\\\0%"):
                raise ConfigError(f"{self.table}: the state {word!r} has a character that no state may have")
        for table in self.also_reads:
            _check_table(table)

    def words(self, *states: JobState) -> list[str]:
        """The raw states that mean any of `states`."""
        return [word for word, state in self.states.items() if state in states]

    @property
    def endings(self) -> TableMap:
        return self.ended or self

    @property
    def position(self) -> str:
        """By which ends are ordered."""
        return self.ended_by or self.finished

    def columns(self) -> Iterator[tuple[str, str]]:
        """Each part that is the name of a column, with that name."""
        for part, text in _parts(self):
            if is_column(text):
                yield part, column_name(text)
        for text in self.extra.values():
            if is_column(text):
                yield "extra", column_name(text)

    def tables(self) -> list[str]:
        """All that are read."""
        more = [noun.table for noun in (self.workers, self.schedules, self.pauses) if noun is not None]
        ended = self.ended.tables() if self.ended is not None else []
        return list(dict.fromkeys([self.table, *more, *ended, *self.also_reads]))


_Noun = WorkersTable | SchedulesTable | PausesTable | TableMap


def is_column(text: str) -> bool:
    return _COLUMN.fullmatch(text) is not None


def column_name(text: str) -> str:
    return text.strip('"')


def table_parts(table: str) -> list[str]:
    """Schema and name, or the name alone; without quotation marks."""
    return [column_name(match.group()) for match in re.finditer(_COLUMN, table)]


def _parts(noun: _Noun) -> Iterator[tuple[str, str]]:
    for one in fields(noun):
        text = getattr(noun, one.name)
        if isinstance(text, str) and one.name not in ("backend", "table"):
            yield one.name, text


def _check(noun: _Noun) -> None:
    _check_table(noun.table)
    parts = list(_parts(noun))
    if isinstance(noun, TableMap):
        parts += [(f"extra.{label}", text) for label, text in noun.extra.items()]
    for part, text in parts:
        _check_expression(f"{noun.table}: {part}", text)


def _check_table(table: str) -> None:
    if _TABLE.fullmatch(table) is None:
        raise ConfigError(
            f"{table!r} is not the name of a table; expected `jobs`, `schema.jobs` or, quoted, '\"my jobs\"'"
        )


def _check_expression(where: str, text: str) -> None:
    # A backslash may end a literal or not, as the server is set.
    bare = _TEXT_LITERAL.sub("", text) + ("\\" if "\\" in text else "")
    for sign in _FORBIDDEN:
        if sign in bare:
            raise ConfigError(f"{where}: {text!r} is neither a column nor an expression: {sign!r} has no place in it")
    depth = 0
    for character in bare:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
    if depth:
        raise ConfigError(f"{where}: {text!r} is neither a column nor an expression: its parentheses do not match")
