"""What is measured, and what it is compared with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.server.charts.measure import NOTHING, Measure, measure


@pytest.mark.parametrize(
    ("expr", "measured", "limit"),
    [
        ("sum(rate(a[5m])) / sum(rate(b[5m])) > 0.05", "sum(rate(a[5m])) / sum(rate(b[5m]))", 0.05),
        ("5 < a", "a", 5.0),
        ("(a > 1) and on (x) (b > 2)", "a", 1.0),
        ("a == bool 1", "a", 1.0),
        ("up == 0", "up", 0.0),
        ("a > 10 * 60", "a", 600.0),
        ("a < -(2 + 1) / 4", "a", -0.75),
        ("a > 1 / 0", "a", None),
        ("a > Inf", "a", None),
        ("a > 1e308 * 10", "a", None),
        ("a > 2 ^ 3", "a", None),
        ("a > b", "a", None),
        ("a > scalar(b)", "a", None),
        ("absent(up)", "absent(up)", None),
        ("a > 1 or b > 2", "a > 1 or b > 2", None),
        ("a >", "", None),
        ("", "", None),
    ],
)
def test_what_is_measured(expr, measured, limit):
    assert measure(expr) == Measure(measured, limit)


@given(st.text(alphabet="ab0159.()<>=!-+*/ \"'{}[]\n\x00é", max_size=40))
def test_any_text_is_measured_or_not(text):
    found = measure(text)
    assert found == NOTHING or found.expr
