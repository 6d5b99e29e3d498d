"""Numbers for people."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.server.gotemplate.humanize import (
    humanize,
    humanize_1024,
    humanize_duration,
    humanize_percentage,
    number,
)


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        (humanize, 0.0, "0"),
        (humanize, 1.0, "1"),
        (humanize, 1_234_567.0, "1.235M"),
        (humanize, -1_234.5, "-1.234k"),
        (humanize, 0.12, "120m"),
        (humanize, 0.000123, "123u"),
        (humanize, math.inf, "+Inf"),
        (humanize, math.nan, "NaN"),
        (humanize, 1e30, "1e+06Y"),
        (humanize_1024, 1.0, "1"),
        (humanize_1024, 1_048_576.0, "1Mi"),
        (humanize_1024, 0.12, "0.12"),
        (humanize_percentage, 0.1234567, "12.35%"),
        (humanize_percentage, -0.22222, "-22.22%"),
        (humanize_duration, 0.0, "0s"),
        (humanize_duration, 899.99, "14m 59s"),
        (humanize_duration, 90_000.0, "1d 1h 0m 0s"),
        (humanize_duration, -183_845.0, "-2d 3h 4m 5s"),
        (humanize_duration, 0.12345, "123.5ms"),
        (humanize_duration, 12.345, "12.35s"),
        (humanize_duration, -math.inf, "-Inf"),
    ],
)
def test_humanize(function, value, expected):
    assert function(value) == expected


@given(st.floats())
def test_any_number_has_a_text(value):
    for function in (humanize, humanize_1024, humanize_percentage, humanize_duration):
        assert function(value)


@pytest.mark.parametrize("value", ["", "x", "1_0", None, True, []])
def test_what_is_no_number(value):
    with pytest.raises(ValueError, match="number"):
        number(value)
