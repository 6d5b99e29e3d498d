"""`trackside backtest`: the strip, the numbers, and how it ends."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from trackside.cli.backtest import backtest
from trackside.cli.strip import FIRING, IDLE, PENDING, WIDTH, strip
from trackside.model.labels import Labels
from trackside.server.backtest.result import BacktestResult, Episode, RuleResult
from trackside.server.clock import SystemClock
from trackside.server.db.database import Database
from trackside.server.tsdb.config import StorageConfig
from trackside.server.tsdb.store import Tsdb

RULES = """groups:
- name: g
  rules:
  - {alert: Down, expr: up == 0, for: 2m}
  - {alert: Never, expr: up > 5}
"""
CONFIG = """
route: {receiver: team}
receivers: [{name: team, webhook_configs: [{url: http://127.0.0.1:9/}]}]
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "alertmanager.yml").write_text(CONFIG)
    database = Database(tmp_path / "trackside.db")
    store, now_ms = Tsdb(database, StorageConfig(), SystemClock()), SystemClock().now_ms()
    refs = store.refs([Labels.of(__name__="up", job="shop")])
    for minute in range(60, 0, -1):
        store.append_row("g", now_ms - minute * 60_000, refs, np.array([0.0 if 20 < minute <= 40 else 1.0]))
    store.close()
    database.close()
    return lambda *arguments: CliRunner().invoke(backtest, ["rules.yml", "--data", ".", *map(str, arguments)])


def test_when_it_would_have_fired(run):
    result = run("--since", "1h", "--config", "alertmanager.yml")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "2 alerting rules over 1h"
    assert lines[2].startswith("Down: fired 1 time, 1")
    assert FIRING in lines[3]
    assert lines[5] == "Never: nothing"
    assert lines[-1].startswith("notifications: 2: 2 to team (webhook)")


def test_without_routes_it_says_how_to_count(run):
    assert "give --config" in run("--since", "1h").stdout


def test_as_json(run):
    found = json.loads(run("--since", "1h", "--json", "--config", "alertmanager.yml").stdout)
    assert found["rules"][0]["fired"] == 1
    assert found["notifications"]["byReceiver"] == {"team (webhook)": 2}


def test_nothing_fired_ends_with_0(run):
    assert run("--since", "10m").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--since", "soon"], "--since: not a duration"),
        (["--data", "nowhere"], "nowhere is no data folder"),
        (["--data", "http://127.0.0.1:1"], "does not answer"),
    ],
)
def test_what_cannot_be_found_out(run, arguments, reason):
    assert reason in str(run(*arguments).exception)


def test_a_strip_shows_the_worst_of_each_cell():
    rule = RuleResult("A", "g", (Episode(Labels(), 0, 1_000, 2_000, 1.0), Episode(Labels(), 5_000, None, None, 1.0)))
    cells = strip(rule, BacktestResult(0, 6_000, (rule,)))[13 : 13 + WIDTH]
    assert cells == PENDING * 10 + FIRING * 10 + IDLE * 30 + PENDING * 10
