"""The backtest behind the button: running rules or a text, all at once or line by line."""

import json

import numpy as np
import pytest

from trackside.model.labels import Labels
from trackside.server.backtest.desk import BacktestDesk, Surroundings
from trackside.server.clock import VirtualClock
from trackside.server.rules.config import parse_rule_file
from trackside.server.rules.scratch import ScratchStore
from trackside.server.series import Series

PATH = "/api/v1/rules/backtest"
NOW_MS = 3_600_000
TEXT = "groups: [{name: g, rules: [{alert: Down, expr: up == 0}]}]"


@pytest.fixture
def site(site):
    store = ScratchStore()
    times_ms = np.arange(0, NOW_MS + 1, 60_000)
    store.append_series("g", [Series(Labels.of(__name__="up"), times_ms, (times_ms < NOW_MS // 2).astype(np.float64))])
    around = Surroundings(parse_rule_file(TEXT, "r.yml"))
    site.console = {"backtests": BacktestDesk(store, VirtualClock(NOW_MS), lambda: around)}
    return site


def test_running_rules(site):
    data = site.post(PATH, data={"since": "50m"}).json()["data"]
    assert [(rule["name"], rule["fired"], rule["firingSeconds"]) for rule in data["rules"]] == [("Down", 1, 1800.0)]
    assert data["told"] is False


def test_a_text_of_rules(site):
    text = TEXT.replace("up == 0", "up == 1")
    data = site.post(PATH, data={"since": "50m", "rules": text}).json()["data"]
    assert data["rules"][0]["episodes"][0]["endedAt"] == "1970-01-01T00:30:00.000Z"


def test_line_by_line(site):
    response = site.post(PATH, data={"since": "50m", "stream": "true"})
    assert response.headers["content-type"] == "application/x-ndjson"
    first, *_, last = map(json.loads, response.text.splitlines())
    assert first == {"done": 0, "total": 1, "rule": "Down"}
    assert (last["status"], last["data"]["rules"][0]["fired"]) == ("success", 1)


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        pytest.param({"since": "soon"}, 'invalid parameter "since"', id="duration"),
        pytest.param({"since": "401d"}, "at most 400d", id="too long"),
        pytest.param({"rules": "groups: ["}, 'invalid parameter "rules"', id="no YAML"),
        pytest.param({"rules": "groups: [{name: g, rules: [{alert: A, expr: 'up =='}]}]"}, "rules:1:", id="no PromQL"),
        pytest.param({"rule_name": "nosuch"}, "there is no such rule", id="no rule"),
        pytest.param({"stream": "perhaps"}, 'invalid parameter "stream"', id="choice"),
    ],
)
def test_what_cannot_be_asked(site, form, reason):
    response = site.post(PATH, data=form)
    assert response.status_code == 400
    assert reason in response.json()["error"]


def test_a_refusal_on_the_way_is_the_last_line(site):
    text = "groups: [{name: g, interval: 10ms, rules: [{alert: Down, expr: up}]}]"
    last = site.post(PATH, data={"since": "30d", "stream": "true", "rules": text}).text.splitlines()[-1]
    assert "a backtest has at most" in json.loads(last)["error"]


def test_a_server_without_a_store(site):
    site.console = {}
    assert site.post(PATH).status_code == 503
