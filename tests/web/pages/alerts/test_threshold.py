"""The one number that an expression is held against, and another one in its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.server.promql.parser import parse
from trackside.server.rules.config import AlertingRule, RecordingRule, RuleGroupConfig
from trackside.server.web.forms import ParameterError
from trackside.server.web.pages.alerts.threshold import limit_of, place_of, threshold_of, with_limit


@pytest.mark.parametrize(
    ("expr", "op", "value", "with_7"),
    [
        pytest.param("queue > 100", ">", 100.0, "queue > 7", id="a number on the right"),
        pytest.param("0.5 <= a / b", ">=", 0.5, "7 <= a / b", id="on the left, read the other way round"),
        pytest.param("(temperature < -5.5)", "<", -5.5, "(temperature < 7)", id="below zero, between parentheses"),
        pytest.param("left_s < 14 * 86400", "<", 1_209_600.0, "left_s < 7", id="a calculation of numbers"),
        pytest.param("a > (1 + 1)", ">", 2.0, "a > 7", id="one between parentheses"),
        pytest.param("used / (max > 0) > 0.9", ">", 0.9, "used / (max > 0) > 7", id="a guard is part of the measured"),
        pytest.param("a > bool 3", ">", 3.0, "a > bool 7", id="bool"),
        pytest.param("a > 3 and b > c", ">", 3.0, "a > 7 and b > c", id="beside series that are compared"),
        pytest.param("a > 3 unless on () down == 1", ">", 3.0, "a > 7 unless on () down == 1", id="beside a state"),
        pytest.param("a\n  > 3 # as agreed", ">", 3.0, "a\n  > 7 # as agreed", id="lines and comments stay"),
    ],
)
def test_one_number_can_be_changed(expr, op, value, with_7):
    found = threshold_of(expr)

    assert (found.op, found.value, found.replaced(expr, 7.0)) == (op, value, with_7)


@pytest.mark.parametrize(
    "expr",
    [
        pytest.param("a > 3 and b > 5", id="two numbers"),
        pytest.param("0 < left_s < 86400", id="a range"),
        pytest.param("up == 0", id="a state"),
        pytest.param("used > max * 0.9", id="another series"),
        pytest.param("sum(a > 3)", id="within an aggregation"),
        pytest.param("absent(up)", id="nothing"),
        pytest.param("1 > bool 2", id="numbers only"),
        pytest.param("a > Inf", id="no finite number"),
        pytest.param("sum((", id="no expression"),
        pytest.param("", id="empty"),
    ],
)
def test_where_there_is_not_just_one_none_is_offered(expr):
    assert threshold_of(expr) is None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_changed_expression_has_the_number_that_was_asked_for(value):
    expr = "sum(rate(a[5m])) > 0.05"
    changed = threshold_of(expr).replaced(expr, value)

    parse(changed)
    assert threshold_of(changed).value == value


@pytest.mark.parametrize(
    ("text", "value"), [("0.05", 0.05), (" 7 ", 7.0), ("-1e3", -1_000.0), ("", None), ("  ", None)]
)
def test_a_limit_is_read(text, value):
    assert limit_of(text) == value


@pytest.mark.parametrize("text", ["seven", "1 or vector(1)", "0.1 # x", "NaN", "inf", "1e999", "0x1p4", "5m", "1;2"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ParameterError, match="limit"):
        limit_of(text)


def test_of_rules_with_one_name_the_right_one_is_changed():
    rules = (
        RecordingRule("A", "b > 1"),
        AlertingRule("A", "a > 1"),
        AlertingRule("B", "a > 1"),
        AlertingRule("A", "a > 2"),
    )
    group = RuleGroupConfig("g", "f", rules)
    place = place_of(rules, "A", 1)

    assert [rule.expr for rule in with_limit(group, place, 9.0).rules] == ["b > 1", "a > 1", "a > 1", "a > 9"]
    assert [place_of(rules, "A", nth) for nth in (-1, 0, 1, 2)] == [None, 1, 3, None]
