"""Numbers as text."""

from __future__ import annotations

import pytest

from trackside.server.promql.numbers import bucket_bound, number_text, value_text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, "0.5"),
        (2.0, "2"),
        (-3.0, "-3"),
        (0.0, "0"),
        (1e21, "1e+21"),
        (1.5e-7, "1.5e-07"),
        (100000.0, "100000"),
        (1234567.0, "1.234567e+06"),
        (-1e6, "-1e+06"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Inf"),
    ],
)
def test_number_text(value, expected):
    assert number_text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(6.0, "6"), (2.5, "2.5"), (1e22, "1" + "0" * 22), (1e-7, "0.0000001"), (float("inf"), "+Inf"), (100.0, "100")],
)
def test_counted_values_are_written_without_an_exponent(value, expected):
    assert value_text(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.5", 0.5), (".5", 0.5), ("1e3", 1000), ("+Inf", float("inf")), ("", None), ("fast", None), ("1_0", None)],
)
def test_bucket_bound(text, expected):
    assert bucket_bound(text) == expected
