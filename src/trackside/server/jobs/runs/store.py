"""Rows of single runs: the last ones, and all failures, for a while."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from trackside.jobs.ledger.causes import cause, cause_text
from trackside.jobs.ledger.cells import Change
from trackside.jobs.ledger.figures import FailureGroup, JobFilter, Recent
from trackside.jobs.ledger.runs import Origin, Outcome, Run

SCHEMA = """
CREATE TABLE IF NOT EXISTS job_run (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    job_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    queue TEXT NOT NULL,
    outcome TEXT NOT NULL,
    ended_ms INTEGER NOT NULL,
    attempt INTEGER,
    ready_ms INTEGER,
    started_ms INTEGER,
    wait_s REAL,
    run_s REAL,
    worker TEXT NOT NULL,
    error TEXT NOT NULL,
    traceback TEXT NOT NULL,
    cost_usd REAL,
    tokens INTEGER,
    cpu_s REAL,
    peak_memory_bytes INTEGER,
    trace_id TEXT NOT NULL,
    request_id TEXT NOT NULL DEFAULT '',
    origins INTEGER NOT NULL,
    counted_queue TEXT NOT NULL,
    counted_kind TEXT NOT NULL,
    is_failure INTEGER NOT NULL,
    cause TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS job_run_by_job ON job_run (source, job_id);
CREATE INDEX IF NOT EXISTS job_run_by_time ON job_run (source, is_failure, ended_ms);
CREATE INDEX IF NOT EXISTS job_run_by_end ON job_run (ended_ms, seq);
CREATE INDEX IF NOT EXISTS job_run_by_source ON job_run (source, ended_ms, seq);
CREATE TABLE IF NOT EXISTS job_cause (
    source TEXT NOT NULL,
    cause TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    PRIMARY KEY (source, cause)
) STRICT, WITHOUT ROWID;
"""
ADDED = {"job_run": ("request_id TEXT NOT NULL DEFAULT ''",)}
"""What a table of an older version lacks."""
_COLUMNS = (
    "source, job_id, kind, queue, outcome, ended_ms, attempt, ready_ms, started_ms, wait_s, run_s, worker, error, "
    "traceback, cost_usd, tokens, cpu_s, peak_memory_bytes, trace_id, request_id, origins, counted_queue, counted_kind"
)
_CHUNK = 500
MAX_CAUSES = 1_000
"""Of one source; the ones that were not seen for longest go first."""


@dataclass(frozen=True, slots=True)
class RunFilter:
    of: JobFilter = field(default_factory=JobFilter)
    outcomes: frozenset[Outcome] = frozenset()
    """Empty: any."""
    cause: str = ""
    job_id: str = ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many rows are kept of one source, and how long."""

    runs: int = 20_000
    run_ms: int = 7 * 86_400_000
    failures: int = 50_000
    failure_ms: int = 30 * 86_400_000
    certain_ms: int = 600_000
    """Rows younger than this stay though there are too many, up to ten times as many: a run that is told of again soon
    after must be known."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A job that failed for good."""

    id: str
    kind: str
    queue: str
    at_ms: int
    """When it could have been taken first; when it began, or ended, if that is not known."""


def known(connection: sqlite3.Connection, source: str, ids: Iterable[str]) -> dict[str, list[Run]]:
    """What is stored of these jobs."""
    found: dict[str, list[Run]] = {}
    wanted = list(dict.fromkeys(ids))
    for start in range(0, len(wanted), _CHUNK):
        some = wanted[start : start + _CHUNK]
        marks = ", ".join("?" * len(some))
        rows = connection.execute(f"SELECT * FROM job_run WHERE source = ? AND job_id IN ({marks})", (source, *some))
        for row in rows:
            found.setdefault(row["job_id"], []).append(_run(row))
    return found


def save(connection: sqlite3.Connection, changes: Sequence[Change]) -> None:
    new = [_row(change.after) for change in changes if change.before is None]
    marks = ", ".join("?" * 25)
    connection.executemany(f"INSERT INTO job_run ({_COLUMNS}, is_failure, cause) VALUES ({marks})", new)
    better = [(*_row(change.after), change.after.seq) for change in changes if change.before is not None]
    connection.executemany(
        f"UPDATE job_run SET ({_COLUMNS}, is_failure, cause) = ({marks}) WHERE seq = ?",
        better,
    )
    for change in changes:
        _count_cause(connection, change)


def recent(connection: sqlite3.Connection, wanted: RunFilter, limit: int, after: str = "") -> Recent:
    """Newest first. `after` is the `next` of the page before; one that makes no sense begins anew."""
    where, values = _where(wanted)
    end_ms, _, seq = after.partition("-")
    if end_ms.isdigit() and seq.isdigit():
        where += " AND (ended_ms, seq) < (?, ?)"
        values += [min(int(end_ms), 2**62), min(int(seq), 2**62)]
    rows = connection.execute(
        f"SELECT * FROM job_run WHERE {where} ORDER BY ended_ms DESC, seq DESC LIMIT ?", (*values, limit + 1)
    ).fetchall()
    runs = tuple(_run(row) for row in rows[:limit])
    return Recent(runs, f"{runs[-1].ended_ms}-{runs[-1].seq}" if len(rows) > limit else "")


def failures(
    connection: sqlite3.Connection, wanted: JobFilter, start_ms: int, end_ms: int, limit: int
) -> tuple[FailureGroup, ...]:
    """Those with most failures in [start, end) first."""
    where, values = _where(RunFilter(wanted))
    rows = connection.execute(
        f"""SELECT source, cause, count(*) AS count, max(ended_ms) AS last_ms, min(ended_ms) AS first_ms
            FROM job_run WHERE {where} AND is_failure = 1 AND ended_ms >= ? AND ended_ms < ?
            GROUP BY source, cause ORDER BY count DESC, last_ms DESC LIMIT ?""",
        (*values, start_ms, end_ms, limit),
    ).fetchall()
    return tuple(_group(connection, row) for row in rows)


def failed(
    connection: sqlite3.Connection, source: str, kinds: Iterable[str], since_ms: int, limit: int
) -> list[Failed]:
    """Of these kinds, newest first."""
    wanted = list(kinds)[:_CHUNK]
    rows = connection.execute(
        f"""SELECT job_id, kind, queue, coalesce(ready_ms, started_ms, ended_ms) FROM job_run
            WHERE source = ? AND is_failure = 1 AND ended_ms >= ? AND outcome <> 'retried'
            AND kind IN ({", ".join("?" * len(wanted))}) ORDER BY ended_ms DESC LIMIT ?""",
        (source, since_ms, *wanted, limit),
    )
    return [Failed(*row) for row in rows]


def prune(connection: sqlite3.Connection, bounds: Bounds, now_ms: int) -> None:
    for (source,) in connection.execute("SELECT DISTINCT source FROM job_series").fetchall():
        for is_failure, count, age_ms in ((0, bounds.runs, bounds.run_ms), (1, bounds.failures, bounds.failure_ms)):
            key = (source, is_failure)
            oldest_ms = max(
                now_ms - age_ms,
                min(_nth_newest(connection, key, count), now_ms - bounds.certain_ms),
                _nth_newest(connection, key, 10 * count),
            )
            connection.execute(
                "DELETE FROM job_run WHERE source = ? AND is_failure = ? AND ended_ms < ?", (*key, oldest_ms)
            )
        connection.execute(
            """DELETE FROM job_cause WHERE source = ? AND (last_ms < ? OR cause NOT IN
               (SELECT cause FROM job_cause WHERE source = ? ORDER BY last_ms DESC LIMIT ?))""",
            (source, now_ms - 3 * bounds.failure_ms, source, MAX_CAUSES),
        )


def _nth_newest(connection: sqlite3.Connection, key: tuple[str, int], count: int) -> int:
    """When the last of `count` newest ended; long ago when there are fewer."""
    row = connection.execute(
        "SELECT ended_ms FROM job_run WHERE source = ? AND is_failure = ? ORDER BY ended_ms DESC LIMIT 1 OFFSET ?",
        (*key, count - 1),
    ).fetchone()
    return -(2**62) if row is None else int(row[0])


def _where(wanted: RunFilter) -> tuple[str, list[object]]:
    parts, values = ["1 = 1"], list[object]()
    texts = (
        ("source", wanted.of.source),
        ("queue", wanted.of.queue),
        ("kind", wanted.of.kind),
        ("cause", wanted.cause or None),
        ("job_id", wanted.job_id or None),
    )
    for column, value in texts:
        if value is not None:
            parts.append(f"{column} = ?")
            values.append(value)
    if wanted.of.sources is not None:
        parts.append(f"source IN ({', '.join('?' * len(wanted.of.sources))})")
        values += sorted(wanted.of.sources)
    if wanted.outcomes:
        parts.append(f"outcome IN ({', '.join('?' * len(wanted.outcomes))})")
        values += [outcome.value for outcome in sorted(wanted.outcomes, key=lambda outcome: outcome.value)]
    return " AND ".join(parts), values


def _group(connection: sqlite3.Connection, row: sqlite3.Row) -> FailureGroup:
    key = (row["source"], row["cause"])
    newest = _run(
        connection.execute(
            """SELECT * FROM job_run WHERE source = ? AND cause = ? AND is_failure = 1 AND ended_ms = ?
               ORDER BY seq DESC LIMIT 1""",
            (*key, row["last_ms"]),
        ).fetchone()
    )
    about = connection.execute("SELECT * FROM job_cause WHERE source = ? AND cause = ?", key).fetchone()
    first_ms = min(row["first_ms"], row["first_ms"] if about is None else about["first_ms"])
    text = cause_text(newest.error, newest.traceback)
    return FailureGroup(*key, newest.kind, text, row["count"], first_ms, row["last_ms"], newest)


def _count_cause(connection: sqlite3.Connection, change: Change) -> None:
    before, after = change
    if after.outcome.is_failure and (
        before is None or not before.outcome.is_failure or _cause(before) != _cause(after)
    ):
        connection.execute(
            """INSERT INTO job_cause VALUES (?, ?, ?, ?, 1, ?, ?) ON CONFLICT (source, cause) DO UPDATE SET
               count = count + 1, first_ms = min(first_ms, excluded.first_ms),
               last_ms = max(last_ms, excluded.last_ms)""",
            (
                after.source,
                _cause(after),
                after.kind,
                cause_text(after.error, after.traceback),
                after.ended_ms,
                after.ended_ms,
            ),
        )


def _cause(run: Run) -> str:
    return cause(run.kind, run.error, run.traceback) if run.outcome.is_failure else ""


def _row(run: Run) -> tuple[object, ...]:
    return (
        run.source,
        run.id,
        run.kind,
        run.queue,
        run.outcome.value,
        run.ended_ms,
        run.attempt,
        run.ready_ms,
        run.started_ms,
        run.wait_s,
        run.run_s,
        run.worker,
        run.error,
        run.traceback,
        run.cost_usd,
        run.tokens,
        run.cpu_s,
        run.peak_memory_bytes,
        run.trace_id,
        run.request_id,
        int(run.origins),
        run.counted_queue,
        run.counted_kind,
        int(run.outcome.is_failure),
        _cause(run),
    )


def _run(row: sqlite3.Row) -> Run:
    return Run(
        row["source"],
        row["job_id"],
        row["kind"],
        row["queue"],
        Outcome(row["outcome"]),
        row["ended_ms"],
        row["attempt"],
        row["ready_ms"],
        row["started_ms"],
        row["wait_s"],
        row["run_s"],
        row["worker"],
        row["error"],
        row["traceback"],
        row["cost_usd"],
        row["tokens"],
        row["cpu_s"],
        row["peak_memory_bytes"],
        row["trace_id"],
        Origin(row["origins"]),
        row["counted_queue"],
        row["counted_kind"],
        row["seq"],
        row["request_id"],
    )
