"""How far each source was read, who reads it, and which verdicts are open."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from trackside.jobs.ledger.balance import Balance
from trackside.jobs.ledger.booking import Balances
from trackside.jobs.packing import packed, unpacked

SCHEMA = """
CREATE TABLE IF NOT EXISTS job_source (
    source TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    cursor TEXT NOT NULL,
    balances TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS job_lock (
    source TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS job_memory (
    name TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a source was read."""

    version: int = 0
    """Rises with every sample; 0: never sampled."""
    at_ms: int = 0
    """Of the last sample."""
    cursor: Any = None


def position(connection: sqlite3.Connection, source: str) -> Position:
    row = connection.execute("SELECT * FROM job_source WHERE source = ?", (source,)).fetchone()
    if row is None:
        return Position()
    return Position(row["version"], row["at_ms"], json.loads(row["cursor"]))


def balances(connection: sqlite3.Connection, source: str) -> Balances:
    row = connection.execute("SELECT balances FROM job_source WHERE source = ?", (source,)).fetchone()
    stored = {} if row is None else json.loads(row["balances"])
    return {side: unpacked(Balance, one) for side, one in stored.items()}


def advance(connection: sqlite3.Connection, source: str, to: Position, owed: Balances) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO job_source VALUES (?, ?, ?, ?, ?)",
        (source, to.version, to.at_ms, json.dumps(to.cursor), _balances_text(owed)),
    )


def save_balances(connection: sqlite3.Connection, source: str, owed: Balances) -> None:
    connection.execute("UPDATE job_source SET balances = ? WHERE source = ?", (_balances_text(owed), source))


def acquire(connection: sqlite3.Connection, source: str, holder: str, now_ms: int, lease_ms: int) -> bool:
    """Whether `holder` may sample `source` for the next `lease_ms`: it did before, or nobody does."""
    taken = connection.execute(
        """INSERT INTO job_lock VALUES (?1, ?2, ?3) ON CONFLICT (source) DO UPDATE
           SET holder = excluded.holder, until_ms = excluded.until_ms
           WHERE job_lock.holder = ?2 OR job_lock.until_ms <= ?4 OR job_lock.until_ms > ?4 + 10 * ?5""",
        # Far in the future only when the clock was set back since: nobody would ever get it again.
        (source, holder, now_ms + lease_ms, now_ms, lease_ms),
    )
    return taken.rowcount > 0


def release(connection: sqlite3.Connection, source: str, holder: str) -> None:
    connection.execute("DELETE FROM job_lock WHERE source = ? AND holder = ?", (source, holder))


def remember(connection: sqlite3.Connection, name: str, value: Any, now_ms: int) -> None:
    connection.execute("INSERT OR REPLACE INTO job_memory VALUES (?, ?, ?)", (name, now_ms, json.dumps(value)))


def remembered(connection: sqlite3.Connection, name: str) -> tuple[int, Any]:
    """When, and what; 0 and None for nothing."""
    row = connection.execute("SELECT * FROM job_memory WHERE name = ?", (name,)).fetchone()
    return (0, None) if row is None else (row["at_ms"], json.loads(row["value"]))


def _balances_text(owed: Balances) -> str:
    return json.dumps(packed(owed))
