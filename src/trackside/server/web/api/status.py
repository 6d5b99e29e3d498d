"""`/api/v1/targets`, `rules`, `alerts`, `metadata`, `status/…`: what the server knows about itself."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trackside.model.alerts import Alert
from trackside.model.durations import format_duration
from trackside.model.rules import RuleGroupStatus, RuleStatus
from trackside.model.targets import TargetStatus
from trackside.server.web.api.answers import answering, success
from trackside.server.web.api.encoding import number_text
from trackside.server.web.api.parameters import ParameterError
from trackside.server.web.console import Console

NEVER = "0001-01-01T00:00:00Z"
"""How Go writes a time that has not been."""


@dataclass(frozen=True, slots=True)
class StatusApi:
    console: Console

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/v1/targets", answering(self.targets)),
            Route("/api/v1/rules", answering(self.rules)),
            Route("/api/v1/alerts", answering(self.alerts)),
            Route("/api/v1/metadata", answering(self.metadata)),
            Route("/api/v1/status/buildinfo", answering(self.build)),
            Route("/api/v1/status/runtimeinfo", answering(self.runtime)),
            Route("/api/v1/status/config", answering(self.config)),
            Route("/api/v1/status/flags", answering(self.flags)),
        ]

    async def targets(self, request: Request) -> Response:
        state = request.query_params.get("state", "any")
        if state not in ("any", "active", "dropped"):
            raise ParameterError(f'invalid parameter "state": {state[:80]!r}; expected active, dropped or any')
        active = [] if state == "dropped" else [_target(target) for target in self.console.targets()]
        return success({"activeTargets": active, "droppedTargets": [], "droppedTargetCounts": {}})

    async def rules(self, request: Request) -> Response:
        kind = {"alert": "alerting", "record": "recording", "": ""}.get(request.query_params.get("type", ""))
        if kind is None:
            raise ParameterError('invalid parameter "type": expected alert or record')
        groups = [_group(group, kind) for group in self.console.rule_groups()]
        return success({"groups": [group for group in groups if group["rules"] or not kind]})

    async def alerts(self, request: Request) -> Response:
        rules = (rule for group in self.console.rule_groups() for rule in group.rules)
        return success({"alerts": [_alert(alert) for rule in rules for alert in rule.alerts]})

    async def metadata(self, request: Request) -> Response:
        wanted = request.query_params.get("metric")
        return success(
            {
                name: [{"type": kind, "help": text, "unit": unit} for kind, text, unit in sorted(entries)]
                for name, entries in self.console.metadata().items()
                if wanted in (None, "", name)
            }
        )

    async def build(self, request: Request) -> Response:
        return success(
            {
                "version": self.console.version,
                "revision": "",
                "branch": "",
                "buildUser": "",
                "buildDate": "",
                "goVersion": "",
                "application": "trackside",
                "pythonVersion": platform.python_version(),
            }
        )

    async def runtime(self, request: Request) -> Response:
        return success({"startTime": rfc3339(self.console.started_ms), "serverTime": rfc3339(self._now_ms())})

    async def config(self, request: Request) -> Response:
        return success({"yaml": self.console.config_text()})

    async def flags(self, request: Request) -> Response:
        return success({"web.external-url": self.console.external_url})

    def _now_ms(self) -> int:
        return self.console.clock.now_ms()


def rfc3339(milliseconds: int | None) -> str:
    if milliseconds is None:
        return NEVER
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _target(target: TargetStatus) -> dict[str, object]:
    return {
        "discoveredLabels": target.discovered_labels.as_dict(),
        "labels": target.labels.as_dict(),
        "scrapePool": target.scrape_pool,
        "scrapeUrl": target.scrape_url,
        "globalUrl": target.scrape_url,
        "lastError": target.last_error,
        "lastScrape": rfc3339(target.last_scrape_ms),
        "lastScrapeDuration": target.last_scrape_s,
        "health": target.health.value,
        "scrapeInterval": format_duration(target.interval_ms),
        "scrapeTimeout": format_duration(target.timeout_ms),
    }


def _group(group: RuleGroupStatus, kind: str) -> dict[str, object]:
    return {
        "name": group.name,
        "file": group.file,
        "rules": [_rule(rule) for rule in group.rules if kind in ("", rule.kind)],
        "interval": group.interval_ms / 1_000,
        "limit": group.limit,
        "evaluationTime": group.evaluation_s,
        "lastEvaluation": rfc3339(group.last_evaluation_ms),
    }


def _rule(rule: RuleStatus) -> dict[str, object]:
    shared: dict[str, object] = {
        "name": rule.name,
        "query": rule.query,
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
        "alerts": [_alert(alert) for alert in rule.alerts],
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
