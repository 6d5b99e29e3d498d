"""Lines of the notification log as they are shown: what became of each message, in a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trackside.model.alerts import NotificationRecord
from trackside.server.alerting.trial import REASON
from trackside.server.web.pages.alerts.places import NOTIFICATIONS
from trackside.server.web.verdict import Finding, Level


@dataclass(frozen=True, slots=True)
class NotificationRow:
    record: NotificationRecord
    level: Level
    word: str

    @property
    def is_test(self) -> bool:
        """Whether somebody only tried whether a message would arrive."""
        return self.record.reason == REASON

    @property
    def outcome(self) -> str:
        """As the log is filtered by it."""
        return {Level.OK: "delivered", Level.BAD: "failed"}.get(self.level, "waiting")

    @property
    def unnamed(self) -> int:
        """Alerts of it that are not listed."""
        return max(0, self.record.alert_count - len(self.record.alerts))


def rows_of(records: Sequence[NotificationRecord]) -> list[NotificationRow]:
    return [_row(record) for record in records]


def _row(record: NotificationRecord) -> NotificationRow:
    if record.delivered_at_ms is not None:
        return NotificationRow(record, Level.OK, "delivered")
    if not record.last_error:
        return NotificationRow(record, Level.UNKNOWN, "on its way")
    # What became untrue before it could be sent need not be sent; nobody missed anything.
    if not record.is_waiting and record.last_error.startswith(("no longer true", "replaced")):
        return NotificationRow(record, Level.UNKNOWN, "replaced")
    return NotificationRow(record, Level.BAD, "not delivered yet" if record.is_waiting else "not delivered")


def undelivered(records: Sequence[NotificationRecord]) -> list[Finding]:
    """Only the newest of each receiver counts: what came through since then is mended. A test does not, as somebody
    looks at that anyhow, and what was to be told before is not told by it."""
    newest: dict[tuple[str, str], NotificationRow] = {}
    for row in rows_of([record for record in records if record.reason != REASON]):
        newest.setdefault((row.record.receiver, row.record.integration), row)
    return [_finding(row) for row in newest.values() if row.record.delivered_at_ms is None and _failed(row)]


def _failed(row: NotificationRow) -> bool:
    return row.level is Level.BAD or "last error" in row.record.last_error


def _finding(row: NotificationRow) -> Finding:
    record, is_missed = row.record, row.level is Level.BAD
    words = "could not be told" if is_missed else "could not be reached, and need not be told any more"
    level = Level.BAD if is_missed else Level.WARN
    return Finding(level, record.receiver, words, NOTIFICATIONS, record.decided_at_ms, detail=record.last_error)
