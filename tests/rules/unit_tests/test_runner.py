"""What a unit test of rules sees, and what it says when it fails."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.server.rules.unit_tests.runner import MAX_EVALUATIONS, PROMETHEUS_2, run_test_file

RULES = """
groups:
- name: g
  rules:
  - {record: "load:double", expr: load * 2}
  - {alert: High, expr: "load:double > 8", for: 1m, labels: {severity: page}, annotations: {is: "{{ $value }}"}}
"""


@pytest.fixture
def run(tmp_path):
    def one(text: str, rules: str = RULES, only: str = ""):
        (tmp_path / "rules.yml").write_text(rules)
        (tmp_path / "rules_test.yml").write_text("rule_files: [rules.yml]\n" + text)
        return run_test_file(tmp_path / "rules_test.yml", only)

    return one


def test_rules_alerts_and_expressions_pass(run):
    result = run("""
tests:
- interval: 30s
  input_series: [{series: 'load{host="h"}', values: '1 1 5x8'}]
  alert_rule_test:
  - {eval_time: 1m59s, alertname: High, exp_alerts: []}
  - {eval_time: 2m, alertname: High, exp_alerts: [{exp_labels: {host: h, severity: page}, exp_annotations: {is: 10}}]}
  promql_expr_test:
  - {expr: 'load:double', eval_time: 2m, exp_samples: [{labels: 'load:double{host="h"}', value: 10}]}
  - {expr: 'ALERTS', eval_time: 1m, exp_samples: [{labels:
      'ALERTS{alertname="High",alertstate="pending",host="h",severity="page"}', value: 1}]}
  - {expr: '2 + 2', eval_time: 0, exp_samples: [{value: 4}]}
""")
    assert result.ok, result
    assert [(test.checks, test.failures) for test in result.tests] == [(5, ())]


def test_a_failure_says_where_it_stands_and_what_was_found(run):
    result = run("""
tests:
- name: one
  input_series: [{series: load, values: '5x9'}]
  alert_rule_test:
  - {eval_time: 3m, alertname: High, exp_alerts: [{exp_labels: {severity: none}}]}
  - {eval_time: 3m, alertname: Hihg, exp_alerts: [{}]}
  promql_expr_test:
  - {expr: load, eval_time: 1m, exp_samples: [{labels: load, value: 6}]}
  - {expr: nothing, eval_time: 1m, exp_samples: [{labels: load, value: 6}]}
""")
    assert not result.ok
    first, second, third, fourth = result.tests[0].failures
    assert (first.line, first.what) == (7, "alert High at 3m")
    assert first.expected == ('{alertname="High", severity="none"}',)
    assert first.found == ('{alertname="High", severity="page"}\n  is: 10',)
    assert second.what == "alert Hihg at 3m (no rule has this name)"
    assert (third.line, third.expected, third.found) == (10, ("load 6",), ("load 5",))
    assert fourth.found == ("nothing",)


@pytest.mark.parametrize(
    ("expr", "once", "now"),
    [
        pytest.param("count_over_time(a[1m])", 3, 2, id="a range"),
        pytest.param("sum_over_time(a[1m] offset 30s)", 720, 510, id="with an offset"),
        pytest.param("count_over_time(a[1m] @ 60)", 3, 2, id="at a time"),
        pytest.param("delta(a[1m]) > 0", 60, 60, id="the same either way"),
        pytest.param("increase(a[30s])", 30, None, id="too short for the windows of today"),
        pytest.param("count_over_time(a[1m:30s])", 3, 2, id="a subquery"),
        pytest.param("count_over_time(max_over_time(a[30s])[1m:30s])", 3, 2, id="a range in a subquery"),
        pytest.param("count(gone)", 1, None, id="a sample as old as is looked back"),
    ],
)
def test_a_check_that_held_with_the_windows_of_prometheus_2_says_so(run, expr, once, now):
    """The values of `once` are those of promtool 2.42."""
    result = run(f"""
tests:
- interval: 30s
  input_series: [{{series: a, values: '0+30x20'}}, {{series: gone, values: 1}}]
  promql_expr_test:
  - {{expr: '{expr}', eval_time: 5m, exp_samples: [{{labels: '{{}}', value: {once}}}]}}
  - {{expr: '{expr}', eval_time: 5m, exp_samples: [{{labels: '{{}}', value: -1}}]}}
""")
    assert [failure.hint for failure in result.tests[0].failures] == ([] if once == now else [PROMETHEUS_2]) + [""]
    assert result.tests[0].failures[0].found == ("nothing" if now is None else f"{{}} {now}",)


def test_an_alert_that_fired_with_the_windows_of_prometheus_2_says_so(run):
    rules = "groups: [{name: g, rules: [{alert: High, expr: 'count_over_time(a[1m]) > 2', for: 1m}]}]"
    result = run(
        """
evaluation_interval: 30s
tests:
- interval: 30s
  input_series: [{series: a, values: '1x9'}]
  alert_rule_test:
  - {eval_time: 2m, alertname: High, exp_alerts: [{}]}
  - {eval_time: 1m30s, alertname: High, exp_alerts: []}
  - {eval_time: 1m, alertname: High, exp_alerts: [{}]}
""",
        rules,
    )
    assert [(failure.line, failure.hint) for failure in result.tests[0].failures] == [(10, ""), (8, PROMETHEUS_2)]


@pytest.mark.parametrize(
    ("test", "what", "reason"),
    [
        pytest.param(
            "{promql_expr_test: [{expr: 'sum('}]}", "sum( at 0s", "1:5: unexpected end of input", id="expression"
        ),
        pytest.param("{promql_expr_test: [{expr: 'up[5m]'}]}", "up[5m] at 0s", "instant vector", id="range vector"),
        pytest.param(
            "{promql_expr_test: [{expr: up, exp_samples: [{labels: 'up{'}]}]}", "up at 0s", "unclosed", id="labels"
        ),
        pytest.param(
            "{promql_expr_test: [{expr: up, exp_samples: [{labels: up, histogram: '{{x}}'}]}]}",
            "up at 0s",
            "not a histogram",
            id="histogram",
        ),
        pytest.param("{input_series: [{series: 'up{', values: 1}]}", "series up{", "unclosed", id="series"),
        pytest.param("{input_series: [{series: up, values: one}]}", "series up", "not a value: 'one'", id="values"),
        pytest.param(
            "{promql_expr_test: [{expr: up, eval_time: 9999w}]}",
            "eval_time",
            f"at most {MAX_EVALUATIONS:,}",
            id="too long",
        ),
    ],
)
def test_what_cannot_run_says_why(run, test, what, reason):
    result = run(f"tests:\n- {test}\n")
    (failure,) = result.tests[0].failures
    assert failure.what == what
    assert reason in failure.reason


def test_a_rule_that_fails_stops_its_test_and_no_other(run):
    rules = "groups: [{name: g, rules: [{record: both, expr: a + on(x) b}]}]"
    result = run(
        """
tests:
- input_series: [{series: 'a{x="1"}', values: '1'}, {series: 'b{x="1",y="1"}', values: '1'},
    {series: 'b{x="1",y="2"}', values: '1'}]
  promql_expr_test: [{expr: a, eval_time: 1h}]
- input_series: [{series: 'a', values: '1'}]
  promql_expr_test: [{expr: a, exp_samples: [{labels: a, value: 1}]}]
""",
        rules,
    )
    (failure,) = result.tests[0].failures
    assert failure.what == "rule both at 0s"
    assert "many-to-many matching" in failure.reason
    assert result.tests[1].failures == ()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param(
            "tests: [{nmae: x}]", "rules_test.yml:2: tests[0].nmae: unknown key; did you mean 'name'?", id="key"
        ),
        pytest.param("evaluation_interval: 0s", "expected a duration above 0", id="no interval"),
        pytest.param("group_eval_order: [a, a]", "names a group twice: a", id="order"),
        pytest.param("tests: [{start_timestamp: soon}]", "expected Unix seconds or a moment", id="start"),
        pytest.param("tests: [{promql_expr_test: [{expr: a, exp_samples: [{value: x}]}]}]", "not a number", id="value"),
        pytest.param("tests: [", "not valid YAML", id="no YAML"),
    ],
)
def test_a_mistake_in_the_file_is_said_with_its_line(run, text, error):
    result = run(text)
    assert not result.ok
    assert error in result.errors[0]


def test_a_rule_file_that_is_wrong_or_not_there(run, tmp_path):
    assert (
        "rules.yml:1: groups[0].rules[0].expr"
        in run("tests: [{}]", "groups: [{name: g, rules: [{record: a}]}]").errors[0]
    )
    (tmp_path / "none.yml").write_text("rule_files: [nosuch.yml]\ntests: []\n")
    assert "no file matches 'nosuch.yml'" in run_test_file(tmp_path / "none.yml").notes[0]
    assert "cannot be read" in run_test_file(tmp_path / "nosuch.yml").errors[0]


def test_groups_are_evaluated_in_the_order_that_is_asked_for(run):
    rules = """
groups:
- name: second
  rules: [{record: b, expr: a}]
- name: first
  rules: [{record: a, expr: 1}]
"""
    text = "tests: [{promql_expr_test: [{expr: b, exp_samples: [{labels: b, value: 1}]}]}]\n"
    assert not run(text, rules).ok
    assert run("group_eval_order: [first, second]\n" + text, rules).ok


def test_a_rule_sees_no_sample_of_the_future(run):
    rules = "groups: [{name: g, rules: [{record: ahead, expr: 'load offset -1m'}]}]"
    text = """
tests:
- input_series: [{series: load, values: '1 2 3'}]
  promql_expr_test: [{expr: ahead, eval_time: 2m, exp_samples: [{labels: ahead, value: 3}]}]
"""
    assert run(text, rules).ok


def test_only_the_tests_that_are_asked_for(run):
    text = "tests: [{name: alpha, promql_expr_test: [{expr: '1'}]}, {name: beta}]"
    assert [test.name for test in run(text, only="bet").tests] == ["beta"]
    assert run(text, only="^beta$").ok
    assert not run(text).ok


class TestNativeHistograms:
    SERIES = "tests:\n- input_series: [{series: h, values: '{{count:2 buckets:[2]}}x9'}]\n"

    def test_a_plain_selector_gives_them(self, run):
        text = """  promql_expr_test:
  - {expr: h, eval_time: 0, exp_samples: [{labels: h, histogram: '{{count:2 buckets:[2]}}'}]}
  - expr: (h)
    eval_time: 3m
    exp_samples: [{labels: h, histogram: '{{count:2 buckets:[2] counter_reset_hint:not_reset}}'}]
  - {expr: h offset 1h, eval_time: 3m, exp_samples: []}
"""
        assert run(self.SERIES + text).ok

    def test_a_smaller_one_after_it_is_a_reset(self, run):
        text = """
tests:
- input_series: [{series: h, values: '{{count:2 buckets:[2]}} {{count:1 buckets:[1]}}'}]
  promql_expr_test:
  - {expr: h, eval_time: 1m, exp_samples: [{labels: h, histogram: '{{count:1 buckets:[1] counter_reset_hint:reset}}'}]}
"""
        assert run(text).ok

    def test_other_buckets_after_it_are_a_reset(self, run):
        text = """
tests:
- input_series: [{series: h, values: '{{schema:-53 custom_values:[1]}} {{schema:-53 custom_values:[2]}}'}]
  promql_expr_test:
  - expr: h
    eval_time: 1m
    exp_samples: [{labels: h, histogram: '{{schema:-53 custom_values:[2] counter_reset_hint:reset}}'}]
"""
        assert run(text).ok

    def test_computing_with_them_is_refused_rather_than_wrong(self, run):
        result = run(self.SERIES + "  promql_expr_test: [{expr: 'rate(h[5m])', eval_time: 5m}]\n")
        assert "can be selected in a test, but not computed with" in result.tests[0].failures[0].reason
        rules = "groups: [{name: g, rules: [{record: a, expr: 'sum(h)'}]}]"
        result = run(self.SERIES + "  promql_expr_test: [{expr: a, eval_time: 5m}]\n", rules)
        assert "can be selected in a test, but not computed with" in result.tests[0].failures[0].reason


@given(st.text(alphabet="tes:[]{}-\n inputvalrc_x0123456789'\"promqlexgaf", max_size=120))
def test_any_text_has_a_verdict(text):
    with TemporaryDirectory() as folder:
        file = Path(folder) / "any_test.yml"
        file.write_text(text)
        result = run_test_file(file)
        assert result.ok or result.errors or any(test.failures for test in result.tests)


def test_bytes_that_are_no_text_are_an_error(tmp_path):
    (tmp_path / "x.yml").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8 text" in run_test_file(tmp_path / "x.yml").errors[0]
