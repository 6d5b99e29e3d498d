"""What is wrong with the running rules, as data for the pages."""

from types import SimpleNamespace

import pytest

from trackside.model.labels import Labels
from trackside.model.rules import RuleGroupStatus, RuleStatus


def test_findings_of_the_running_rules(site):
    rule = RuleStatus("Failing", "alerting", "sum(errors_total) > 5", Labels())
    site.console = {"rule_groups": lambda: (RuleGroupStatus("g", "r.yml", 15_000, (rule,)),)}
    response = site.get("/api/v1/rules/lint")
    assert response.status_code == 200
    found = response.json()["data"]["findings"]
    assert [(each["check"], each["rule"], each["corrected"]) for each in found] == [
        ("L4", "Failing", "sum(increase(errors_total[5m])) > 5"),
        ("L8", "Failing", ""),
    ]


@pytest.mark.parametrize(
    ("intervals_ms", "checks"),
    [
        pytest.param((2_000, 60_000), [], id="every 2 s: enough"),
        pytest.param((30_000,), ["L11"], id="every 30 s: one at most"),
        pytest.param((), ["L11"], id="nothing is scraped: as if every 15 s"),
    ],
)
def test_windows_are_held_against_how_often_there_are_samples(site, intervals_ms, checks):
    rule = RuleStatus("Failing", "alerting", "sum(rate(errors_total[20s])) > 5", Labels())
    site.console = {
        "rule_groups": lambda: (RuleGroupStatus("g", "r.yml", 15_000, (rule,)),),
        "targets": lambda: [SimpleNamespace(interval_ms=one) for one in intervals_ms],
    }
    found = site.get("/api/v1/rules/lint").json()["data"]["findings"]
    assert [each["check"] for each in found if "samples" in each["sentence"]] == checks


def test_no_rules_no_findings(site):
    assert site.get("/api/v1/rules/lint").json()["data"] == {"findings": []}


def test_a_text_that_is_not_yet_in_force(site):
    text = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: connections == 0}\n"
    found = site.post("/api/v1/rules/lint", data={"rules": text}).json()["data"]["findings"]
    assert ("L9", 4) in [(each["check"], each["line"]) for each in found]


@pytest.mark.parametrize("text", ["groups: [", "groups: [{name: g, rules: [{alert: A, expr: 'up =='}]}]"])
def test_a_text_that_is_wrong(site, text):
    response = site.post("/api/v1/rules/lint", data={"rules": text})
    assert response.status_code == 400
    assert response.json()["error"].startswith('invalid parameter "rules": ')
