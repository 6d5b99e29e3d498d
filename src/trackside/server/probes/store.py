"""SQL of checks: what was concluded of each when the server stopped, and when it was up and when not."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from trackside.server.probes.state import Condition, ProbeState

SCHEMA = """
CREATE TABLE IF NOT EXISTS probe_state (
    name  TEXT PRIMARY KEY,
    url   TEXT NOT NULL,
    state TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS probe_change (
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL,
    at_ms     INTEGER NOT NULL,
    condition TEXT NOT NULL,
    reason    TEXT NOT NULL,
    error     TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS probe_change_name ON probe_change (name, at_ms);
"""
KEPT_MS = 400 * 86_400_000
MAX_CHANGES = 20_000
"""Of one check: one that flaps for a year must not fill the disk."""


@dataclass(frozen=True, slots=True)
class Change:
    """From `at_ms` on, a check was in this condition."""

    at_ms: int
    condition: Condition
    reason: str = ""
    error: str = ""
    """What the attempt said that changed it."""


def load(connection: sqlite3.Connection, name: str, url: str) -> ProbeState | None:
    row = connection.execute("SELECT state FROM probe_state WHERE name = ? AND url = ?", (name, url)).fetchone()
    if row is None:
        return None
    stored = json.loads(row["state"])
    return ProbeState(
        **{**stored, "condition": Condition(stored["condition"]), "changes_ms": tuple(stored["changes_ms"])}
    )


def save(connection: sqlite3.Connection, name: str, url: str, state: ProbeState) -> None:
    text = json.dumps({**asdict(state), "condition": state.condition.value})
    connection.execute("INSERT OR REPLACE INTO probe_state VALUES (?, ?, ?)", (name, url, text))


def log(connection: sqlite3.Connection, name: str, change: Change) -> None:
    """Note a change, and forget what is too old or too much."""
    connection.execute(
        "INSERT INTO probe_change (name, at_ms, condition, reason, error) VALUES (?, ?, ?, ?, ?)",
        (name, change.at_ms, change.condition.value, change.reason, change.error),
    )
    connection.execute("DELETE FROM probe_change WHERE name = ? AND at_ms < ?", (name, change.at_ms - KEPT_MS))
    connection.execute(
        """DELETE FROM probe_change WHERE name = ?1 AND id <=
           (SELECT id FROM probe_change WHERE name = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)""",
        (name, MAX_CHANGES),
    )


def changes(connection: sqlite3.Connection, name: str, since_ms: int) -> Sequence[Change]:
    """Oldest first; the first one is the last before `since_ms`, when there is one."""
    rows = connection.execute(
        """SELECT at_ms, condition, reason, error FROM probe_change WHERE name = ?1 AND id >= coalesce(
               (SELECT max(id) FROM probe_change WHERE name = ?1 AND at_ms <= ?2), 0) ORDER BY id""",
        (name, since_ms),
    )
    return [Change(row["at_ms"], Condition(row["condition"]), row["reason"], row["error"]) for row in rows]
