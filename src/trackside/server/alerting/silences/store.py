"""Silences in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.alerting.silences.recurrence import Recurrence
from trackside.server.alerting.silences.silence import Silence
from trackside.server.db.database import Work

SCHEMA = """
CREATE TABLE IF NOT EXISTS silence (
    silence_id TEXT PRIMARY KEY,
    matchers TEXT NOT NULL,
    starts_ms INTEGER NOT NULL,
    ends_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    comment TEXT NOT NULL,
    annotations TEXT NOT NULL,
    recurrence TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""


def save(silences: Iterable[Silence]) -> Work:
    rows = [
        (
            silence.silence_id,
            json.dumps([[one.name, one.op.value, one.value] for one in silence.matchers]),
            silence.starts_ms,
            silence.ends_ms,
            silence.updated_ms,
            silence.created_by,
            silence.comment,
            json.dumps(silence.annotations.as_dict()),
            silence.recurrence.text,
        )
        for silence in silences
    ]

    def work(connection: sqlite3.Connection) -> None:
        connection.executemany("INSERT OR REPLACE INTO silence VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    return work


def forget(silence_ids: Iterable[str]) -> Work:
    rows = [(silence_id,) for silence_id in silence_ids]

    def work(connection: sqlite3.Connection) -> None:
        connection.executemany("DELETE FROM silence WHERE silence_id = ?", rows)

    return work


def load(connection: sqlite3.Connection) -> tuple[Silence, ...]:
    return tuple(
        Silence(
            row["silence_id"],
            tuple(Matcher(name, MatchOp(op), value) for name, op, value in json.loads(row["matchers"])),
            row["starts_ms"],
            row["ends_ms"],
            row["created_by"],
            row["comment"],
            row["updated_ms"],
            Labels.of(json.loads(row["annotations"])),
            Recurrence.stored(row["recurrence"]),
        )
        for row in connection.execute("SELECT * FROM silence ORDER BY silence_id")
    )
