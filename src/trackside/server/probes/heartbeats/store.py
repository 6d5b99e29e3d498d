"""SQL of heartbeats: what is known of each, and its last pings."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from trackside.server.probes.heartbeats.state import Heartbeat, Ping, PingKind, Run

SCHEMA = """
CREATE TABLE IF NOT EXISTS heartbeat (
    name  TEXT PRIMARY KEY,
    state TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heartbeat_ping (
    id     INTEGER PRIMARY KEY,
    name   TEXT NOT NULL,
    at_ms  INTEGER NOT NULL,
    kind   TEXT NOT NULL,
    run_id TEXT NOT NULL,
    note   TEXT NOT NULL,
    client TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS heartbeat_ping_name ON heartbeat_ping (name, id);
"""
KEPT_PINGS = 200


@dataclass(frozen=True, slots=True)
class StoredPing:
    ping: Ping
    client: str


def load(connection: sqlite3.Connection, name: str) -> Heartbeat | None:
    row = connection.execute("SELECT state FROM heartbeat WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    stored = json.loads(row["state"])
    return Heartbeat(**{**stored, "runs": tuple(Run(**run) for run in stored["runs"])})


def save(connection: sqlite3.Connection, name: str, heartbeat: Heartbeat) -> None:
    connection.execute("INSERT OR REPLACE INTO heartbeat VALUES (?, ?)", (name, json.dumps(asdict(heartbeat))))


def log(connection: sqlite3.Connection, name: str, ping: Ping, client: str) -> None:
    """Keep a ping to be shown, and forget the oldest."""
    connection.execute(
        "INSERT INTO heartbeat_ping (name, at_ms, kind, run_id, note, client) VALUES (?, ?, ?, ?, ?, ?)",
        (name, ping.at_ms, ping.kind.value, ping.run_id, ping.note, client),
    )
    connection.execute(
        """DELETE FROM heartbeat_ping WHERE name = ?1 AND id <=
           (SELECT id FROM heartbeat_ping WHERE name = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)""",
        (name, KEPT_PINGS),
    )


def pings(connection: sqlite3.Connection, name: str, count: int) -> Sequence[StoredPing]:
    """The last ones, latest first."""
    rows = connection.execute("SELECT * FROM heartbeat_ping WHERE name = ? ORDER BY id DESC LIMIT ?", (name, count))
    return [
        StoredPing(Ping(PingKind(row["kind"]), row["at_ms"], row["run_id"], row["note"]), row["client"]) for row in rows
    ]
