"""SQL of keys and of the secret that signs sessions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

SCHEMA = """
CREATE TABLE IF NOT EXISTS access_key (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    role        TEXT NOT NULL,
    digest      BLOB NOT NULL UNIQUE,    -- SHA-256 of the key: the key itself is nowhere in the database
    created_ms  INTEGER NOT NULL,
    revoked_ms  INTEGER
);
CREATE TABLE IF NOT EXISTS access_secret (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class StoredKey:
    key_id: int
    name: str
    role: str


Find = Callable[[sqlite3.Connection], StoredKey | None]


def find(connection: sqlite3.Connection, digest: bytes) -> StoredKey | None:
    row = connection.execute(
        "SELECT id, name, role FROM access_key WHERE digest = ? AND revoked_ms IS NULL", (digest,)
    ).fetchone()
    return None if row is None else StoredKey(*row)


def find_id(connection: sqlite3.Connection, key_id: int) -> StoredKey | None:
    row = connection.execute(
        "SELECT id, name, role FROM access_key WHERE id = ? AND revoked_ms IS NULL", (key_id,)
    ).fetchone()
    return None if row is None else StoredKey(*row)


def insert(connection: sqlite3.Connection, name: str, role: str, digest: bytes, now_ms: int) -> int:
    cursor = connection.execute(
        "INSERT INTO access_key (name, role, digest, created_ms) VALUES (?, ?, ?, ?)", (name, role, digest, now_ms)
    )
    return int(cursor.lastrowid or 0)


def revoke_named(connection: sqlite3.Connection, name: str, now_ms: int) -> None:
    connection.execute("UPDATE access_key SET revoked_ms = ? WHERE name = ? AND revoked_ms IS NULL", (now_ms, name))


def secret(connection: sqlite3.Connection, name: str, fresh: bytes) -> bytes:
    """The secret of this name; `fresh` becomes it when there is none."""
    connection.execute("INSERT OR IGNORE INTO access_secret (name, value) VALUES (?, ?)", (name, fresh))
    row = connection.execute("SELECT value FROM access_secret WHERE name = ?", (name,)).fetchone()
    return bytes(row[0])
