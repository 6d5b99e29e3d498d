"""`trackside check` and the linter: what it prints, how it ends, and the series really stored."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from trackside.cli.check import check
from trackside.server.clock import SystemClock
from trackside.server.db.database import Database
from trackside.server.rules.unit_tests.notation import parse_metric
from trackside.server.tsdb.config import StorageConfig
from trackside.server.tsdb.store import Tsdb

ROOT = Path(__file__).parents[2]
OURS = [
    file
    for folder in ("examples", "src")
    for file in sorted(ROOT.glob(f"{folder}/**/*.yml"))
    if re.search(r"^groups:", file.read_text(), re.M)
]
RULES = """groups:
- name: g
  rules:
  - alert: HighErrorRate
    expr: rate(http_requests_total{status=~"5.."}[5m]) > 0.05
    annotations: {summary: "Error rate above 5%"}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yml").write_text(RULES)
    return lambda *arguments: CliRunner().invoke(check, list(map(str, arguments)))


def stored(folder, *metrics: str) -> None:
    folder.mkdir()
    database = Database(folder / "trackside.db")
    store = Tsdb(database, StorageConfig(), SystemClock())
    refs = store.refs([parse_metric(metric) for metric in metrics])
    store.append_row("g", SystemClock().now_ms() - 1_000, refs, np.ones(len(metrics)))
    store.close()
    database.close()


def test_a_finding_is_shown_with_what_to_copy(run):
    result = run("rules.yml")
    assert result.exit_code == 1
    assert "rules.yml: 1 group, 1 rule: good" in result.output
    assert "rules.yml:5: error: HighErrorRate: a rate taken for a share (L1)" in result.output
    assert '    better: sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(' in result.output


@pytest.mark.parametrize("file", OURS, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_rules_that_we_ship_and_show_mean_what_they_say(run, file):
    result = run("rules", file)
    assert result.exit_code == 0
    # One line: nothing to remark either.
    assert re.fullmatch(r".*: \d+ groups?, \d+ rules?: good\n", result.output), result.output


def test_as_json(run):
    first, second = map(json.loads, run("rules.yml", "--json").output.splitlines())
    assert (first["ok"], second["check"], second["line"], second["level"]) == (True, "L1", 5, "error")


def test_rules_that_do_the_same_are_noted(run, tmp_path):
    (tmp_path / "twice.yml").write_text("groups: [{name: g, rules: [{record: a, expr: b}, {record: a, expr: b}]}]")
    assert "rule 'a' exists already in twice.yml, group 'g'" in run("twice.yml").output


def test_only_whether_the_files_can_be_used(run):
    result = run("rules.yml", "--no-lint")
    assert (result.exit_code, result.output) == (0, "rules.yml: 1 group, 1 rule: good\n")


def test_promtools_word_before_the_files_is_understood(run, tmp_path):
    (tmp_path / "empty.yml").write_text("")
    assert run("rules", "empty.yml").exit_code == 0
    (tmp_path / "other.yml").write_text("group: []")
    assert run("rules", "other.yml").exit_code == 2


def test_rule_files_and_routes_of_a_configuration(run, tmp_path):
    (tmp_path / "trackside.yml").write_text(
        "rule_files: [rules.yml]\n"
        "route: {receiver: a, group_interval: 7m, repeat_interval: 1h}\nreceivers: [{name: a}]\n"
    )
    result = run("trackside.yml")
    assert result.exit_code == 1
    assert "(L1)" in result.output
    assert "trackside.yml:2: warning: a repeat interval that is rounded up (L17)" in result.output


def test_what_is_stored_is_looked_at(run, tmp_path):
    stored(tmp_path / "data", "http_request_total", "up")
    result = run("rules.yml", "--data", tmp_path / "data")
    assert "http_requests_total was never seen in the last 7d" in result.output
    assert "did you mean http_request_total?" in result.output


@pytest.mark.parametrize(
    ("place", "reason"),
    [("nowhere", "nowhere is no data folder"), ("http://127.0.0.1:1", "http://127.0.0.1:1 does not answer")],
)
def test_a_place_that_cannot_be_asked(run, place, reason):
    assert reason in str(run("rules.yml", "--data", place).exception)
