"""Who did what to which job, and what became of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS job_action (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    who TEXT NOT NULL,
    verb TEXT NOT NULL,
    source TEXT NOT NULL,
    filter TEXT NOT NULL,
    state TEXT NOT NULL,
    holder TEXT NOT NULL,
    beat_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    stopped_by TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE IF NOT EXISTS job_action_target (
    action INTEGER NOT NULL,
    place INTEGER NOT NULL,
    job TEXT NOT NULL,
    begun_ms INTEGER,
    outcome TEXT,
    PRIMARY KEY (action, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS job_action_target_job ON job_action_target (job, action);
"""
OPEN = ("waiting", "running")
"""States of what is not over yet."""
KEPT_MS = 400 * 24 * 3_600_000
KEPT_ACTIONS = 20_000
_LOST_MS = 24 * 3_600_000
"""Whoever was not heard for so long does nothing any more."""
_COUNTS = """
SELECT a.*, count(t.place) AS jobs, sum(t.outcome = '') AS done, sum(t.outcome <> '') AS left_alone,
    sum(t.outcome IS NULL AND t.begun_ms IS NOT NULL) AS begun
FROM job_action a LEFT JOIN job_action_target t ON t.action = a.id
"""


@dataclass(frozen=True, slots=True)
class Target:
    """One job, or one queue, of an action."""

    job: str
    begun_ms: int | None = None
    """Before it is touched. Nothing more: whoever did so disappeared in the middle of it."""
    outcome: str | None = None
    """Empty: done. Else why not. None: not yet, or never."""


@dataclass(frozen=True, slots=True)
class New:
    """An action that begins."""

    at_ms: int
    who: str
    verb: str
    source: str
    filter: str
    holder: str


@dataclass(frozen=True, slots=True)
class Action:
    id: int
    at_ms: int
    who: str
    verb: str
    source: str
    filter: str
    state: str
    """ "waiting", "running", "done", "stopped", "failed"."""
    holder: str
    """The process that does it."""
    beat_ms: int
    """When that was heard last."""
    ended_ms: int | None
    stopped_by: str
    reason: str
    """Of a failure."""
    jobs: int
    """All that matched."""
    done: int
    left_alone: int
    """Nothing was done to them, each for a reason."""
    begun: int
    """Neither known to be done nor known not to be."""

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def untouched(self) -> int:
        return self.jobs - self.done - self.left_alone - self.begun


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of which actions; empty: of all."""

    source: str = ""
    job: str = ""
    who: str = ""


def insert(connection: sqlite3.Connection, new: New, targets: Sequence[Target]) -> int:
    """Its id."""
    row = connection.execute(
        "INSERT INTO job_action (at_ms, beat_ms, who, verb, source, filter, holder, state)"
        " VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, 'waiting')",
        (new.at_ms, new.who, new.verb, new.source, new.filter, new.holder),
    )
    action = int(row.lastrowid or 0)
    connection.executemany(
        "INSERT INTO job_action_target VALUES (?, ?, ?, ?, ?)",
        [(action, place, one.job, one.begun_ms, one.outcome) for place, one in enumerate(targets)],
    )
    return action


def beat(connection: sqlite3.Connection, action: int, state: str, now_ms: int) -> str:
    """Who wants it to stop; "": nobody."""
    connection.execute("UPDATE job_action SET state = ?, beat_ms = ? WHERE id = ?", (state, now_ms, action))
    row = connection.execute("SELECT stopped_by FROM job_action WHERE id = ?", (action,)).fetchone()
    return "" if row is None else str(row["stopped_by"])


def begin(connection: sqlite3.Connection, action: int, jobs: Iterable[str], now_ms: int) -> None:
    connection.executemany(
        "UPDATE job_action_target SET begun_ms = ? WHERE action = ? AND job = ? AND outcome IS NULL",
        [(now_ms, action, job) for job in jobs],
    )


def settle(
    connection: sqlite3.Connection, action: int, outcomes: Mapping[str, str], untried: Iterable[str], now_ms: int
) -> None:
    """What became of a batch that was begun."""
    connection.executemany(
        "UPDATE job_action_target SET outcome = ? WHERE action = ? AND job = ? AND outcome IS NULL",
        [(outcome, action, job) for job, outcome in outcomes.items()],
    )
    connection.executemany(
        "UPDATE job_action_target SET begun_ms = NULL WHERE action = ? AND job = ? AND outcome IS NULL",
        [(action, job) for job in untried],
    )
    connection.execute("UPDATE job_action SET beat_ms = ? WHERE id = ?", (now_ms, action))


def end(connection: sqlite3.Connection, action: int, state: str, reason: str, now_ms: int) -> None:
    connection.execute(
        "UPDATE job_action SET state = ?, reason = ?, ended_ms = ?, beat_ms = ? WHERE id = ?",
        (state, reason, now_ms, now_ms, action),
    )


def ask_to_stop(connection: sqlite3.Connection, action: int, who: str) -> bool:
    """Whether it still could be."""
    changed = connection.execute(
        "UPDATE job_action SET stopped_by = ? WHERE id = ? AND state IN ('waiting', 'running') AND stopped_by = ''",
        (who, action),
    )
    return changed.rowcount > 0


def action(connection: sqlite3.Connection, id: int) -> Action | None:
    row = connection.execute(f"{_COUNTS} WHERE a.id = ? GROUP BY a.id", (id,)).fetchone()
    return None if row is None else _action(row)


def targets(connection: sqlite3.Connection, action: int, limit: int) -> tuple[Target, ...]:
    """Those that need to be looked at come first, then those that were done."""
    rows = connection.execute(
        "SELECT job, begun_ms, outcome FROM job_action_target WHERE action = ?"
        " ORDER BY CASE WHEN outcome IS NULL AND begun_ms IS NOT NULL THEN 0 WHEN outcome <> '' THEN 1"
        " WHEN outcome = '' THEN 2 ELSE 3 END, place LIMIT ?",
        (action, limit),
    )
    return tuple(Target(row["job"], row["begun_ms"], row["outcome"]) for row in rows)


def actions(connection: sqlite3.Connection, wanted: Wanted, before: int, limit: int) -> list[Action]:
    """Newest first; `before`: an id, or 0."""
    conditions, values = ["1"], []
    for name, value in (("a.source", wanted.source), ("a.who", wanted.who)):
        if value:
            conditions.append(f"{name} = ?")
            values.append(value)
    if wanted.job:
        conditions.append("a.id IN (SELECT action FROM job_action_target WHERE job = ?)")
        values.append(wanted.job)
    where = " AND ".join(conditions)
    rows = connection.execute(
        f"{_COUNTS} WHERE a.id IN (SELECT a.id FROM job_action a WHERE {where} AND (? = 0 OR a.id < ?)"
        " ORDER BY a.id DESC LIMIT ?) GROUP BY a.id ORDER BY a.id DESC",
        (*values, before, before, limit),
    )
    return [_action(row) for row in rows]


def of_job(connection: sqlite3.Connection, source: str, job: str, limit: int) -> list[tuple[Action, Target]]:
    """Newest first."""
    rows = connection.execute(
        f"WITH some AS ({_COUNTS} WHERE a.source = ? AND a.id IN"
        " (SELECT action FROM job_action_target WHERE job = ? ORDER BY action DESC LIMIT ?) GROUP BY a.id)"
        " SELECT some.*, t.job, t.begun_ms, t.outcome FROM some JOIN job_action_target t"
        " ON t.action = some.id AND t.job = ? ORDER BY some.id DESC",
        (source, job, limit, job),
    )
    return [(_action(row), Target(row["job"], row["begun_ms"], row["outcome"])) for row in rows]


def prune(connection: sqlite3.Connection, now_ms: int) -> None:
    """Forget what is older than it may be, and never what is not over yet."""
    old = """SELECT id FROM job_action WHERE (ended_ms IS NOT NULL OR beat_ms < ?) AND (at_ms < ?
        OR id <= (SELECT coalesce(max(id), 0) FROM job_action) - ?)"""
    values = (now_ms - _LOST_MS, now_ms - KEPT_MS, KEPT_ACTIONS)
    connection.execute(f"DELETE FROM job_action_target WHERE action IN ({old})", values)
    connection.execute(f"DELETE FROM job_action WHERE id IN ({old})", values)


def _action(row: sqlite3.Row) -> Action:
    # Sums over no rows are NULL.
    values: dict[str, Any] = {
        name: row[name] or 0 if name in ("jobs", "done", "left_alone", "begun") else row[name]
        for name in Action.__slots__
    }
    return Action(**values)
