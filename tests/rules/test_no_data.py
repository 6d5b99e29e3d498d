"""Alerts whose series go missing: resolved, kept, or raised because of it."""

import math

import pytest

from trackside.exceptions import ConfigError
from trackside.model.labels import Labels
from trackside.server.rules.config import parse_rule_file
from trackside.server.rules.no_data import data_expr

M = 60_000


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("up == 0", "up == bool 0"),
        ("sum by (job) (rate(errors[5m])) > 5", "sum by (job) (rate(errors[5m])) > bool 5"),
        ("count(up == 0) > 3", "count(up == bool 0) > bool 3"),
        ("a > 1 and on (job) b < 2", "a > bool 1 and on (job) b < bool 2"),
        ("a > 1 unless b > 2", "a > bool 1"),
        ("a > 1 unless b or c", "a > bool 1 or c"),
        ("(a / b) > on (x) group_left () c", "(a / b) > bool on (x) group_left () c"),
        ("a > bool 1", "a > bool 1"),
        ("vector(1)", "vector(1)"),
        ("up", "up"),
    ],
)
def test_an_expression_without_its_conditions(expr, expected):
    assert data_expr(expr) == expected


def text(mode: str, more: str = "") -> str:
    annotations = f"annotations: {{trackside_no_data: {mode}}}"
    return f"groups: [{{name: g, rules: [{{alert: Down, expr: up == 0, {more}{annotations}}}]}}]"


def up(*jobs: str) -> dict[Labels, float]:
    return {Labels.of(__name__="up", job=job): 0.0 for job in jobs}


def run(rules, mode: str, courses: dict[str, str], more: str = "") -> list[list[str]]:
    """States after each minute; a letter of a course is a minute of a job: 0 down, 1 up, . gone."""

    def at(now_ms: int, letters: str) -> list[str]:
        return [job for job, course in courses.items() if course[now_ms // M] in letters]

    rules.backend.answers["up == 0"] = lambda now_ms: up(*at(now_ms, "0"))
    rules.backend.answers["up == bool 0"] = lambda now_ms: up(*at(now_ms, "01"))
    rules.apply(text(mode, more))
    found = []
    for minute in range(len(next(iter(courses.values())))):
        rules.minutes(minute, minute)
        alerts = [alert for group in rules.groups.statuses() for rule in group.rules for alert in rule.alerts]
        found.append([f"{alert.labels.get('job')} {alert.state.value}" for alert in alerts])
    return found


def test_resolve_is_the_default_of_everyone_else(rules):
    assert run(rules, "resolve", {"a": "0.1"}) == [["a firing"], [], []]


def test_keep_keeps_a_firing_alert_until_there_is_data(rules):
    assert run(rules, "keep", {"a": "0..1"}) == [["a firing"]] * 3 + [[]]


def test_keep_tells_one_series_that_is_gone_from_another_that_is_well(rules):
    assert run(rules, "keep", {"a": "0.", "b": "01"}) == [["a firing", "b firing"], ["a firing"]]


def test_keep_leaves_a_pending_alert_pending(rules):
    states = run(rules, "keep", {"a": "0...0"}, "for: 2m, ")
    assert states == [["a pending"]] * 4 + [["a firing"]]


def test_alert_takes_missing_data_for_the_condition(rules):
    states = run(rules, "alert", {"a": "0...1"}, "for: 2m, ")
    assert states == [["a pending"], ["a pending"], ["a firing"], ["a firing"], []]


def test_alert_is_raised_when_there_is_nothing_at_all(rules):
    assert run(rules, "alert", {"a": "1..1"}) == [[], [" firing"], [" firing"], []]
    value = rules.offered[0][1][0].value
    assert math.isnan(value)


def test_alert_is_not_raised_while_other_series_are_there(rules):
    assert run(rules, "alert", {"a": "1.", "b": "11"}) == [[], []]


def test_nothing_more_is_asked_while_all_is_well(rules):
    run(rules, "keep", {"a": "11"})
    assert {expr for expr, _ in rules.backend.asked} == {"up == 0"}


@pytest.mark.parametrize(
    ("rules_text", "reason"),
    [
        pytest.param(text("sometimes"), "expected one of resolve, keep, alert, found 'sometimes'", id="unknown"),
        pytest.param(
            text("keep").replace("up == 0", "absent(up)"),
            "the expression says with absent\\(\\) what missing data means",
            id="absent",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(rules_text, reason):
    with pytest.raises(ConfigError, match=reason):
        parse_rule_file(rules_text, "r.yml")
