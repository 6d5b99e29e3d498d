import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.utils import floatToGoString

from trackside.instruments.measured import bound_text
from trackside.instruments.registry import Registry
from trackside.wire.numbers import canonical_bound

FINITE = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)


@given(
    bounds=st.lists(FINITE, min_size=1, max_size=12, unique=True).map(sorted),
    values=st.lists(FINITE, max_size=40),
)
def test_each_bucket_holds_what_is_at_most_its_bound(bounds, values):
    registry = Registry()
    histogram = registry.histogram("h", buckets=bounds)
    for value in values + bounds:
        histogram.observe(value)
    observed = values + bounds
    samples = registry.collect()[0].samples
    buckets = [s for s in samples if s.name == "h_bucket"]
    assert [s.value for s in buckets] == [sum(v <= bound for v in observed) for bound in [*bounds, math.inf]]
    assert samples[-2].value == len(observed)
    assert samples[-1].value == pytest.approx(sum(observed), rel=1e-9, abs=1e-3)


def test_the_samples_of_a_histogram():
    registry = Registry()
    registry.histogram("h", labels=("a",), buckets=(0.5, 1)).labels("x").observe(0.7)
    assert [str(s.labels) for s in registry.collect()[0].samples] == [
        '{a="x", le="0.5"}',
        '{a="x", le="1.0"}',
        '{a="x", le="+Inf"}',
        '{a="x"}',
        '{a="x"}',
    ]
    assert [s.value for s in registry.collect()[0].samples] == [0, 1, 1, 1, 0.7]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(math.nan, id="not a number"),
        pytest.param(math.inf, id="infinite"),
        pytest.param("1", id="text"),
        pytest.param(None, id="nothing"),
    ],
)
def test_a_value_that_is_none_is_counted_as_an_error_and_changes_nothing(value):
    registry = Registry()
    histogram = registry.histogram("h", buckets=(1,))
    histogram.observe(value)
    assert histogram.rows() == [((), (0.0, 0, 0))]
    assert registry.collect()[-1].samples[0].value == 1


@pytest.mark.parametrize(
    ("buckets", "says"),
    [
        pytest.param((), "at least one bucket", id="none"),
        pytest.param((math.inf,), "at least one bucket", id="only infinity"),
        pytest.param((2, 1), "must rise", id="falling"),
        pytest.param((1, 1), "must rise", id="twice the same"),
        pytest.param((math.nan,), "must rise", id="not a number"),
        pytest.param((1, "x"), "buckets are numbers", id="text"),
        pytest.param(3, "buckets are numbers", id="a single number"),
    ],
)
def test_bad_buckets_are_refused(buckets, says):
    with pytest.raises(ValueError, match=says):
        Registry().histogram("h", buckets=buckets)


def test_infinity_may_be_given_or_left_out():
    registry = Registry()
    assert registry.histogram("h", buckets=(1, math.inf)) is registry.histogram("h", buckets=(1,))


def test_a_block_is_timed_also_when_it_raises():
    histogram = Registry().histogram("h")
    with histogram.time():
        pass
    with pytest.raises(KeyError), histogram.time():
        raise KeyError
    assert sum(histogram.rows()[0][1][1:]) == 2


def test_a_decorated_function_is_timed_at_each_call_also_inside_itself():
    histogram = Registry().histogram("h", labels=("a",))

    @histogram.labels("x").time()
    def factorial(n):
        """Of n."""
        return 1 if n == 0 else n * factorial(n - 1)

    assert factorial(3) == 6
    assert factorial.__doc__ == "Of n."
    assert sum(histogram.rows()[0][1][1:]) == 4


def test_a_coroutine_is_timed_until_it_is_done():
    histogram = Registry().histogram("h")

    @histogram.time()
    async def work():
        await asyncio.sleep(0)
        assert sum(histogram.rows()[0][1][1:]) == 0
        return "done"

    assert asyncio.iscoroutinefunction(work)
    assert asyncio.run(work()) == "done"
    assert sum(histogram.rows()[0][1][1:]) == 1


@pytest.mark.parametrize(
    "bound",
    [
        0,
        0.005,
        1,
        2.5,
        1e-5,
        99_999.5,
        123_456,
        999_999,
        1e6,
        1_048_576,
        1_234_567.5,
        2**29,
        1e15,
        1e16,
        1.5e22,
        5e-324,
    ],
)
def test_a_bound_is_written_as_prometheus_client_and_go_write_it(bound):
    assert bound_text(bound) == floatToGoString(bound) == canonical_bound(repr(float(bound)))
    assert float(bound_text(bound)) == bound
    assert bound_text(-bound).lstrip("-") == bound_text(bound)
