"""Unit-test files of others, validated with promtool: the same verdict, and the same for files of rules."""

from pathlib import Path

import pytest

from trackside.exceptions import ConfigError
from trackside.server.rules.config import parse_rule_file
from trackside.server.rules.unit_tests.runner import run_test_file
from trackside.server.yamlfile import parse_yaml

DATA = Path(__file__).parents[3].parent / "shared" / "conformance" / "alerting"
# Written for Prometheus 2, whose ranges included both their edges; since Prometheus 3 the same tests fail there too.
OLDER = {"upstream/rules/unittest-2.42.yml": 3}


def _cases(kind: str) -> list[dict]:
    found = []
    for file in (DATA / "own/rules.yaml", DATA / "upstream/rules.yaml"):
        cases = parse_yaml(file.read_text(), str(file)).tree["cases"] if file.exists() else []
        found += [test for case in cases if case["kind"] == kind for test in case["tests"]]
    return found


@pytest.mark.parametrize("case", _cases("promtest"), ids=lambda case: case["file"])
def test_a_file_of_unit_tests_has_the_verdict_it_has_elsewhere(case):
    result = run_test_file(DATA / case["file"])
    if case["file"] in OLDER:
        assert sum(bool(test.failures) for test in result.tests) == OLDER[case["file"]]
        return
    assert result.ok == (case.get("exit", 0) == 0), result
    if "checks" in case:
        assert sum(test.checks for test in result.tests) == case["checks"]


@pytest.mark.parametrize("case", _cases("checkrules"), ids=lambda case: case["name"])
def test_a_file_of_rules_is_good_or_bad_as_it_is_elsewhere(case):
    if case["valid"]:
        parse_rule_file(case["rules"], "rules.yml")
    else:
        with pytest.raises(ConfigError, match=r"^rules\.yml"):
            parse_rule_file(case["rules"], "rules.yml")
