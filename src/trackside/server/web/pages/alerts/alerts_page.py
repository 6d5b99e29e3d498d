"""`/alerts`: what fires and what is about to, who is told of it and when next, and what was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.model.rules import RuleGroupStatus
from trackside.server.alerting.dispatcher import Dispatcher
from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.figures import plural
from trackside.server.web.pages.alerts.choice import Choice, label_names
from trackside.server.web.pages.alerts.expression import compared, limit_text, written
from trackside.server.web.pages.alerts.found import Found, all_alerts
from trackside.server.web.pages.alerts.history import at_least_a_day, history
from trackside.server.web.pages.alerts.notification_log import undelivered
from trackside.server.web.pages.alerts.places import TABS, alert_path, matchers_of, matchers_text, silence_link
from trackside.server.web.pages.alerts.telling import Telling, telling_of
from trackside.server.web.period import Period
from trackside.server.web.verdict import (
    Finding,
    Level,
    alert_anchor,
    alert_level,
    alert_text,
    rule_findings,
    worst_first,
)
from trackside.server.web.visitor import may_act

LOGGED = 200
SHOWN = 200
"""Alerts on one page; a filter finds the others."""
# In the "labels" of an alert these are said elsewhere in its row.
_SAID = ("alertname", "severity")


@dataclass(frozen=True, slots=True)
class AlertRow:
    alert: Alert
    level: Level
    href: str
    anchor: str
    text: str
    more: tuple[tuple[str, str], ...]
    """Annotations other than the one that `text` is."""
    labels: tuple[tuple[str, str], ...]
    since_ms: int
    for_ms: int
    """How long it must hold before it fires; 0 once it does."""
    expr: str
    """ "" for one that no rule raises."""
    value: str
    limit: str
    """That the value is held against; "" where it is no number."""
    origin: str
    """Who raises it, if no rule does."""
    link: str
    telling: Telling
    matchers: str
    """Of a silence for it alone, a line each."""
    silence_link: str

    @property
    def fires(self) -> bool:
        return self.alert.state is AlertState.FIRING


@dataclass(frozen=True, slots=True)
class AlertSet:
    """Rows that are shown together."""

    title: str
    labels: Labels
    rows: tuple[AlertRow, ...]
    note: str = ""


async def show(console: Console, request: Request) -> Response:
    period = render.period_for(request, console)
    choice = Choice.of(request.query_params)
    found = all_alerts(console)
    told = _receivers(console.alerting(), choice)
    kept = [one for one in found if choice.holds(one.alert.labels) and choice.is_told(told(one.alert.labels))]
    rows = [alert_row(console, one, period) for one in kept[:SHOWN]]
    groups = console.rule_groups()
    rule_count = sum(len(group.rules) for group in groups)
    records = await run_in_threadpool(console.notifications, LOGGED)
    findings = worst_first([*_alert_findings(rows), *rule_findings(groups), *undelivered(records)])
    facts: Mapping[str, object] = {
        "tabs": TABS,
        "tab": "now",
        "findings": findings,
        "calm": _calm_line(rows, choice, groups),
        "calm_level": Level.OK if any_evaluated(groups) else Level.UNKNOWN,
        "sets": _sets(rows, choice),
        "choice": choice,
        "names": label_names(one.alert for one in found),
        "hidden": len(kept) - len(rows),
        "left_out": len(found) - len(kept),
        "history": await history(console, at_least_a_day(period), choice.matchers),
        "rule_count": rule_count,
        "here": choice.link(period, "/alerts"),
        "may_act": may_act(request),
    }
    firing = sum(row.fires for row in rows)
    level = findings[0].level if findings else Level.OK
    quiet = "Nothing is firing" if any_evaluated(groups) else "Alerts"
    title = f"{plural(firing, 'alert')} firing" if firing else quiet
    page = render.Page("alerts.html", "alerts", title, level, facts, choice.params())
    return render.respond(request, console, period, page)


def _receivers(dispatcher: Dispatcher | None, choice: Choice) -> Callable[[Labels], Sequence[str]]:
    """Who is told of an alert with some labels; asked only where it is asked for."""
    if dispatcher is None or not choice.receiver:
        return lambda labels: ()
    routes = dispatcher.views.grouping.routes
    return lambda labels: [route.receiver for route in routes(labels)]


def alert_row(console: Console, one: Found, period: Period) -> AlertRow:
    alert = one.alert
    text = alert_text(alert)
    expr = "" if one.rule is None else one.rule.query
    parts = compared(expr)
    return AlertRow(
        alert=alert,
        level=alert_level(alert) if alert.state is AlertState.FIRING else Level.UNKNOWN,
        href=period.link(alert_path(alert)),
        anchor=alert_anchor(alert),
        text=text,
        more=tuple((name, value) for name, value in alert.annotations if value != text),
        labels=alert.labels.without(*_SAID).pairs,
        since_ms=one.since_ms,
        for_ms=0 if alert.state is AlertState.FIRING else one.for_ms,
        expr=expr,
        value=written(alert.value, parts),
        limit=limit_text(parts),
        origin=_origin(one),
        link=period.explore(expr) if expr else "",
        telling=telling_of(console.alerting(), alert, one.for_ms, period.now_ms),
        matchers=matchers_text(matchers_of(alert.labels)),
        silence_link=silence_link(alert.labels),
    )


def _origin(one: Found) -> str:
    if one.rule is not None:
        return ""
    return "Another program says so." if one.is_pushed else "The server itself says so."


def _alert_findings(rows: Sequence[AlertRow]) -> list[Finding]:
    """What somebody has silenced is not what the page has to say first."""
    return [
        Finding(row.level, "", row.text.rstrip("."), row.href, row.alert.fired_at_ms)
        for row in rows
        if row.fires and not row.telling.is_meant
    ]


def _calm_line(rows: Sequence[AlertRow], choice: Choice, groups: Sequence[RuleGroupStatus]) -> str:
    quiet = sum(row.fires for row in rows)
    if quiet:
        return f"Nothing needs you: what fires ({quiet}) is silenced, muted or explained by another alert."
    if choice.matchers or choice.receiver:
        return "Nothing that matches the filter is firing."
    count = sum(len(group.rules) for group in groups)
    if not any_evaluated(groups):
        return f"{plural(count, 'rule')} {'is' if count == 1 else 'are'} about to be evaluated for the first time."
    return f"Nothing is firing; {plural(count, 'rule')} {'watches' if count == 1 else 'watch'}."


def any_evaluated(groups: Sequence[RuleGroupStatus]) -> bool:
    """Whether that nothing fires says anything: not before the first evaluation."""
    return any(rule.health != "unknown" for group in groups for rule in group.rules)


def _sets(rows: Sequence[AlertRow], choice: Choice) -> list[AlertSet]:
    if not choice.by:
        firing = tuple(row for row in rows if row.fires and not row.telling.is_meant)
        quiet = tuple(row for row in rows if row.fires and row.telling.is_meant)
        pending = tuple(row for row in rows if not row.fires)
        found = (
            AlertSet("Firing", Labels(), firing),
            AlertSet("Pending", Labels(), pending, "true, but not yet for long enough"),
            AlertSet("Firing quietly", Labels(), quiet, "silenced, muted, or explained by another alert"),
        )
        return [one for one in found if one.rows]
    groups: dict[Labels, list[AlertRow]] = {}
    for row in rows:
        groups.setdefault(choice.group_of(row.alert.labels), []).append(row)
    return [
        AlertSet("", labels, tuple(some), f"{sum(row.fires for row in some)} firing, {len(some)} in all")
        for labels, some in groups.items()
    ]
