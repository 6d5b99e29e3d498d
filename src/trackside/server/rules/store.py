"""Alerts of the rules in SQLite, so that a restart neither forgets them nor starts their clocks again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels

SCHEMA = """
CREATE TABLE IF NOT EXISTS rule_group (
    file TEXT NOT NULL,
    name TEXT NOT NULL,
    last_evaluation_ms INTEGER NOT NULL,
    PRIMARY KEY (file, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rule_alert (
    file TEXT NOT NULL,
    group_name TEXT NOT NULL,
    rule TEXT NOT NULL,
    labels TEXT NOT NULL,
    annotations TEXT NOT NULL,
    state TEXT NOT NULL,
    value TEXT NOT NULL,
    active_at_ms INTEGER NOT NULL,
    fired_at_ms INTEGER,
    resolved_at_ms INTEGER,
    keep_firing_since_ms INTEGER,
    generator_url TEXT NOT NULL,
    PRIMARY KEY (file, group_name, rule, labels)
) STRICT, WITHOUT ROWID;
"""

GroupKey = tuple[str, str]
"""File and name."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What one evaluation of a group changed, by the key of the rule."""

    saved: Mapping[str, tuple[Alert, ...]]
    gone: Mapping[str, tuple[Labels, ...]]


@dataclass(frozen=True, slots=True)
class StoredGroup:
    last_evaluation_ms: int
    alerts: dict[str, list[Alert]] = field(default_factory=dict)
    """By the key of the rule."""


def save(connection: sqlite3.Connection, group: GroupKey, changes: Changes, now_ms: int) -> None:
    connection.execute("INSERT OR REPLACE INTO rule_group VALUES (?, ?, ?)", (*group, now_ms))
    connection.executemany(
        "INSERT OR REPLACE INTO rule_alert VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(*group, rule, *_row(alert)) for rule, alerts in changes.saved.items() for alert in alerts],
    )
    connection.executemany(
        "DELETE FROM rule_alert WHERE file = ? AND group_name = ? AND rule = ? AND labels = ?",
        [(*group, rule, _packed(labels)) for rule, gone in changes.gone.items() for labels in gone],
    )


def forget_groups(connection: sqlite3.Connection, groups: Iterable[GroupKey]) -> None:
    keys = list(groups)
    connection.executemany("DELETE FROM rule_alert WHERE file = ? AND group_name = ?", keys)
    connection.executemany("DELETE FROM rule_group WHERE file = ? AND name = ?", keys)


def load(connection: sqlite3.Connection) -> dict[GroupKey, StoredGroup]:
    groups = {
        (row["file"], row["name"]): StoredGroup(row["last_evaluation_ms"])
        for row in connection.execute("SELECT * FROM rule_group")
    }
    for row in connection.execute("SELECT * FROM rule_alert ORDER BY file, group_name, rule, labels"):
        group = groups.get((row["file"], row["group_name"]))
        if group is not None:
            group.alerts.setdefault(row["rule"], []).append(_alert(row))
    return groups


def _row(alert: Alert) -> tuple[object, ...]:
    return (
        _packed(alert.labels),
        _packed(alert.annotations),
        alert.state.value,
        # As text: SQLite has no NaN.
        repr(alert.value),
        alert.active_at_ms,
        alert.fired_at_ms,
        alert.resolved_at_ms,
        alert.keep_firing_since_ms,
        alert.generator_url,
    )


def _alert(row: sqlite3.Row) -> Alert:
    return Alert(
        _unpacked(row["labels"]),
        _unpacked(row["annotations"]),
        AlertState(row["state"]),
        float(row["value"]),
        row["active_at_ms"],
        row["fired_at_ms"],
        row["resolved_at_ms"],
        row["keep_firing_since_ms"],
        row["generator_url"],
    )


def _packed(labels: Labels) -> str:
    return json.dumps(labels.as_dict())


def _unpacked(text: str) -> Labels:
    return Labels.of(json.loads(text))
