"""Pushed alerts in SQLite, and when the server was last alive to be pushed to."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trackside.model.labels import Labels
from trackside.server.alerting.pushes.lease import Lease
from trackside.server.alerting.rows import Row, Table, json_text
from trackside.server.db.database import Work

# By numbers given out one after the other and not by their labels, so that what is pushed together lies together: a
# push of 64 alerts changes a dozen pages of the file, and not one for each.
_ALERTS = """
CREATE TABLE IF NOT EXISTS pushed_alert (
    number INTEGER PRIMARY KEY,
    alert TEXT NOT NULL
) STRICT;
"""
SCHEMA = f"""{_ALERTS}
CREATE TABLE IF NOT EXISTS alerting_alive (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    at_ms INTEGER NOT NULL
) STRICT;
"""


_PUSHED = Table("INSERT OR REPLACE INTO pushed_alert", 2)


@dataclass(frozen=True, slots=True)
class StoredAlerts:
    leases: Mapping[int, Lease]
    """By number."""
    alive_ms: int | None
    """None: this is the first start."""


def upgrade(connection: sqlite3.Connection) -> None:
    """Earlier versions kept the alerts by their labels."""
    columns = {row["name"] for row in connection.execute("PRAGMA table_info(pushed_alert)")}
    if "labels" in columns:
        rows = connection.execute("SELECT alert FROM pushed_alert ORDER BY labels").fetchall()
        connection.execute("DROP TABLE pushed_alert")
        connection.execute(_ALERTS)
        connection.executemany("INSERT INTO pushed_alert (alert) VALUES (?)", [(row["alert"],) for row in rows])


def save(number: int, lease: Lease) -> Work:
    return Row(_PUSHED, (number, json_text(_fields(lease))))


def forget(numbers: Iterable[int]) -> Work:
    rows = [(number,) for number in numbers]

    def work(connection: sqlite3.Connection) -> None:
        connection.executemany("DELETE FROM pushed_alert WHERE number = ?", rows)

    return work


def alive(now_ms: int) -> Work:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR REPLACE INTO alerting_alive VALUES (1, ?)", (now_ms,))

    return work


def load(connection: sqlite3.Connection) -> StoredAlerts:
    rows = connection.execute("SELECT number, alert FROM pushed_alert ORDER BY number")
    leases = {row["number"]: _lease(json.loads(row["alert"])) for row in rows}
    row = connection.execute("SELECT at_ms FROM alerting_alive").fetchone()
    return StoredAlerts(leases, None if row is None else row["at_ms"])


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
