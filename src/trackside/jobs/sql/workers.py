"""What stands around the jobs: workers, schedules, paused queues."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from trackside.jobs.sql.connection import Look
from trackside.jobs.sql.dialect import Dialect
from trackside.jobs.sql.rows import milliseconds, stored_milliseconds, text_of
from trackside.jobs.sql.table_map import PausesTable, SchedulesTable, Times, WorkersTable
from trackside.model.jobs import Job, ScheduleNow, WorkerNow

_MAX_WORKERS = 1_000
_MAX_SCHEDULES = 1_000
_FORGOTTEN_MS = 24 * 3600 * 1000
"""Some libraries never delete a worker that has ended."""


def workers(
    look: Look, table: WorkersTable, dialect: Dialect, jobs: Sequence[Job], at_ms: int
) -> tuple[WorkerNow, ...]:
    """Those of the last day, and what they run of `jobs`."""
    busy = _jobs_by_worker(jobs)
    parts = ("id", "beat", "queue", "started", "host", "process", "version")
    sql = _select(dialect, table, parts, moments=("beat", "started"), times=Times.TIMESTAMP)
    read_ms = _reader(dialect, Times.TIMESTAMP)
    found = []
    for id, beat, queue, started, host, process, version in look(
        f"{sql} ORDER BY {dialect.sql(table.beat)} DESC LIMIT {_MAX_WORKERS}"
    ):
        beat_ms = read_ms(beat)
        if beat_ms is not None and beat_ms < at_ms - _FORGOTTEN_MS:
            continue
        name = text_of(id)
        found.append(
            WorkerNow(
                name,
                queues=(text_of(queue),) if queue is not None else (),
                state="busy" if busy.get(name) else "idle",
                beat_ms=beat_ms,
                expected_ms=None if beat_ms is None else beat_ms + round(table.late_s * 1000),
                jobs=busy.get(name, ()),
                host=text_of(host) or None,
                process=int(process) if str(process).isdigit() else None,
                version=text_of(version) or None,
                started_ms=read_ms(started),
            )
        )
    return tuple(found)


def inferred_workers(jobs: Sequence[Job]) -> tuple[WorkerNow, ...]:
    """Those that run something now; an idle one cannot be seen."""
    queues: defaultdict[str, set[str]] = defaultdict(set)
    leases: defaultdict[str, list[int]] = defaultdict(list)
    for job in jobs:
        if job.worker is not None:
            queues[job.worker].add(job.queue)
            leases[job.worker] += [job.lease_until_ms] if job.lease_until_ms is not None else []
    return tuple(
        WorkerNow(
            name,
            tuple(sorted(queues[name])),
            "busy",
            expected_ms=max(leases[name], default=None),
            jobs=ids,
            is_inferred=True,
        )
        for name, ids in sorted(_jobs_by_worker(jobs).items())
    )


def schedules(look: Look, table: SchedulesTable, dialect: Dialect) -> tuple[ScheduleNow, ...]:
    parts = ("name", "kind", "queue", "rule", "last", "next")
    sql = _select(dialect, table, parts, moments=("last", "next"), times=table.times)
    read_ms = _reader(dialect, table.times)
    return tuple(
        ScheduleNow(text_of(name), text_of(kind), text_of(queue), text_of(rule), read_ms(last), read_ms(next))
        for name, kind, queue, rule, last, next in look(f"{sql} LIMIT {_MAX_SCHEDULES}")
    )


def paused(look: Look, table: PausesTable, dialect: Dialect) -> frozenset[str]:
    sql = _select(dialect, table, ("queue",), moments=(), times=Times.TIMESTAMP)
    return frozenset(text_of(queue) for (queue,) in look(f"{sql} LIMIT {_MAX_SCHEDULES}"))


def _select(dialect: Dialect, table: Any, parts: Sequence[str], *, moments: Sequence[str], times: Times) -> str:
    selected = []
    for part in parts:
        expression = dialect.sql(getattr(table, part))
        is_moment = part in moments and expression != "NULL"
        selected.append(dialect.ms(expression, times) if is_moment else expression)
    where = f" WHERE {dialect.escaped(table.where)}" if table.where else ""
    return f"SELECT {', '.join(selected)} FROM {dialect.table(table.table)} AS j{where}"


def _reader(dialect: Dialect, times: Times) -> Callable[[Any], int | None]:
    read = stored_milliseconds if dialect.name == "sqlite" else milliseconds
    return lambda value: read(value, times)


def _jobs_by_worker(jobs: Sequence[Job]) -> dict[str, tuple[str, ...]]:
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for job in jobs:
        if job.worker is not None:
            ids[job.worker].append(job.id)
    return {worker: tuple(some) for worker, some in ids.items()}
