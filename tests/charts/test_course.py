"""The chart in words."""

import math

import pytest

from trackside.server.charts.course import figure, words


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (-0.0, "0"),
        (0.0431, "0.0431"),
        (12.34, "12.3"),
        (999.4, "999"),
        (999.9, "1k"),
        (1_234, "1.23k"),
        (-3.4e6, "-3.4M"),
        (3.81e9, "3.81G"),
        (2e12, "2T"),
        (1e299, "1e+299"),
        (-6e-8, "-6e-08"),
    ],
)
def test_figures_are_short(value, expected):
    assert figure(value) == expected


@pytest.mark.parametrize(
    ("values", "about", "expected"),
    [
        pytest.param(
            [0.01] * 60 + [0.073],
            {"limit": 0.05},
            "between 0.01 and 0.073 in the last 60 minutes, last 0.073; limit 0.05; firing since 22:06 UTC",
            id="firing",
        ),
        pytest.param(
            [1, math.nan, 3, math.inf],
            {"fired": 2, "over": 1},
            "between 1 and 3 in the last 3 minutes, last 3; fired from 22:12 to 22:13 UTC",
            id="over, with gaps",
        ),
        pytest.param([5, 5], {}, "at 5 in the last 1 minutes, last 5; firing since 22:06 UTC", id="flat"),
        pytest.param([math.nan], {}, "no values", id="nothing"),
    ],
)
def test_words(course, values, about, expected):
    assert words(course(values, **about)) == expected
