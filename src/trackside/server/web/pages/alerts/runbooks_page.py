"""`/alerts/runbooks`: which alerts have one, and each of them with the live figures that its steps ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from trackside.model.labels import Labels
from trackside.model.rules import RuleStatus
from trackside.server.lint.subjects import running_subjects
from trackside.server.runbooks.findings import lint_runbooks
from trackside.server.runbooks.shelf import Runbook
from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.figures import plural
from trackside.server.web.pages.alerts.found import Found, all_alerts
from trackside.server.web.pages.alerts.places import RUNBOOKS, TABS, alert_path
from trackside.server.web.pages.alerts.rules_page import state_of
from trackside.server.web.pages.alerts.runbook_text import Reader, runbook_html
from trackside.server.web.rule_facts import shelf_of
from trackside.server.web.verdict import Level

EXAMPLE = """\
# High error rate

More than one request in twenty fails.

1. Which paths are they?

   ```promql
   topk(5, sum by (path) (rate(http_requests_total{status=~"5.."}[5m])))
   ```

2. Was something released just before? Take it back first, ask why later.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    rule: RuleStatus
    runbook: Runbook | None
    level: Level
    word: str
    href: str
    """ "" for one that there is none of."""


async def show(console: Console, request: Request) -> Response:
    period = render.period_for(request, console)
    groups = console.rule_groups()
    shelf = await shelf_of(console)
    rules = [rule for group in groups for rule in group.rules if rule.kind == "alerting"]
    entries = [
        _entry(rule, shelf.find(rule.name, rule.annotations.as_dict()), period.link(_path(rule.name))) for rule in rules
    ]
    entries.sort(key=lambda entry: (-entry.level, entry.runbook is None, entry.rule.name))
    facts: Mapping[str, object] = {
        "tabs": TABS,
        "tab": "runbooks",
        "entries": entries,
        "calm": _calm_line(entries),
        "level": Level.UNKNOWN if any(entry.runbook is None for entry in entries) else Level.OK,
        "findings_of_files": lint_runbooks(running_subjects(groups), shelf),
        "example": EXAMPLE,
    }
    page = render.Page("runbooks.html", "alerts", "Runbooks", Level.OK, facts, {}, has_range=False)
    return render.respond(request, console, period, page)


async def show_one(console: Console, request: Request) -> Response:
    """For an alert that fires there is a fuller page; here it is read without one, or for the first there is."""
    period = render.period_for(request, console)
    name = request.path_params["name"]
    rules = [rule for group in console.rule_groups() for rule in group.rules if rule.kind == "alerting"]
    rule = next((rule for rule in rules if rule.name == name), None)
    runbook = None if rule is None else (await shelf_of(console)).find(name, rule.annotations.as_dict())
    if rule is None or runbook is None:
        return render.error_page(404, "There is no such runbook", "No alert of this name has one (any more).")
    alerts = [one for one in all_alerts(console) if one.rule is not None and one.rule.name == name]
    html = Markup("")
    if runbook.chapter is not None:
        html = await runbook_html(console, runbook.chapter, _reader(rule, alerts), period)
    level, word = state_of(rule)
    facts: Mapping[str, object] = {
        "tabs": TABS,
        "tab": "runbooks",
        "rule": rule,
        "runbook": runbook,
        "html": html,
        "level": level,
        "word": word,
        "alerts": alerts,
        "alert_path": alert_path,
    }
    page = render.Page("runbook.html", "alerts", f"Runbook: {runbook.title}", level, facts, {})
    return render.respond(request, console, period, page)


def _path(name: str) -> str:
    return f"{RUNBOOKS}/{quote(name, safe='')}"


def _entry(rule: RuleStatus, runbook: Runbook | None, href: str) -> Entry:
    level, word = state_of(rule)
    return Entry(rule, runbook, level, word, href if runbook is not None else "")


def _reader(rule: RuleStatus, alerts: list[Found]) -> Reader:
    if alerts:
        return Reader(alerts[0].alert.labels, alerts[0].alert.value)
    return Reader(Labels.of({"alertname": rule.name, **rule.labels.as_dict()}))


def _calm_line(entries: list[Entry]) -> str:
    if not entries:
        return "No alerts yet, so no runbooks."
    without = sum(entry.runbook is None for entry in entries)
    if not without:
        return "Every alert has a runbook."
    return f"{plural(without, 'alert')} of {len(entries)} {'has' if without == 1 else 'have'} no runbook."
