"""Groups, what each integration was told, and the notifications on their way, in SQLite.

A notification is a row before it is sent and after: what was decided is sent though the server died in between, at
least once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from trackside.model.alerts import Alert, AlertState, Notification, NotificationRecord
from trackside.model.labels import Labels
from trackside.server.alerting.decision import Told
from trackside.server.alerting.group import AlertGroup
from trackside.server.alerting.rows import Row, Table, all_of, json_text
from trackside.server.db.database import Work

SCHEMA = """
CREATE TABLE IF NOT EXISTS alert_group (
    group_id TEXT PRIMARY KEY,
    receiver TEXT NOT NULL,
    group_key TEXT NOT NULL,
    labels TEXT NOT NULL,
    group_wait_ms INTEGER NOT NULL,
    group_interval_ms INTEGER NOT NULL,
    repeat_interval_ms INTEGER NOT NULL,
    next_flush_ms INTEGER NOT NULL,
    flushed INTEGER NOT NULL,
    alerts TEXT NOT NULL,
    alerts_left TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alert_told (
    integration TEXT NOT NULL,
    group_id TEXT NOT NULL,
    firing TEXT NOT NULL,
    uncertain TEXT NOT NULL,
    at_ms INTEGER,
    PRIMARY KEY (integration, group_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notification (
    notification_id TEXT PRIMARY KEY,
    integration TEXT NOT NULL,
    kind TEXT NOT NULL,
    receiver TEXT NOT NULL,
    group_id TEXT NOT NULL,
    group_key TEXT NOT NULL,
    group_labels TEXT NOT NULL,
    status TEXT NOT NULL,
    alert_names TEXT NOT NULL,
    alert_count INTEGER NOT NULL,
    alerts TEXT NOT NULL,
    waiting INTEGER NOT NULL,
    decided_at_ms INTEGER NOT NULL,
    delivered_at_ms INTEGER,
    attempts INTEGER NOT NULL,
    last_error TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS notification_by_time ON notification (decided_at_ms);
"""

# Columns that came after the tables.
ADDED = {
    "alert_told": ("hidden TEXT NOT NULL DEFAULT '[]'", "thread TEXT NOT NULL DEFAULT ''"),
    "notification": ("reason TEXT NOT NULL DEFAULT ''",),
}

KEPT_MS = 90 * 86_400_000
"""How long the log of notifications reaches back."""
LOGGED_ALERTS = 20
"""Of a notification, kept in the log once it is delivered."""


@dataclass(slots=True, eq=False)
class Outgoing:
    """A notification that is decided and not delivered yet."""

    notification_id: str
    integration: str
    kind: str
    group_id: str
    notification: Notification
    decided_ms: int
    next_try_ms: int
    attempts: int = 0
    last_error: str = ""
    thread: str = ""
    """What the receiver calls the message, once it has taken it."""
    may_be_sent: bool = True
    """False until the decision is written down: what nobody knows of after a crash must not be said before it."""
    alerts_text: str = ""
    """Its alerts as they were stored: what is decided is mostly stored once more, unchanged, when it is delivered."""


@dataclass(frozen=True, slots=True)
class Stored:
    groups: tuple[AlertGroup, ...]
    told: dict[tuple[str, str], Told]
    """By integration and group."""
    waiting: tuple[Outgoing, ...]


_GROUP = Table("INSERT OR REPLACE INTO alert_group", 11)
_TOLD = Table(
    "INSERT OR REPLACE INTO alert_told (integration, group_id, firing, uncertain, hidden, at_ms, thread)",
    7,
)
_COLUMNS = (
    "notification_id, integration, kind, receiver, group_id, group_key, group_labels, status, alert_names, "
    "alert_count, alerts, waiting, decided_at_ms, delivered_at_ms, attempts, last_error, reason"
)
# One statement for all that happens to a notification, so that the rows of many can be written together.
_NOTIFICATION = Table(
    f"INSERT INTO notification ({_COLUMNS})",
    _COLUMNS.count(",") + 1,
    """ON CONFLICT (notification_id) DO UPDATE SET
       alerts = CASE WHEN excluded.waiting THEN alerts ELSE excluded.alerts END, waiting = excluded.waiting,
       delivered_at_ms = excluded.delivered_at_ms, attempts = excluded.attempts, last_error = excluded.last_error""",
)


def save_group(group: AlertGroup) -> Work:
    return Row(
        _GROUP,
        (
            group.group_id,
            group.receiver,
            group.group_key,
            _labels_text(group.labels),
            group.group_wait_ms,
            group.group_interval_ms,
            group.repeat_interval_ms,
            group.next_flush_ms,
            int(group.flushed),
            _alerts_text(group.alerts.values()),
            _label_sets_text(group.left),
        ),
    )


def save_rhythms(groups: Iterable[AlertGroup]) -> Work:
    """When the groups are told next; nothing else of them has changed."""
    rows = [(group.next_flush_ms, int(group.flushed), group.group_id) for group in groups]

    def work(connection: sqlite3.Connection) -> None:
        connection.executemany("UPDATE alert_group SET next_flush_ms = ?, flushed = ? WHERE group_id = ?", rows)

    return work


def forget_group(group_id: str) -> Work:
    return all_of(
        partial(_execute, f"DELETE FROM {table} WHERE group_id = ?", (group_id,))
        for table in ("alert_group", "alert_told")
    )


def save_told(integration: str, group_id: str, told: Told) -> Work:
    sets = (_label_sets_text(told.firing), _label_sets_text(told.uncertain), _label_sets_text(told.hidden))
    return Row(_TOLD, (integration, group_id, *sets, told.at_ms, told.thread))


def decided(one: Outgoing) -> Work:
    return _saved(one, waiting=True)


def tried(one: Outgoing) -> Work:
    # With its alerts: where the decision could not be written, this is the first that is known of it.
    return _saved(one, waiting=True)


def finished(one: Outgoing, delivered_ms: int | None) -> Work:
    """Delivered, or given up when `delivered_ms` is None: nothing more will be tried."""
    return _saved(one, waiting=False, delivered_ms=delivered_ms)


def _saved(one: Outgoing, *, waiting: bool, delivered_ms: int | None = None) -> Work:
    notification = one.notification
    if not one.alerts_text:
        one.alerts_text = _alerts_text(notification.alerts)
    is_cut = not waiting and len(notification.alerts) > LOGGED_ALERTS
    return Row(
        _NOTIFICATION,
        (
            one.notification_id,
            one.integration,
            one.kind,
            notification.receiver,
            one.group_id,
            notification.group_key,
            _labels_text(notification.group_labels),
            notification.status,
            json_text(sorted({alert.name for alert in notification.alerts})),
            len(notification.alerts),
            _alerts_text(notification.alerts[:LOGGED_ALERTS]) if is_cut else one.alerts_text,
            int(waiting),
            one.decided_ms,
            delivered_ms,
            one.attempts,
            one.last_error,
            notification.reason,
        ),
    )


def forget_old(now_ms: int) -> Work:
    sql = "DELETE FROM notification WHERE waiting = 0 AND decided_at_ms < ?"
    return partial(_execute, sql, (now_ms - KEPT_MS,))


def given_up(one: Outgoing, reason: str) -> Work:
    one.last_error = f"{reason}; last error: {one.last_error}" if one.last_error else reason
    return finished(one, None)


def records(connection: sqlite3.Connection, count: int) -> list[NotificationRecord]:
    rows = connection.execute(
        "SELECT * FROM notification ORDER BY decided_at_ms DESC, rowid DESC LIMIT ?", (max(count, 0),)
    )
    return [
        NotificationRecord(
            row["notification_id"],
            row["receiver"],
            row["kind"],
            row["group_key"],
            row["status"],
            tuple(json.loads(row["alert_names"])),
            row["alert_count"],
            row["decided_at_ms"],
            row["delivered_at_ms"],
            row["attempts"],
            row["last_error"],
            row["reason"],
            Labels.of(json.loads(row["group_labels"])),
            _alerts(row["alerts"])[:LOGGED_ALERTS],
            bool(row["waiting"]),
        )
        for row in rows
    ]


def load(connection: sqlite3.Connection, external_url: str) -> Stored:
    told = {
        (row["integration"], row["group_id"]): Told(
            _label_sets(row["firing"]),
            _label_sets(row["uncertain"]),
            row["at_ms"],
            _label_sets(row["hidden"]),
            row["thread"],
        )
        for row in connection.execute("SELECT * FROM alert_told")
    }
    waiting = connection.execute("SELECT * FROM notification WHERE waiting = 1 ORDER BY decided_at_ms, rowid")
    groups = tuple(_group(row) for row in connection.execute("SELECT * FROM alert_group ORDER BY group_id"))
    return Stored(groups, told, tuple(_outgoing(row, external_url) for row in waiting))


def _execute(sql: str, row: tuple[object, ...], connection: sqlite3.Connection) -> None:
    connection.execute(sql, row)


def _group(row: sqlite3.Row) -> AlertGroup:
    alerts = {alert.labels: alert for alert in _alerts(row["alerts"])}
    return AlertGroup(
        row["group_id"],
        row["receiver"],
        row["group_key"],
        Labels.of(json.loads(row["labels"])),
        row["group_wait_ms"],
        row["group_interval_ms"],
        row["repeat_interval_ms"],
        row["next_flush_ms"],
        bool(row["flushed"]),
        alerts,
        set(_label_sets(row["alerts_left"])),
    )


def _outgoing(row: sqlite3.Row, external_url: str) -> Outgoing:
    notification = Notification(
        row["receiver"],
        row["group_key"],
        Labels.of(json.loads(row["group_labels"])),
        _alerts(row["alerts"]),
        external_url,
        reason=row["reason"],
    )
    return Outgoing(
        row["notification_id"],
        row["integration"],
        row["kind"],
        row["group_id"],
        notification,
        row["decided_at_ms"],
        row["decided_at_ms"],
        row["attempts"],
        row["last_error"],
    )


def _labels_text(labels: Labels) -> str:
    return json_text(labels.as_dict())


def _label_sets_text(sets: Iterable[Labels]) -> str:
    return json_text([labels.as_dict() for labels in sorted(sets, key=_pairs)]) if sets else "[]"


def _pairs(labels: Labels) -> tuple[tuple[str, str], ...]:
    return labels.pairs


def _label_sets(text: str) -> frozenset[Labels]:
    return frozenset(Labels.of(pairs) for pairs in json.loads(text))


def _alerts_text(alerts: Iterable[Alert]) -> str:
    return json_text([_alert_fields(alert) for alert in alerts])


def _alert_fields(alert: Alert) -> dict[str, object]:
    return {
        "labels": alert.labels.as_dict(),
        "annotations": alert.annotations.as_dict(),
        "state": alert.state.value,
        # As text: JSON has no NaN.
        "value": repr(alert.value),
        "active_at_ms": alert.active_at_ms,
        "fired_at_ms": alert.fired_at_ms,
        "resolved_at_ms": alert.resolved_at_ms,
        "generator_url": alert.generator_url,
    }


def _alerts(text: str) -> tuple[Alert, ...]:
    return tuple(_alert(fields) for fields in json.loads(text))


def _alert(fields: dict[str, Any]) -> Alert:
    return Alert(
        Labels.of(fields["labels"]),
        Labels.of(fields["annotations"]),
        AlertState(fields["state"]),
        float(fields["value"]),
        fields["active_at_ms"],
        fields["fired_at_ms"],
        fields["resolved_at_ms"],
        generator_url=fields["generator_url"],
    )
