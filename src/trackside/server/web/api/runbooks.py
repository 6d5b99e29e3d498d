"""`/api/v1/runbooks`: which alerts have one, and one of them with the live figures its steps ask for."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trackside.exceptions import QueryError
from trackside.model.alerts import Alert
from trackside.model.labels import Labels
from trackside.model.rules import RuleStatus
from trackside.server.lint.finding import as_json
from trackside.server.lint.subjects import running_subjects
from trackside.server.rules.results import vector
from trackside.server.rules.templates import ExternalFacts
from trackside.server.runbooks.findings import lint_runbooks
from trackside.server.runbooks.rendering import LiveQuery, rendered
from trackside.server.runbooks.shelf import Runbook
from trackside.server.web.api.answers import answering, failure, success
from trackside.server.web.api.encoding import number_text
from trackside.server.web.api.parameters import Parameters
from trackside.server.web.console import Console
from trackside.server.web.forms import form_of
from trackside.server.web.rule_facts import shelf_of

MOST_SERIES = 50
QUERY_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True)
class RunbooksApi:
    console: Console

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/v1/runbooks", answering(self.list)),
            Route("/api/v1/runbook", answering(self.one)),
        ]

    async def list(self, request: Request) -> Response:
        groups = self.console.rule_groups()
        shelf = await shelf_of(self.console)
        found = [
            _listed(rule.name, shelf.find(rule.name, rule.annotations.as_dict()))
            for group in groups
            for rule in group.rules
            if rule.kind == "alerting"
        ]
        findings = lint_runbooks(running_subjects(groups), shelf)
        return success({"alerts": found, "findings": [as_json(finding) for finding in findings]})

    async def one(self, request: Request) -> Response:
        """`alert`: the name of the rule; each `label.NAME` chooses among its alerts."""
        given = Parameters(await form_of(request), self.console.clock.now_ms())
        name = given.text("alert")
        rule = self._rule(name)
        if rule is None:
            return failure(f"no rule raises an alert called {name!r}", "not_found", 404)
        runbook = (await shelf_of(self.console)).find(name, rule.annotations.as_dict())
        if runbook is None:
            return failure(f"there is no runbook for {name!r}", "not_found", 404)
        if runbook.chapter is None:
            return success({**_listed(name, runbook), "html": "", "queries": []})
        labels, value = _alert(rule, given)
        facts = ExternalFacts(self.console.external_url)
        page = rendered(runbook.chapter, labels, value, facts, self.console.clock.now_ms())
        queries = list(await asyncio.gather(*map(self._answer, page.queries)))
        return success({**_listed(name, runbook), "html": page.html, "queries": queries, "labels": labels.as_dict()})

    def _rule(self, name: str) -> RuleStatus | None:
        rules = (rule for group in self.console.rule_groups() for rule in group.rules)
        return next((rule for rule in rules if rule.kind == "alerting" and rule.name == name), None)

    async def _answer(self, query: LiveQuery) -> dict[str, object]:
        if query.error:
            return {"expr": query.expr, "error": query.error, "series": []}
        now_ms = self.console.clock.now_ms()
        try:
            samples = vector(await self.console.backend.query(query.expr, now_ms, QUERY_TIMEOUT_MS))
        except QueryError as error:
            return {"expr": query.expr, "error": str(error), "series": []}
        series = [
            {"labels": sample.labels.as_dict(), "value": number_text(sample.value)} for sample in samples[:MOST_SERIES]
        ]
        return {"expr": query.expr, "error": "", "series": series, "more": max(0, len(samples) - MOST_SERIES)}


def _listed(alert: str, runbook: Runbook | None) -> dict[str, object]:
    if runbook is None:
        return {"alert": alert, "title": None, "file": None, "line": None, "url": None}
    return {
        "alert": alert,
        "title": runbook.title,
        "file": runbook.file or None,
        "line": runbook.line or None,
        "url": runbook.url or None,
    }


def _alert(rule: RuleStatus, given: Parameters) -> tuple[Labels, float]:
    """Labels and value of the alert that is meant: the one that the parameters describe, else the first there is."""
    wanted = {name[len("label.") :]: str(text) for name, text in given.form.multi_items() if name.startswith("label.")}
    for alert in rule.alerts:
        if _has(alert, wanted):
            return alert.labels, alert.value
    return Labels.of({"alertname": rule.name, **rule.labels.as_dict(), **wanted}), math.nan


def _has(alert: Alert, wanted: Mapping[str, str]) -> bool:
    return all(alert.labels.get(name) == text for name, text in wanted.items())
