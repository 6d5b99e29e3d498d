"""`/api/v1/rules`, `alerts`: what the rules said last."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trackside.model.alerts import Alert
from trackside.model.labels import Labels
from trackside.model.matchers import Matcher
from trackside.model.rules import RuleGroupStatus, RuleStatus
from trackside.server.promql import format as promql_text
from trackside.server.promql.parser import parse, parse_selectors
from trackside.server.regex import matches_all
from trackside.server.web.api.answers import answering, success
from trackside.server.web.api.encoding import number_text
from trackside.server.web.api.parameters import Parameters
from trackside.server.web.api.times import rfc3339
from trackside.server.web.console import Console
from trackside.server.web.forms import ParameterError, form_of

_KINDS = {"": "", "alert": "alerting", "record": "recording"}


@dataclass(frozen=True, slots=True)
class RulesApi:
    console: Console

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/v1/rules", answering(self.rules, "match[]")),
            Route("/api/v1/alerts", answering(self.alerts, "match[]")),
        ]

    async def rules(self, request: Request) -> Response:
        given = Parameters(await form_of(request), self.console.clock.now_ms())
        wanted = _Wanted.of(given)
        groups = [_group(group, wanted) for group in self.console.rule_groups() if wanted.has_group(group)]
        return success(_page([group for group in groups if group["rules"]], given))

    async def alerts(self, request: Request) -> Response:
        """`match[]` and `state` choose among them, which Prometheus leaves to whoever asks."""
        given = Parameters(await form_of(request), self.console.clock.now_ms())
        selectors = _selectors(given)
        state = given.choice("state", "", "pending", "firing")
        rules = (rule for group in self.console.rule_groups() for rule in group.rules)
        alerts = [alert for rule in rules for alert in rule.alerts if state in ("", alert.state.value)]
        return success({"alerts": [_alert(alert) for alert in alerts if _selected(alert.labels, selectors)]})


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which rules are asked for; an empty set: all."""

    kind: str
    names: frozenset[str]
    groups: frozenset[str]
    files: frozenset[str]
    selectors: Sequence[Sequence[Matcher]]
    with_alerts: bool

    @classmethod
    def of(cls, given: Parameters) -> _Wanted:
        names, groups, files = (frozenset(given.texts(f"{name}[]")) for name in ("rule_name", "rule_group", "file"))
        without = given.choice("exclude_alerts", "false", "true") == "true"
        return cls(_KINDS[given.choice("type", *_KINDS)], names, groups, files, _selectors(given), not without)

    def has_group(self, group: RuleGroupStatus) -> bool:
        return (not self.groups or group.name in self.groups) and (not self.files or group.file in self.files)

    def has_rule(self, rule: RuleStatus) -> bool:
        named = self.kind in ("", rule.kind) and (not self.names or rule.name in self.names)
        return named and _selected(rule.labels, self.selectors)


def _selectors(given: Parameters) -> list[tuple[Matcher, ...]]:
    return [parse_selectors(text) for text in given.texts("match[]")]


def _selected(labels: Labels, selectors: Sequence[Sequence[Matcher]]) -> bool:
    return not selectors or any(matches_all(matchers, labels) for matchers in selectors)


def _page(groups: list[dict[str, object]], given: Parameters) -> dict[str, object]:
    """All groups, or so many as are wanted and what to ask for the next ones with."""
    limit, token = given.limit("group_limit"), "".join(given.texts("group_next_token")[:1])
    if not limit:
        if token:
            raise ParameterError("group_next_token", "it needs group_limit beside it")
        return {"groups": groups}
    groups.sort(key=lambda group: (str(group["file"]), str(group["name"])))
    tokens = [_token(group) for group in groups]
    if token and token not in tokens:
        raise ParameterError("group_next_token", "there is no such group; were the rules changed since?")
    first = tokens.index(token) if token else 0
    page: dict[str, object] = {"groups": groups[first : first + limit]}
    if first + limit < len(groups):
        page["groupNextToken"] = tokens[first + limit]
    return page


def _token(group: dict[str, object]) -> str:
    return hashlib.blake2b(f"{group['file']};{group['name']}".encode("utf-8", "replace"), digest_size=20).hexdigest()


def _group(group: RuleGroupStatus, wanted: _Wanted) -> dict[str, object]:
    return {
        "name": group.name,
        "file": group.file,
        "rules": [_rule(rule, wanted.with_alerts) for rule in group.rules if wanted.has_rule(rule)],
        "interval": group.interval_ms / 1_000,
        "limit": group.limit,
        "evaluationTime": group.evaluation_s,
        "lastEvaluation": rfc3339(group.last_evaluation_ms),
    }


def _rule(rule: RuleStatus, with_alerts: bool) -> dict[str, object]:
    shared: dict[str, object] = {
        "name": rule.name,
        "query": _canonical(rule.query),
        "health": rule.health,
        "evaluationTime": rule.evaluation_s,
        "lastEvaluation": rfc3339(rule.last_evaluation_ms),
        "type": rule.kind,
        "labels": rule.labels.as_dict(),
    }
    if rule.last_error:
        shared["lastError"] = rule.last_error
    if rule.kind == "recording":
        return shared
    return {
        **shared,
        "state": _state(rule.alerts),
        "duration": rule.for_ms / 1_000,
        "keepFiringFor": rule.keep_firing_for_ms / 1_000,
        "annotations": rule.annotations.as_dict(),
        "alerts": [_alert(alert) for alert in rule.alerts] if with_alerts else [],
    }


def _state(alerts: Iterable[Alert]) -> str:
    """The worst of a rule's alerts."""
    states = {alert.state.value for alert in alerts}
    return next((state for state in ("firing", "pending") if state in states), "inactive")


def _alert(alert: Alert) -> dict[str, object]:
    shown: dict[str, object] = {
        "labels": alert.labels.as_dict(),
        "annotations": alert.annotations.as_dict(),
        "state": alert.state.value,
        "activeAt": rfc3339(alert.active_at_ms),
        "value": number_text(alert.value),
    }
    if alert.keep_firing_since_ms is not None:
        shown["keepFiringSince"] = rfc3339(alert.keep_firing_since_ms)
    return shown


@lru_cache(maxsize=4_096)
def _canonical(query: str) -> str:
    """One line, as Prometheus writes an expression, however it stands in the file."""
    return promql_text.format(parse(query))
