"""Sketches of durations against sorted lists."""

from math import ceil, inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.exceptions import ParseError
from trackside.jobs.sketch import LONGEST_S, RELATIVE_ERROR, SHORTEST_S, Sketch

durations = st.lists(st.floats(0, 2 * LONGEST_S), min_size=1, max_size=60)
within_reach = st.lists(st.floats(SHORTEST_S * 1.0001, LONGEST_S), min_size=1, max_size=60)


def brute_quantile(values, share):
    return sorted(values)[max(1, ceil(share * len(values))) - 1]


@given(within_reach, st.floats(0, 1))
def test_a_quantile_is_off_by_no_more_than_is_documented(values, share):
    true = brute_quantile(values, share)

    assert abs(Sketch.of(values).quantile(share) - true) <= true * RELATIVE_ERROR * (1 + 1e-9)


def test_the_documented_error_is_nine_per_cent():
    assert 0.09 < RELATIVE_ERROR < 0.091


@given(durations, durations)
def test_merged_sketches_equal_the_sketch_of_all(some, others):
    merged = Sketch.of(some)
    merged.merge(Sketch.of(others))
    whole = Sketch.of(some + others)

    assert merged.count == whole.count == len(some) + len(others)
    assert merged.total_s == pytest.approx(whole.total_s)
    assert [merged.quantile(share / 10) for share in range(11)] == [whole.quantile(share / 10) for share in range(11)]


@given(durations)
def test_bytes_and_back(values):
    sketch = Sketch.of(values)

    assert Sketch.from_bytes(sketch.to_bytes()) == sketch


@given(durations, durations)
def test_what_was_added_can_be_taken_away_again(kept, withdrawn):
    sketch = Sketch.of(kept + withdrawn)
    for value in withdrawn:
        sketch.add(value, -1)

    assert Sketch(sketch._counts) == Sketch(Sketch.of(kept)._counts)


@given(durations, st.integers(-9, 18))
def test_counts_within_a_power_of_two_are_exact(values, doublings):
    assert Sketch.of(values).count_within(doublings) == sum(value <= 2.0**doublings for value in values)


@given(st.binary(max_size=60))
def test_odd_bytes_are_refused_or_read(data):
    try:
        sketch = Sketch.from_bytes(data)
    except ParseError:
        return
    assert Sketch.from_bytes(sketch.to_bytes())._counts == sketch._counts


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(lambda data: data[:-1], id="cut off"),
        pytest.param(lambda data: data[:5], id="no sum"),
        pytest.param(lambda data: b"\x07" + data[1:], id="another version"),
        pytest.param(lambda data: data + b"\x7f\x01\0\0\0", id="bucket beyond the last"),
        pytest.param(lambda data: data + b"\x80\x01\0\0\0", id="bucket before the first"),
        pytest.param(lambda data: data + data[-5:], id="bucket twice"),
        pytest.param(lambda data: data + b"\x01\0\0\0\0", id="count of nothing"),
        pytest.param(lambda data: data[:9], id="no buckets"),
        pytest.param(lambda data: data[:1] + b"\xff" * 8 + data[9:], id="a sum that is no number"),
    ],
)
def test_damaged_bytes_are_refused(damaged):
    with pytest.raises(ParseError):
        Sketch.from_bytes(damaged(Sketch.of([0.01, 0.02]).to_bytes()))


@pytest.mark.parametrize("value", [nan, inf, -inf, -0.001], ids=str)
def test_what_is_no_duration_is_ignored(value):
    assert Sketch.of([value]).count == 0


def test_nothing_has_no_quantile_and_no_bytes():
    assert Sketch().quantile(0.5) is None
    assert Sketch().mean_s is None
    assert Sketch().to_bytes() == b""
    assert Sketch.from_bytes(b"") == Sketch()


def test_a_day_of_steady_work_stays_small():
    assert len(Sketch.of([0.2 + i / 86_400 for i in range(86_400)]).to_bytes()) < 80
