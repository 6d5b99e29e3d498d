"""Prometheus' compliance cases for whoever generates alerts, on a clock turned by hand: states, series, messages."""

import asyncio
import json
from datetime import datetime
from io import StringIO
from itertools import pairwise
from pathlib import Path

import httpx
import numpy as np
import pytest
from ruamel.yaml import YAML

from trackside.instruments.registry import Registry
from trackside.model.labels import Labels
from trackside.server.clock import VirtualClock
from trackside.server.db.database import Database
from trackside.server.handover.alertmanagers import Alertmanagers
from trackside.server.handover.config import AlertingConfig
from trackside.server.promql.engine import Engine
from trackside.server.rules.config import parse_rule_file
from trackside.server.rules.group import RulePorts, RuleSettings
from trackside.server.rules.groups import RuleGroups
from trackside.server.rules.scratch import ScratchStore
from trackside.server.schedule import Schedule
from trackside.server.series import Series
from trackside.server.yamlfile import parse_yaml

FILE = Path(__file__).parents[2].parent / "shared" / "conformance" / "alerting" / "upstream" / "alertgen.yml"
SAMPLE_MS, GROUP_MS, RESEND_MS = 15_000, 30_000, 60_000


class Backend:
    def __init__(self, store: ScratchStore) -> None:
        self.engine = Engine(store)

    async def query(self, expr: str, time_ms: int, timeout_ms: int | None = None):
        return self.engine.instant(expr, time_ms)


def values(notation: str) -> list[float]:
    found: list[float] = []
    for item in str(notation).split():
        value, _, times = item.partition("x")
        found += [float(value)] * (int(times or 0) + 1)
    return found


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


class Run:
    """All groups from the first sample to the last test's end."""

    def __init__(self, case: dict, folder: Path) -> None:
        self.case = case
        self.store, self.clock, self.schedule = ScratchStore(), VirtualClock(), Schedule()
        self.posts: list[tuple[int, dict]] = []
        self.states: dict[int, dict[Labels, tuple]] = {}
        self.series: dict[int, list[Labels]] = {}
        self.db = Database(folder / "trackside.db")
        transport = httpx.MockTransport(self._take)
        self.managers = Alertmanagers(Registry(), lambda config: httpx.AsyncClient(transport=transport))
        ports = RulePorts(Backend(self.store), self.store, self.db, self.clock, Registry())
        self.groups = RuleGroups(ports, self.schedule, self.managers.offer, RuleSettings())

    def _take(self, request: httpx.Request) -> httpx.Response:
        assert request.url == "http://manager:9093/api/v2/alerts"
        self.posts += [(self.clock.ms, alert) for alert in json.loads(request.content)]
        return httpx.Response(200)

    async def run(self) -> None:
        for one in self.case["series"]:
            points = values(one["values"])
            times_ms = np.arange(len(points), dtype=np.int64) * SAMPLE_MS
            self.store.append_series("g", [Series(Labels.of(one["labels"]), times_ms, np.array(points))])
        text = StringIO()
        YAML(typ="safe").dump(self.case["rules"], text)
        await self.groups.apply(parse_rule_file(text.getvalue(), "alertgen.yml"), 0)
        alerting = {"alertmanagers": [{"static_configs": [{"targets": ["manager:9093"]}]}], "resend_delay": "1m"}
        await self.managers.apply(AlertingConfig.model_validate(alerting))
        for now_ms in range(0, max(self.case["test_until"].values()) * SAMPLE_MS + 1, GROUP_MS):
            self.clock.ms = now_ms
            await self.schedule.run_due(now_ms)
            await self.managers.drain()
            alerts = [alert for group in self.groups.statuses() for rule in group.rules for alert in rule.alerts]
            self.states[now_ms] = {
                alert.labels: (alert.state.value, alert.value, alert.annotations.as_dict()) for alert in alerts
            }
            found = Engine(self.store).instant("ALERTS", now_ms).value
            self.series[now_ms] = [labels.without("__name__") for labels in found.labels]
        await self.managers.close()
        self.db.close()


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    run = Run(parse_yaml(FILE.read_text(), str(FILE)).tree, tmp_path_factory.mktemp("alertgen"))
    asyncio.run(run.run())
    return run


def _alerts() -> list[dict]:
    return parse_yaml(FILE.read_text(), str(FILE)).tree["alerts"] if FILE.exists() else []


def labels_of(alert: dict) -> Labels:
    return Labels.of(alert["labels"], alertname=alert["alertname"])


def name(alert: dict) -> str:
    return f"{alert['alertname']} {alert['labels'].get('variant', '')}".strip()


@pytest.mark.parametrize("alert", _alerts(), ids=name)
def test_its_state_is_right_at_each_evaluation(ran, alert):
    until_ms = ran.case["test_until"][alert["group"]] * SAMPLE_MS
    for now_ms in range(0, until_ms + 1, GROUP_MS):
        place = now_ms // SAMPLE_MS
        phases = [each for each in alert["phases"] if each["start"] <= place and each["end"] > place - 2]
        allowed = [(each["state"], float(each["value"]), each["annotations"]) for each in phases]
        if not any(each["start"] <= place - 1 and each["end"] > place for each in alert["phases"]):
            allowed.append(None)
        assert ran.states[now_ms].get(labels_of(alert)) in allowed, f"at {now_ms // 1_000} s"


@pytest.mark.parametrize("alert", _alerts(), ids=name)
def test_its_series_say_the_same(ran, alert):
    labels = labels_of(alert)
    for now_ms, states in ran.states.items():
        told = [Labels.of(labels, alertstate=states[labels][0])] if labels in states else []
        found = [each for each in ran.series[now_ms] if each.without("alertstate") == labels.without("alertstate")]
        assert found == told, f"at {now_ms // 1_000} s"


@pytest.mark.parametrize("alert", _alerts(), ids=name)
def test_it_is_told_when_it_fires_and_when_it_ends(ran, alert):
    mine = [(at_ms, post) for at_ms, post in ran.posts if post["labels"] == labels_of(alert).as_dict()]
    if not any(each["state"] == "firing" for each in alert["phases"]):
        assert mine == []
        return
    firing = [(at_ms, post) for at_ms, post in mine if ms(post["endsAt"]) > at_ms]
    resolved = [(at_ms, post) for at_ms, post in mine if ms(post["endsAt"]) <= at_ms]
    seen = [at_ms for at_ms, states in ran.states.items() if states.get(labels_of(alert), "")[:1] == ("firing",)]
    assert firing[0][0] == seen[0]
    assert resolved, "its end was told"
    for at_ms, post in firing:
        assert ms(post["endsAt"]) - at_ms == 4 * RESEND_MS
        assert ms(post["startsAt"]) in seen
    for at_ms, post in resolved:
        assert ms(post["endsAt"]) - GROUP_MS in seen
        assert at_ms - ms(post["endsAt"]) <= 15 * 60_000
    # More than the delay must have passed, so with evaluations each 30 s it is told again after 90.
    gaps = {later - at_ms for (at_ms, _), (later, _) in pairwise(firing) if later - at_ms < 600_000}
    assert gaps <= {RESEND_MS + GROUP_MS}
