"""Any table of jobs as a source: one map of columns is all that is needed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from trackside.exceptions import SourceError
from trackside.jobs.payloads import IsSecret
from trackside.jobs.source import Measure
from trackside.jobs.sql import sampling, workers
from trackside.jobs.sql.advice import suggested_indexes
from trackside.jobs.sql.catalog import Choice, Column, checked_columns, columns_of, enumeration, reads_everything
from trackside.jobs.sql.connection import TIME_OUT_S, Connection, Look, TookTooLongError
from trackside.jobs.sql.detail import detail
from trackside.jobs.sql.dialect import Dialect
from trackside.jobs.sql.endings import Cursor, cursor_of
from trackside.jobs.sql.finding import Finder
from trackside.jobs.sql.statements import Statements
from trackside.jobs.sql.table_map import TableMap
from trackside.model.jobs import Fidelity, Job, JobDetail, JobQuery, JobsPage, JobsSample, JobState, WorkerNow

_ADVICE_EVERY = 200
"""Looks between two that ask for the plan of the queries."""
_MAX_QUEUES = 1_000
_NO_COLUMN = re.compile(r"column .* does not exist|no such column|Unknown column", re.I)


class SqlJobs:
    """Read-only. A library's tables, or a team's own, in Postgres, MySQL or SQLite."""

    def __init__(
        self,
        connection: Connection,
        table: TableMap | Choice,
        *,
        is_secret: IsSecret,
    ) -> None:
        """`is_secret` says which named arguments stay hidden."""
        self._connection = connection
        self._table = table
        self._is_secret = is_secret
        self._ready: _Ready | None = None
        self._looks = 0
        self._advice: tuple[str, ...] = ()
        self._queues: dict[str, None] = {}

    @property
    def backend(self) -> str:
        table = self.table
        return table.backend if table is not None and table.backend else self._connection.dialect.name

    @property
    def fidelity(self) -> Mapping[Measure, Fidelity]:
        """Empty before the first look, where the map depends on what is there."""
        table = self.table
        return {} if table is None else fidelity_of(table)

    @property
    def columns(self) -> Mapping[str, Column]:
        """Of the table of jobs; empty before the first look."""
        return {} if self._ready is None else self._ready.jobs.found

    def sample(self, cursor: Any = None) -> JobsSample:
        with self._looking() as (look, ready):
            return self._sample(look, ready, cursor_of(cursor))

    def find(self, query: JobQuery, after: str = "", limit: int = 50) -> JobsPage:
        with self._looking() as (look, ready):
            in_ended = (
                not ready.jobs.table.keeps_ended and query.states and all(state.is_final for state in query.states)
            )
            statements = ready.ended if in_ended else ready.jobs
            return Finder(look, statements, self._is_secret).page(query, after, limit)

    def get(self, id: str) -> JobDetail | None:
        with self._looking() as (look, ready):
            found = detail(look, ready.jobs, id, self._is_secret)
            if found is None and not ready.jobs.table.keeps_ended:
                found = detail(look, ready.ended, id, self._is_secret)
            return found

    def close(self) -> None:
        self._connection.close()

    @property
    def table(self) -> TableMap | None:
        """None before the first look, where the map depends on what is there."""
        if self._ready is not None:
            return self._ready.jobs.table
        return self._table if isinstance(self._table, TableMap) else None

    @contextmanager
    def _looking(self) -> Iterator[tuple[Look, _Ready]]:
        columns: Mapping[str, Column] = {}
        try:
            with self._connection.look() as look:
                if self._ready is None:
                    self._ready = self._prepared(look)
                columns = self._ready.jobs.found
                yield look, self._ready
        except SourceError as error:
            ready, self._ready = self._ready, None
            if isinstance(error, TookTooLongError) and ready is not None:
                raise TookTooLongError(" ".join([str(error), *self._advice_for(ready)])) from error
            # Tables change under us: the next look begins with what is there.
            if columns and _NO_COLUMN.search(str(error)):
                raise SourceError(f"{error}; there are: {', '.join(columns)}") from error
            raise

    def _prepared(self, look: Look) -> _Ready:
        dialect = self._connection.dialect
        table = self._table
        if not isinstance(table, TableMap):
            table = table(lambda name: columns_of(look, dialect, name))
        return _Ready(_statements(look, dialect, table), _statements(look, dialect, table.endings))

    def _sample(self, look: Look, ready: _Ready, cursor: Cursor | None) -> JobsSample:
        ((at,),) = look(ready.jobs.now)
        at_ms = int(at)
        table, dialect = ready.jobs.table, self._connection.dialect
        backlog = sampling.Backlog(ready.jobs)
        backlog.read(look)
        paused = workers.paused(look, table.pauses, dialect) if table.pauses is not None else frozenset()
        queues = backlog.queues(self._queues, paused)
        self._queues = dict.fromkeys(queue.name for queue in queues[:_MAX_QUEUES])
        runs = sampling.running(look, ready.jobs, at_ms)
        finished, new_cursor, notes = self._ended(look, ready.ended, cursor, at_ms)
        self._advise(look, ready)
        return JobsSample(
            at_ms,
            queues=queues,
            workers=self._workers(look, table, runs, at_ms),
            running=runs,
            finished=tuple(finished),
            schedules=workers.schedules(look, table.schedules, dialect) if table.schedules is not None else (),
            cursor=None if new_cursor is None else new_cursor.to_json(),
            notes=(*unknown_of(table), *notes, *self._advice),
        )

    def _ended(
        self, look: Look, statements: Statements, cursor: Cursor | None, at_ms: int
    ) -> tuple[list[Job], Cursor | None, list[str]]:
        if not statements.table.finished:
            return [], None, []
        if cursor is None:
            return [], sampling.first_cursor(look, statements, at_ms), []
        return sampling.ended(look, statements, cursor, at_ms)

    def _workers(self, look: Look, table: TableMap, runs: tuple[Job, ...], at_ms: int) -> tuple[WorkerNow, ...]:
        if table.workers is None:
            return workers.inferred_workers(runs)
        return workers.workers(look, table.workers, self._connection.dialect, runs, at_ms)

    def _advice_for(self, ready: _Ready) -> tuple[str, ...]:
        try:
            with self._connection.look() as look:
                return advice(look, ready.jobs, ready.ended)
        except SourceError:
            # It is about to be said that something is wrong; this would be more of the same.
            return ()

    def _advise(self, look: Look, ready: _Ready) -> None:
        if self._looks % _ADVICE_EVERY == 0:
            self._advice = advice(look, ready.jobs, ready.ended)
        self._looks += 1


@dataclass(frozen=True, slots=True)
class _Ready:
    """What was found in the database, and what can be asked there."""

    jobs: Statements
    ended: Statements


def open_jobs(
    url: str,
    table: TableMap | Choice,
    *,
    is_secret: IsSecret,
    time_out_s: float = TIME_OUT_S,
) -> SqlJobs:
    """A source that connects when it is first asked.

    Raises:
        ConfigError: an address of something else.
    """
    return SqlJobs(Connection(url, time_out_s), table, is_secret=is_secret)


def _statements(look: Look, dialect: Dialect, table: TableMap) -> Statements:
    return Statements(table, dialect, checked_columns(look, dialect, table), enumeration(look, dialect, table))


def fidelity_of(table: TableMap) -> dict[Measure, Fidelity]:
    """What the columns of a map allow to know."""
    ends = table.endings

    def exact_if(is_there: object, otherwise: Fidelity = Fidelity.NEEDS_HOOK) -> Fidelity:
        return Fidelity.EXACT if is_there else otherwise

    return {
        Measure.DEPTH: Fidelity.EXACT,
        Measure.OLDEST: exact_if(table.due or table.enqueued, Fidelity.INFERRED),
        Measure.RUNNING: exact_if(JobState.RUNNING in table.states.values()),
        Measure.WORKERS: exact_if(table.workers, Fidelity.INFERRED if table.worker else Fidelity.NEEDS_HOOK),
        Measure.THROUGHPUT: exact_if(ends.finished),
        Measure.LATENCY: exact_if(ends.finished and ends.started),
        Measure.TRACEBACK: exact_if(table.history, Fidelity.SAMPLED if table.error else Fidelity.NEEDS_HOOK),
    }


def unknown_of(table: TableMap) -> list[str]:
    """What cannot be known, a sentence each."""
    notes = list(table.notes)
    if table.workers is None:
        seen = "from the jobs they run; idle ones are not seen" if table.worker else "at all: no column names them"
        notes.append(f"there is no table of workers: they are known {seen}")
    if not table.endings.finished:
        notes.append("no column says when a job ended: neither throughput nor run times are known")
    if JobState.RUNNING in table.states.values() and not (table.lease_until or table.beat or table.workers):
        notes.append("no column says until when a worker holds a job: abandoned jobs cannot be told from long ones")
    return notes


def advice(look: Look, jobs: Statements, ended: Statements) -> tuple[str, ...]:
    """Notes with the indexes that would help, if a query reads all of a big table."""
    asked = [(jobs, jobs.backlog())]
    if ended.table.finished:
        asked.append((ended, ended.ended_latest(has_floor=False, has_top=False, limit=1)))
    slow = [
        statements for statements, sql in asked if reads_everything(look, jobs.dialect, statements.table.table, sql)
    ]
    if not slow:
        return ()
    names = " and ".join(dict.fromkeys(statements.table.table for statements in slow))
    indexes = " ".join(suggested_indexes(jobs.table, jobs.dialect, jobs.found))
    return (f"each look reads all of {names}; these make it fast: {indexes}",)
