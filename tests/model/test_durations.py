"""Durations as Prometheus writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.model.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("500ms", 500),
        ("15s", 15_000),
        ("1h30m", 5_400_000),
        ("1d", 86_400_000),
        ("2w", 1_209_600_000),
        ("1y", 31_536_000_000),
        ("1y2w3d4h5m6s7ms", 31_536_000_000 + 14 * 86_400_000 + 3 * 86_400_000 + 14_706_007),
    ],
)
def test_a_duration_is_read(text, milliseconds):
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "5m30", "1m1h", "5M", "1.5h", "1h 30m", "٣m5x"])
def test_what_is_no_duration_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="such as 30s, 5m or 1h30m"):
        parse_duration(text)


@given(st.integers(0, 10**13))
def test_what_is_written_can_be_read_back(milliseconds):
    assert parse_duration(format_duration(milliseconds)) == milliseconds


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0s"), (90_000, "1m30s"), (7 * 86_400_000, "1w"), (10 * 86_400_000, "10d"), (-5_000, "-5s")],
)
def test_the_shortest_text_is_written(milliseconds, text):
    assert format_duration(milliseconds) == text
