import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackside.instruments import native
from trackside.instruments.registry import Registry

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64)
SUMMABLE = st.floats(-1e150, 1e150)


def only(histogram):
    [(_, total, buckets)] = histogram.native_rows()
    return total, buckets


def count(buckets):
    return buckets.zero_count + sum(n for _, n in (*buckets.positive, *buckets.negative))


@pytest.mark.parametrize("schema", range(native.MIN_SCHEMA, native.MAX_SCHEMA + 1))
def test_the_bucket_of_a_power_of_two_ends_there(schema):
    for exponent in range(-40, 41):
        value = 2.0**exponent
        index = native.index_of(value, schema)
        assert native.bucket_end(index, schema) >= value > native.bucket_end(index - 1, schema)
        assert native.index_of(math.nextafter(value, math.inf), schema) == native.index_of(value, schema) + (
            1 if native.bucket_end(index, schema) == value else 0
        )


@given(st.floats(min_value=1e-300, max_value=1e300), st.integers(native.MIN_SCHEMA, native.MAX_SCHEMA))
def test_a_value_lies_in_its_bucket(value, schema):
    index = native.index_of(value, schema)
    # The bounds themselves are rounded when they are computed from the definition.
    assert native.bucket_end(index - 1, schema) * (1 - 1e-12) <= value <= native.bucket_end(index, schema) * (1 + 1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=60))
def test_nothing_is_lost_and_buckets_are_bounded(numbers):
    histogram = Registry().native_histogram("n", schema=8)
    for number in numbers:
        histogram.observe(number)
    _, buckets = only(histogram)
    assert count(buckets) == len(numbers)
    for sign, side in ((1, buckets.positive), (-1, buckets.negative)):
        expected = {}
        for number in numbers:
            if number * sign > native.ZERO_THRESHOLD:
                index = native.index_of(abs(number), buckets.schema)
                expected[index] = expected.get(index, 0) + 1
        # Halving the resolution is exact: as if it had been as coarse from the start.
        assert dict(side) == expected
        assert not side or side[-1][0] - side[0][0] < native.MAX_BUCKETS


@settings(max_examples=60, deadline=None)
@given(st.lists(NUMBERS, max_size=30), st.lists(NUMBERS, max_size=30))
def test_what_is_added_is_as_if_it_had_been_observed(one, other):
    registry = Registry()
    cells = []
    for numbers in (one, other, [*one, *other]):
        histogram = registry.native_histogram(f"n{len(cells)}", schema=5)
        for number in numbers:
            histogram.observe(number)
        cells.append(list(histogram.labels().raw()))
    native.add(cells[0], cells[1], 2)
    added, observed = native.snapshot(cells[0], 2), native.snapshot(cells[2], 2)
    assert count(added) == count(observed)
    # It may have become coarser on the way, never finer.
    steps = observed.schema - added.schema
    assert steps >= 0
    expected = {}
    for index, n in observed.positive:
        coarse = -((-index) >> steps)
        expected[coarse] = expected.get(coarse, 0) + n
    assert dict(added.positive) == expected


def test_the_resolution_is_kept_as_long_as_the_range_allows():
    histogram = Registry().native_histogram("n", schema=3)
    for number in range(1, 1000):
        histogram.observe(number / 1000)
    total, buckets = only(histogram)
    assert buckets.schema == 3
    assert total == pytest.approx(499.5)
    histogram.observe(1e9)
    assert only(histogram)[1].schema == 2


def test_zero_and_what_is_next_to_it():
    histogram = Registry().native_histogram("n")
    for number in (0, -0.0, 1e-300, -1e-300):
        histogram.observe(number)
    assert only(histogram)[1].zero_count == 4


def test_in_a_text_it_has_its_given_buckets_or_none():
    registry = Registry()
    registry.native_histogram("bare").observe(3)
    registry.native_histogram("given", buckets=(1, 5)).observe(3)
    lines = [(s.name, s.labels.get("le"), s.value) for f in registry.collect() for s in f.samples]
    assert lines == [
        ("bare_bucket", "+Inf", 1),
        ("bare_count", "", 1),
        ("bare_sum", "", 3),
        ("given_bucket", "1.0", 0),
        ("given_bucket", "5.0", 1),
        ("given_bucket", "+Inf", 1),
        ("given_count", "", 1),
        ("given_sum", "", 3),
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "x", None])
def test_what_is_no_number_is_counted_as_an_error_and_changes_nothing(value):
    registry = Registry()
    histogram = registry.native_histogram("n")
    histogram.observe(value)
    assert count(only(histogram)[1]) == 0
    assert registry.collect()[-1].samples[0].value == 1


@pytest.mark.parametrize("schema", [9, -5, 1.5, True, "3"])
def test_a_resolution_that_there_is_not_is_refused(schema):
    with pytest.raises(ValueError, match="schema"):
        Registry().native_histogram("n", schema=schema)


def test_the_same_name_cannot_be_an_ordinary_one():
    registry = Registry()
    registry.native_histogram("n", buckets=(1,))
    with pytest.raises(ValueError, match="taken"):
        registry.histogram("n", buckets=(1,))


def test_a_number_of_another_type_is_counted_whole():
    native_histogram = Registry().native_histogram("n", buckets=(1, 2))
    for value in (0.5, Decimal("1.5"), True):
        native_histogram.observe(value)
    native_histogram.observe("1")
    native_histogram.observe(10**400)
    assert native_histogram.rows() == [((), (3.0, 2, 1, 0))]
    [(_, total, buckets)] = native_histogram.native_rows()
    assert (total, sum(count for _, count in buckets.positive)) == (3.0, 3)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(SUMMABLE, max_size=40), st.lists(SUMMABLE, max_size=40), st.integers(native.MIN_SCHEMA, native.MAX_SCHEMA)
)
def test_what_came_since_added_to_what_was_there_before_is_what_there_is(before, since, schema):
    registry = Registry()
    one, other = (registry.native_histogram(name, schema=schema) for name in ("one", "other"))
    for number in before:
        one.observe(number)
        other.observe(number)
    [(_, was)] = one.cells()
    for number in since:
        one.observe(number)
    [(_, now)] = one.cells()
    other.labels().add(native.difference(now, was, one.base))
    (total, buckets), (added, rebuilt) = only(one), only(other)
    assert added == pytest.approx(total, rel=1e-9, abs=1e140)
    assert rebuilt == buckets
    assert [raw[1:] for _, raw in other.rows()] == [raw[1:] for _, raw in one.rows()]
