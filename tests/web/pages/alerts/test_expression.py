"""Expressions taken apart at what they compare."""

import pytest

from trackside.server.web.pages.alerts.expression import Compared, compared, unit_of


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        pytest.param("up == 0", Compared("up", "==", "0", 0.0), id="a number"),
        pytest.param("0.5 < a / b", Compared("a / b", ">", "0.5", 0.5), id="the other way round"),
        pytest.param("(a > -1)", Compared("a", ">", "-1", -1.0), id="between parentheses, below zero"),
        pytest.param(
            "sum(a) / sum(b) > 0.05 and sum(b) > 1", Compared("sum(a) / sum(b)", ">", "0.05", 0.05), id="the first"
        ),
        pytest.param("up unless (x > 3)", Compared("x", ">", "3", 3.0), id="the only one, on the right"),
        pytest.param("used > max * 0.9", Compared("used", ">", "max * 0.9"), id="another series"),
        pytest.param("absent(up)", Compared("absent(up)"), id="none"),
        pytest.param("sum(a > 3)", Compared("sum(a > 3)"), id="one inside an aggregation is part of what is measured"),
        pytest.param("sum((", Compared("sum(("), id="no expression"),
    ],
)
def test_an_expression_measures_something_and_has_a_limit(expr, expected):
    assert compared(expr) == expected


@pytest.mark.parametrize(
    ("expr", "unit"),
    [
        ("sum(a) / sum(b) > 0.05", "share"),
        ("a / b > 4", "amount"),
        ("histogram_quantile(0.9, rate(x_seconds_bucket[5m])) > 2", "seconds"),
        ("queue > 100", "amount"),
    ],
)
def test_what_is_measured_has_a_unit(expr, unit):
    assert unit_of(compared(expr)) == unit
