"""SQL of the pictures that can be fetched by their address."""

from __future__ import annotations

import sqlite3

SCHEMA = """
CREATE TABLE IF NOT EXISTS chart_image (
    name       BLOB PRIMARY KEY,
    expires_ms INTEGER NOT NULL,
    png        BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS chart_image_by_age ON chart_image (expires_ms);
"""
MOST = 5_000
"""Pictures. One is some 4 KB."""


def save(connection: sqlite3.Connection, name: bytes, expires_ms: int, png: bytes, now_ms: int) -> None:
    """What is too old goes, and the oldest beyond so many."""
    connection.execute("INSERT OR REPLACE INTO chart_image VALUES (?, ?, ?)", (name, expires_ms, png))
    connection.execute("DELETE FROM chart_image WHERE expires_ms <= ?", (now_ms,))
    connection.execute(
        "DELETE FROM chart_image WHERE name IN "
        "(SELECT name FROM chart_image ORDER BY expires_ms DESC, name LIMIT -1 OFFSET ?)",
        (MOST,),
    )


def find(connection: sqlite3.Connection, name: bytes) -> bytes | None:
    row = connection.execute("SELECT png FROM chart_image WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row[0])
