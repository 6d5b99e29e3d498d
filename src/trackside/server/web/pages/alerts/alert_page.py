"""`/alerts/<fingerprint>`: one alert from its first second to the runbook: since when, who was told, what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from trackside.exceptions import QueryError
from trackside.model.alerts import Alert, AlertState, NotificationRecord
from trackside.model.labels import METRIC_NAME, Labels
from trackside.model.rules import RuleStatus
from trackside.server.runbooks.shelf import Runbook
from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.pages.alerts.alerts_page import AlertRow, alert_row
from trackside.server.web.pages.alerts.expression import chart_of
from trackside.server.web.pages.alerts.found import Found, alert_of, all_alerts, called, rule_of
from trackside.server.web.pages.alerts.history import at_least_a_day, history
from trackside.server.web.pages.alerts.notification_log import NotificationRow, rows_of
from trackside.server.web.pages.alerts.places import TABS, matchers_of, matchers_text, silence_link
from trackside.server.web.pages.alerts.runbook_text import Reader, runbook_html
from trackside.server.web.period import Period
from trackside.server.web.rule_facts import shelf_of
from trackside.server.web.verdict import Finding, Level
from trackside.server.web.visitor import may_act

REMEMBERED_MS = 7 * 86_400_000
LOOKED_AT = 500
"""Notifications of the log."""
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Guide:
    """The runbook of an alert."""

    runbook: Runbook | None
    html: Markup
    """ "" when it is not here."""


async def show(console: Console, request: Request) -> Response:
    period = render.period_for(request, console)
    wanted = request.path_params["fingerprint"]
    found = alert_of(all_alerts(console), wanted)
    labels = found.alert.labels if found is not None else await _remembered(console, wanted, period)
    if labels is None:
        return render.error_page(
            404, "This alert is not known (any more)", "It did not fire in the last seven days, or never existed."
        )
    rule = found.rule if found is not None else rule_of(console, labels)
    row = alert_row(console, found, period) if found is not None else None
    level, sentence = _verdict(found, labels, row)
    past = await history(console, at_least_a_day(period), only=labels)
    records = await run_in_threadpool(console.notifications, LOOKED_AT)
    facts: Mapping[str, object] = {
        "tabs": TABS,
        "tab": "",
        "name": labels.get("alertname") or str(labels),
        "level": level,
        "findings": [sentence] if sentence is not None else [],
        "labels_shown": labels.without("alertname").pairs,
        "row": row,
        "rule": rule,
        "life": past.lives[0] if past.lives else None,
        "past": past,
        "chart": await _chart(console, rule, found, labels, period),
        "log": _about(records, labels),
        "guide": await _guide(console, labels, rule, found, period),
        "matchers": matchers_text(matchers_of(labels)),
        "silence_link": silence_link(labels),
        "may_act": may_act(request),
        "rule_link": period.link("/alerts/rules") + (f"#rule-{rule.name}" if rule is not None else ""),
    }
    page = render.Page("alert.html", "alerts", _title(row, labels), level, facts, {})
    return render.respond(request, console, period, page)


def _verdict(found: Found | None, labels: Labels, row: AlertRow | None) -> tuple[Level, Finding | None]:
    if found is None or row is None:
        return Level.OK, None
    words = "is pending" if found.alert.state is AlertState.PENDING else "is firing"
    if row.telling.is_meant:
        words += f", {row.telling.word},"
    return row.level, Finding(row.level, labels.get("alertname"), words, "", found.since_ms)


def _title(row: AlertRow | None, labels: Labels) -> str:
    state = row.alert.state.value if row is not None else "over"
    return f"{labels.get('alertname')} {state}"


async def _remembered(console: Console, wanted: str, period: Period) -> Labels | None:
    """The labels of an alert that is over, from its series."""
    try:
        known = await console.backend.series(["ALERTS"], period.now_ms - REMEMBERED_MS, period.now_ms)
    except QueryError:
        return None
    return called((one.without("alertstate", METRIC_NAME) for one in known), wanted)


async def _chart(
    console: Console, rule: RuleStatus | None, found: Found | None, labels: Labels, period: Period
) -> object:
    """None for an alert that somebody else pushes: nobody here knows what it measures."""
    if rule is None:
        return None
    return await chart_of(console, rule.query, None if found is None else found.alert, labels, period)


def _about(records: Sequence[NotificationRecord], labels: Labels) -> list[NotificationRow]:
    """Those that had this alert in them; older ones know only names and what their group has in common."""
    name = labels.get("alertname")

    def has(record: NotificationRecord) -> bool:
        if name not in record.alert_names:
            return False
        if any(alert.labels == labels for alert in record.alerts):
            return True
        all_are_known = len(record.alerts) >= record.alert_count
        return not all_are_known and all(labels.get(one) == value for one, value in record.group_labels)

    return rows_of([record for record in records if has(record)][:SHOWN])


async def _guide(
    console: Console, labels: Labels, rule: RuleStatus | None, found: Found | None, period: Period
) -> Guide:
    annotations: dict[str, str] = {}
    for known in (rule, found.alert if found is not None else None):
        annotations |= known.annotations.as_dict() if known is not None else {}
    runbook = (await shelf_of(console)).find(labels.get("alertname"), annotations)
    if runbook is None or runbook.chapter is None:
        return Guide(runbook, Markup(""))
    alert: Alert | None = found.alert if found is not None else None
    reader = Reader(labels, alert.value) if alert is not None else Reader(labels)
    return Guide(runbook, await runbook_html(console, runbook.chapter, reader, period))
