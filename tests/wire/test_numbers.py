"""Numbers in expositions."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.wire.numbers import canonical_bound, format_value, parse_value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(12.0, "12", id="whole numbers have no point"),
        pytest.param(-3.0, "-3", id="negative"),
        pytest.param(0.0, "0", id="zero"),
        pytest.param(-0.0, "-0", id="negative zero keeps its sign"),
        pytest.param(0.25, "0.25", id="fraction"),
        pytest.param(1e300, "1e+300", id="large"),
        pytest.param(math.inf, "+Inf", id="infinity"),
        pytest.param(-math.inf, "-Inf", id="negative infinity"),
        pytest.param(math.nan, "NaN", id="no number"),
    ],
)
def test_a_value_is_written_as_other_exporters_write_it(value, text):
    assert format_value(value) == text


@given(st.floats())
def test_a_value_reads_back_as_the_same_number(value):
    assert parse_value(format_value(value)).hex() == value.hex() or math.isnan(value)


@pytest.mark.parametrize("text", ["", " 1", "1 ", "1_000", "1,5", "0x10", "one", "١", "1\r", "--1", "1e"])
def test_what_only_looks_like_a_number_is_refused(text):
    with pytest.raises(ValueError, match="expected a number"):
        parse_value(text)


@pytest.mark.parametrize("text", ["inf", "+Inf", "Infinity", "nan", "NaN", "1e9", "1E-3", ".5", "5.", "-1"])
def test_all_spellings_of_a_number_are_read(text):
    parse_value(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "1.0"),
        ("1.0", "1.0"),
        ("0", "0.0"),
        ("-0", "0.0"),
        ("0.005", "0.005"),
        ("100000", "100000.0"),
        ("1000000", "1e+06"),
        ("1234567", "1.234567e+06"),
        ("0.0001", "0.0001"),
        ("0.00001", "1e-05"),
        ("1e22", "1e+22"),
        ("-2e7", "-2e+07"),
        ("+inf", "+Inf"),
        ("nan", "NaN"),
        ("many", "many"),
    ],
)
def test_bounds_have_one_spelling(text, expected):
    assert canonical_bound(text) == expected


@given(st.floats(allow_nan=False))
def test_the_spelling_of_a_bound_keeps_its_number_and_is_stable(value):
    text = canonical_bound(repr(value))
    assert float(text) == value
    assert canonical_bound(text) == text
