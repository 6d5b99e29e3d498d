"""Rule files: what they mean, and how a mistake in them is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.exceptions import ConfigError
from trackside.server.rules.config import (
    AlertingRule,
    RecordingRule,
    RuleGroupConfig,
    duplicate_rules,
    load_rule_file,
    parse_rule_file,
)


def test_a_whole_file():
    text = """
groups:
- name: web
  interval: 30s
  limit: 10
  query_offset: 5s
  labels: {team: web, severity: low}
  rules:
  - record: job:up:sum
    expr: |
      sum by (job) (up)
  - alert: Down
    expr: up == 0
    for: 1h30m
    keep_firing_for: 5m
    labels: {severity: 2, on: true, gone: ""}
    annotations: {summary: "{{ $labels.job }}"}
- name: constant
  rules:
  - {record: one, expr: 1}
"""
    assert parse_rule_file(text, "r.yml") == (
        RuleGroupConfig(
            "web",
            "r.yml",
            (
                RecordingRule("job:up:sum", "sum by (job) (up)", (("severity", "low"), ("team", "web"))),
                AlertingRule(
                    "Down",
                    "up == 0",
                    5_400_000,
                    300_000,
                    (("gone", ""), ("on", "true"), ("severity", "2"), ("team", "web")),
                    (("summary", "{{ $labels.job }}"),),
                ),
            ),
            30_000,
            10,
            5_000,
        ),
        RuleGroupConfig("constant", "r.yml", (RecordingRule("one", "1"),)),
    )


@pytest.mark.parametrize("text", ["", "groups:", "groups: []", "groups: [{name: g}]", "groups: [{name: g, rules: }]"])
def test_an_empty_file_is_no_mistake(text):
    assert all(not group.rules for group in parse_rule_file(text, "r.yml"))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param(
            "{alert: A, expr: 'up =='}",
            "rules[0].expr: 1:6: unexpected end of input, expected an expression such as up or "
            "rate(http_requests_total[5m])\n    up ==\n         ^",
            id="expression",
        ),
        pytest.param("{alert: A, expr: ''}", "rules[0].expr: is required, and empty", id="empty expression"),
        pytest.param("{alert: A}", "rules[0].expr: is required, and missing", id="no expression"),
        pytest.param("{alert: A, record: a, expr: up}", "rules[0]: `record` and `alert` exclude each other", id="both"),
        pytest.param("{expr: up}", "rules[0]: expected `record` or `alert`", id="neither"),
        pytest.param("{alert: '', expr: up}", "rules[0]: expected `record` or `alert`", id="nameless"),
        pytest.param(
            "{record: a b, expr: up}",
            "rules[0].record: not a metric name: 'a b'; expected letters, digits, _ and :",
            id="name",
        ),
        pytest.param(
            "{record: a, expr: up, for: 5m}", "rules[0].for: belongs to an alerting rule; this one records", id="for"
        ),
        pytest.param(
            "{record: a, expr: up, annotations: {a: b}}",
            "rules[0].annotations: belongs to an alerting rule; this one records",
            id="annotations",
        ),
        pytest.param(
            "{alert: A, expr: up, labels: {a-b: c}}",
            "rules[0].labels.a-b: not a label name that a rule may set: 'a-b'; expected letters, digits and _",
            id="label",
        ),
        pytest.param(
            "{alert: A, expr: up, labels: {__name__: c}}",
            "rules[0].labels.__name__: not a label name that a rule may set: '__name__'; expected letters, "
            "digits and _",
            id="metric name",
        ),
        pytest.param(
            "{alert: A, expr: up, annotations: {a b: c}}",
            "rules[0].annotations.a b: not a name: 'a b'; expected letters, digits and _",
            id="annotation",
        ),
        pytest.param(
            "{alert: A, expr: up, annotations: {a: '{{ $label.x }}'}}",
            "rules[0].annotations.a: this template does not parse: undefined variable $label; known here: "
            "$externalLabels, $externalURL, $labels, $value (line 1, column 4 of the text)",
            id="template",
        ),
        pytest.param(
            "{alert: A, expr: up, labels: {a: '{{ nosuch }}'}}",
            "rules[0].labels.a: this template does not parse: function 'nosuch' is not defined (line 1, column 4 "
            "of the text)",
            id="label template",
        ),
        pytest.param(
            "{alert: A, expr: up, for: 5 minutes}",
            "rules[0].for: not a duration: '5 minutes'; expected a number with a unit, such as 30s, 5m or 1h30m",
            id="duration",
        ),
        pytest.param(
            "{alert: A, expr: up, fro: 5m}", "rules[0].fro: unknown key; did you mean 'for'?", id="unknown key"
        ),
    ],
)
def test_a_mistake_is_said_with_its_line(rule, expected):
    with pytest.raises(ConfigError) as raised:
        parse_rule_file(f"groups:\n- name: g\n  rules:\n  - {rule}\n", "r.yml")
    assert str(raised.value) == f"r.yml:4: groups[0].{expected}"


def test_every_mistake_is_said():
    text = """groups:
- name: g
  rules:
  - alert: A
    expr: sum(
  - alert: B
    expr: rate(up)
- name: g
"""
    with pytest.raises(ConfigError) as raised:
        parse_rule_file(text, "r.yml")
    lines = [line for line in str(raised.value).split("\n") if line.startswith("r.yml")]
    assert [line.split(": ")[0] for line in lines] == ["r.yml:5", "r.yml:7", "r.yml:8"]
    assert lines[2] == "r.yml:8: groups[1].name: a group named 'g' exists already in this file"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("groups: 5", "r.yml:1: groups:", id="no list"),
        pytest.param("- a", "expected keys and values at the top", id="a list"),
        pytest.param("groups: [{name: g, rules: [5]}]", "groups[0].rules[0]", id="a number as a rule"),
        pytest.param("groups: [{name: g, interval: 0s}]", "expected a duration above 0", id="no interval"),
        pytest.param("groups: [{name: g, limit: -1}]", "groups[0].limit", id="negative limit"),
        pytest.param("groups: [", "not valid YAML", id="no YAML"),
        pytest.param("a: &a [*a]", "r.yml", id="an alias of itself"),
    ],
)
def test_what_is_no_rule_file(text, expected):
    with pytest.raises(ConfigError) as raised:
        parse_rule_file(text, "r.yml")
    assert expected in str(raised.value)


@given(st.text(alphabet="groups:namerules- \n{}[]\"'|>&*!%@`,#?0123456789\t\x00é", max_size=60))
def test_any_text_is_a_rule_file_or_a_config_error(text):
    try:
        parse_rule_file(text, "r.yml")
    except ConfigError as error:
        assert "r.yml" in str(error)


def test_two_rules_that_do_the_same_are_named():
    text = """groups:
- name: a
  rules: [{record: r, expr: x}, {record: r, expr: y}, {record: r, expr: x, labels: {l: v}}, {alert: r, expr: x}]
- name: b
  rules: [{record: r, expr: x, labels: {l: v}}]
"""
    assert duplicate_rules(parse_rule_file(text, "r.yml")) == [
        "r.yml, group 'a': rule 'r' exists already in r.yml, group 'a'",
        "r.yml, group 'b': rule 'r' l=\"v\" exists already in r.yml, group 'a'",
    ]


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"nosuch\.yml: cannot be read: No such file"):
        load_rule_file(tmp_path / "nosuch.yml")
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8 text: byte 0"):
        load_rule_file(tmp_path / "binary.yml")
