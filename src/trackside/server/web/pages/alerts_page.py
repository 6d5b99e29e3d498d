"""The alerts: what fires and what is about to, the rules behind them, and who was told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from trackside.model.alerts import Alert, AlertState, NotificationRecord
from trackside.model.rules import RuleGroupStatus, RuleStatus
from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.figures import plural
from trackside.server.web.period import Period
from trackside.server.web.verdict import (
    Finding,
    Level,
    alert_anchor,
    alert_finding,
    alert_level,
    alert_text,
    alerts_in,
    rule_findings,
    worst_first,
)

LOGGED = 50
# In the "labels" of an alert these are said elsewhere in its row.
_SAID = ("alertname", "severity")


@dataclass(frozen=True, slots=True)
class AlertRow:
    alert: Alert
    level: Level
    anchor: str
    text: str
    more: tuple[tuple[str, str], ...]
    """Annotations other than the one that `text` is."""
    labels: tuple[tuple[str, str], ...]
    since_ms: int
    for_ms: int
    """How long it must hold before it fires; 0 once it does."""
    expr: str
    link: str


@dataclass(frozen=True, slots=True)
class RuleRow:
    rule: RuleStatus
    level: Level
    word: str
    link: str


@dataclass(frozen=True, slots=True)
class GroupRow:
    group: RuleGroupStatus
    rules: tuple[RuleRow, ...]


@dataclass(frozen=True, slots=True)
class NotificationRow:
    record: NotificationRecord
    level: Level
    word: str


async def show(console: Console, request: Request) -> Response:
    period = render.period_for(request, console)
    groups = console.rule_groups()
    records = console.notifications(LOGGED)
    rows = _alert_rows(groups, period)
    firing = [row for row in rows if row.alert.state is AlertState.FIRING]
    pending = [row for row in rows if row.alert.state is AlertState.PENDING]
    log = [_notification_row(record) for record in records]
    findings = worst_first(
        [
            *(alert_finding(row.alert) for row in firing),
            *rule_findings(groups),
            *_undelivered(log),
        ]
    )
    facts = {
        "findings": findings,
        "firing_rows": firing,
        "pending_rows": pending,
        "groups": [GroupRow(group, tuple(_rule_row(rule, period) for rule in group.rules)) for group in groups],
        "log": log,
        "rule_count": sum(len(group.rules) for group in groups),
    }
    level = findings[0].level if findings else Level.OK
    title = f"{plural(len(firing), 'alert')} firing" if firing else "Nothing is firing"
    return render.respond(request, console, period, render.Page("alerts.html", "alerts", title, level, facts, {}))


def _alert_rows(groups: Sequence[RuleGroupStatus], period: Period) -> list[AlertRow]:
    rules = {id(alert): rule for group in groups for rule in group.rules for alert in rule.alerts}
    alerts = [*alerts_in(groups, AlertState.FIRING), *alerts_in(groups, AlertState.PENDING)]
    return [_alert_row(alert, rules[id(alert)], period) for alert in alerts]


def _alert_row(alert: Alert, rule: RuleStatus, period: Period) -> AlertRow:
    text = alert_text(alert)
    fires = alert.state is AlertState.FIRING
    return AlertRow(
        alert=alert,
        level=alert_level(alert),
        anchor=alert_anchor(alert),
        text=text,
        more=tuple((name, value) for name, value in alert.annotations if value != text),
        labels=alert.labels.without(*_SAID).pairs,
        since_ms=alert.fired_at_ms if fires and alert.fired_at_ms is not None else alert.active_at_ms,
        for_ms=0 if fires else rule.for_ms,
        expr=rule.query,
        link=period.explore(rule.query),
    )


def _rule_row(rule: RuleStatus, period: Period) -> RuleRow:
    level, word = _state(rule)
    return RuleRow(rule, level, word, period.explore(rule.query))


def _state(rule: RuleStatus) -> tuple[Level, str]:
    if rule.health == "err":
        return Level.WARN, "error"
    firing = [alert for alert in rule.alerts if alert.state is AlertState.FIRING]
    if firing:
        return max(alert_level(alert) for alert in firing), f"firing ({len(firing)})" if firing[1:] else "firing"
    if rule.alerts:
        return Level.WARN, "pending"
    if rule.health == "unknown":
        return Level.UNKNOWN, "not yet run"
    return Level.OK, "recording" if rule.kind == "recording" else "quiet"


def _notification_row(record: NotificationRecord) -> NotificationRow:
    if record.delivered_at_ms is not None:
        return NotificationRow(record, Level.OK, "delivered")
    if record.last_error:
        return NotificationRow(record, Level.BAD, "not delivered")
    return NotificationRow(record, Level.UNKNOWN, "on its way")


def _undelivered(log: Sequence[NotificationRow]) -> list[Finding]:
    """Only the newest of each receiver counts: what came through since then is mended."""
    newest: dict[str, NotificationRow] = {}
    for row in log:
        newest.setdefault(f"{row.record.receiver}/{row.record.integration}", row)
    return [
        Finding(
            Level.BAD,
            row.record.receiver,
            "could not be told",
            "#log",
            row.record.decided_at_ms,
            detail=row.record.last_error,
        )
        for row in newest.values()
        if row.level is Level.BAD
    ]
