"""Pushed alerts in SQLite, and when the server was last alive to be pushed to."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from trackside.model.labels import Labels
from trackside.server.alerting.pushes.lease import Lease
from trackside.server.db.database import Work

SCHEMA = """
CREATE TABLE IF NOT EXISTS pushed_alert (
    labels TEXT PRIMARY KEY,
    alert TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alerting_alive (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    at_ms INTEGER NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class StoredAlerts:
    leases: tuple[Lease, ...]
    alive_ms: int | None
    """None: this is the first start."""


def save(leases: Iterable[Lease]) -> Work:
    rows = [(_key(lease.labels), json.dumps(_fields(lease))) for lease in leases]

    def work(connection: sqlite3.Connection) -> None:
        connection.executemany("INSERT OR REPLACE INTO pushed_alert VALUES (?, ?)", rows)

    return work


def forget(label_sets: Iterable[Labels]) -> Work:
    rows = [(_key(labels),) for labels in label_sets]

    def work(connection: sqlite3.Connection) -> None:
        connection.executemany("DELETE FROM pushed_alert WHERE labels = ?", rows)

    return work


def alive(now_ms: int) -> Work:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR REPLACE INTO alerting_alive VALUES (1, ?)", (now_ms,))

    return work


def load(connection: sqlite3.Connection) -> StoredAlerts:
    rows = connection.execute("SELECT alert FROM pushed_alert ORDER BY labels")
    leases = tuple(_lease(json.loads(row["alert"])) for row in rows)
    row = connection.execute("SELECT at_ms FROM alerting_alive").fetchone()
    return StoredAlerts(leases, None if row is None else row["at_ms"])


def _key(labels: Labels) -> str:
    return json.dumps(labels.pairs)


def _fields(lease: Lease) -> dict[str, object]:
    return {
        "labels": lease.labels.as_dict(),
        "annotations": lease.annotations.as_dict(),
        "starts_ms": lease.starts_ms,
        "ends_ms": lease.ends_ms,
        "updated_ms": lease.updated_ms,
        "is_timeout": lease.is_timeout,
        "generator_url": lease.generator_url,
    }


def _lease(fields: dict[str, Any]) -> Lease:
    return Lease(
        Labels.of(fields["labels"]),
        Labels.of(fields["annotations"]),
        fields["starts_ms"],
        fields["ends_ms"],
        fields["updated_ms"],
        fields["is_timeout"],
        fields["generator_url"],
    )
