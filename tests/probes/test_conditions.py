"""Conditions as Gatus understands them. Its own cases are read from beside the project."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trackside.server.probes.conditions import Condition, Finding


def _shared():
    for folder in Path(__file__).resolve().parents:
        if (found := folder.parent / "shared/conformance/alerting").is_dir():
            return found
    return Path("/nowhere")


CASES = _shared() / "upstream/gatus_conditions.unit.yml"
GIVEN = yaml.safe_load(CASES.read_text()) if CASES.exists() else {"syntax": [], "evaluate": []}


@pytest.mark.parametrize("case", GIVEN["syntax"], ids=lambda case: case["condition"])
def test_gatus_syntax(case):
    if case["valid"]:
        assert Condition.parsed(case["condition"]).text == case["condition"]
    else:
        with pytest.raises(ValueError, match="not a condition"):
            Condition.parsed(case["condition"])


@pytest.mark.parametrize("case", GIVEN["evaluate"], ids=lambda case: case["name"])
def test_gatus_evaluation(case):
    condition, finding = Condition.parsed(case["condition"]), Finding(**case["result"])

    assert condition.holds(finding) is case["success"]
    # Its caller may ask it not to write what was found, or to write it for those that hold; ours always does one thing.
    said = condition.shown(finding)
    if not case["success"] and case["shown"] != case["condition"]:
        assert said == case["shown"]
    if case["success"]:
        assert said == case["condition"]


OWN = [
    pytest.param("[STATUS] == any(200, pat(3*))", Finding(status=301), True, id="a pattern among several"),
    pytest.param("[BODY].a == 010", Finding(body='{"a": 10}'), True, id="a number with a leading zero"),
    pytest.param("[BODY].n == 1.5", Finding(body='{"n": 1.5}'), True, id="a fraction"),
    pytest.param("[BODY].ok == true", Finding(body='{"ok": true}'), True, id="a truth"),
    pytest.param("[BODY] != pat(*error*)", Finding(body="all is well\nerror 5"), False, id="over several lines"),
    pytest.param("[BODY] == pat([ab]*)", Finding(body="abc"), False, id="brackets mean themselves"),
]


@pytest.mark.parametrize(("text", "finding", "holds"), OWN)
def test_a_condition(text, finding, holds):
    assert Condition.parsed(text).holds(finding) is holds


@given(st.text(max_size=60), st.text(max_size=200), st.integers(0, 999))
def test_whatever_is_written_and_answered_nothing_breaks(text, body, status):
    for condition in (text, f"[BODY].a == {text}", f"len([BODY]{text}) > 3", f"[BODY] == pat({text})"):
        try:
            parsed = Condition.parsed(condition)
        except ValueError:
            continue
        parsed.shown(Finding(status=status, body=body))
        assert parsed.holds(Finding(status=status, body=body)) in (True, False)
