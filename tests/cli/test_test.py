"""`trackside test`: what it prints and with which code it ends."""

import json

import pytest
from click.testing import CliRunner

from trackside.cli.test import test as command

GOOD = "tests: [{name: sums, promql_expr_test: [{expr: 1 + 1, exp_samples: [{value: 2}]}]}]\n"
BAD = "tests:\n- name: sums\n  promql_expr_test: [{expr: 1 + 1, exp_samples: [{value: 3}]}]\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yml").write_text(GOOD)
    (tmp_path / "bad.yml").write_text(BAD)
    return lambda *arguments: CliRunner().invoke(command, list(arguments))


def test_all_is_well(run):
    result = run("good.yml")
    assert (result.exit_code, result.output) == (0, "good.yml: 1 test, 1 check: ok\n")


def test_promtools_word_before_the_files_is_understood(run):
    assert run("rules", "good.yml").exit_code == 0


def test_a_failure_is_shown_and_ends_with_1(run):
    result = run("good.yml", "bad.yml")
    assert result.exit_code == 1
    assert (
        result.output
        == """good.yml: 1 test, 1 check: ok
bad.yml: FAILED
  test 'sums' (line 2)
    line 3: 1 + 1 at 0s
      expected:
        {} 3
      found:
        {} 2
  1 of 1 test failed
"""
    )


def test_what_held_in_prometheus_2_is_said_to_have_held(run, tmp_path):
    (tmp_path / "old.yml").write_text(
        "tests:\n- interval: 1m\n  input_series: [{series: a, values: 1x9}]\n"
        "  promql_expr_test: [{expr: 'count_over_time(a[1m])', eval_time: 5m, exp_samples: [{value: 2}]}]\n"
    )
    assert (
        "      found:\n        {} 1\n"
        "      Prometheus 2 counted the sample at the window's beginning; since 3.0 it does not\n"
    ) in run("old.yml").output


def test_an_error_is_shown_with_its_place(run, tmp_path):
    (tmp_path / "wrong.yml").write_text("tests:\n- promql_expr_test: [{expr: 'sum('}]\n")
    result = run("wrong.yml")
    assert result.exit_code == 1
    assert "      1:5: unexpected end of input" in result.output
    assert "      sum(\n          ^" in result.output


def test_as_json(run):
    result = run("bad.yml", "--json")
    (found,) = [json.loads(line) for line in result.output.splitlines()]
    assert (found["ok"], found["tests"][0]["failures"][0]["found"]) == (False, ["{} 2"])


@pytest.mark.parametrize("arguments", [["nosuch.yml"], ["rules", "nosuch.yml"]])
def test_a_file_that_is_not_there_ends_with_2(run, arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "no such file: nosuch.yml" in result.output


def test_a_bad_filter_is_an_error(run):
    assert "no regular expression" in str(run("good.yml", "--run", "(").exception)
