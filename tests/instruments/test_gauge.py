import asyncio
import os
from decimal import Decimal
from fractions import Fraction
from time import time

import numpy
import pytest

from trackside.instruments.registry import Registry


def test_a_gauge_goes_up_and_down():
    gauge = Registry().gauge("g")
    gauge.set(5)
    gauge.inc()
    gauge.inc(2)
    gauge.dec()
    gauge.dec(3.5)
    assert gauge.rows() == [((), (3.5,))]


@pytest.mark.parametrize("method", ["set", "inc", "dec"])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param("x", id="text"),
        pytest.param("5", id="digits"),
        pytest.param(b"5", id="bytes"),
        pytest.param(None, id="nothing"),
    ],
)
def test_what_is_no_number_is_counted_as_an_error_and_changes_nothing(method, value):
    registry = Registry()
    gauge = registry.gauge("g")
    gauge.set(1)
    getattr(gauge, method)(value)
    assert gauge.rows() == [((), (1.0,))]
    assert registry.collect()[-1].samples[0].value == 1


def test_a_function_is_asked_at_each_scrape():
    gauge = Registry().gauge("g", labels=("queue",))
    waiting = [1, 2]
    gauge.labels("a").set_function(lambda: len(waiting))
    assert gauge.rows() == [(("a",), (2.0,))]
    waiting.clear()
    assert gauge.rows() == [(("a",), (0.0,))]


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(lambda: 1 / 0, id="raises"),
        pytest.param(lambda: "text", id="gives no number"),
        pytest.param(lambda: "5", id="gives digits"),
    ],
)
def test_a_series_whose_function_fails_is_left_out_and_the_others_are_shown(function):
    registry = Registry()
    gauge = registry.gauge("g", labels=("queue",))
    gauge.labels("bad").set_function(function)
    gauge.labels("good").set(3)
    assert gauge.rows() == [(("good",), (3.0,))]
    errors = registry.collect()[-1].samples
    assert [s.labels.get("where") for s in errors] == ["set_function"]


def test_what_is_in_progress_is_counted_as_long_as_it_runs():
    gauge = Registry().gauge("g")
    seen = []

    @gauge.track_inprogress()
    def work():
        seen.append(gauge.rows()[0][1][0])
        raise RuntimeError

    for _ in range(2):
        with pytest.raises(RuntimeError):
            work()
    with gauge.track_inprogress():
        seen.append(gauge.rows()[0][1][0])
    assert seen == [1, 1, 1]
    assert gauge.rows() == [((), (0.0,))]


def test_the_time_of_an_event():
    gauge = Registry().gauge("g")
    before = time()
    gauge.set_to_current_time()
    assert before <= gauge.rows()[0][1][0] <= time()


def test_negative_zero_is_zero():
    gauge = Registry().gauge("g")
    gauge.set(-0.0)
    assert str(gauge.rows()[0][1][0]) == "0.0"


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("connections", "sum"),
        ("last_run_timestamp_seconds", "last"),
        ("cache_hit_ratio", "last"),
        ("requests_in_progress", "sum"),
    ],
)
def test_a_gauge_is_added_up_unless_its_name_says_that_this_makes_no_sense(name, mode):
    assert Registry().gauge(name).mode == mode


def test_a_mode_is_asked_for_once():
    registry = Registry()
    gauge = registry.gauge("g", mode="max")
    assert registry.gauge("g") is gauge
    with pytest.raises(ValueError, match="mode max; wanted min"):
        registry.gauge("g", mode="min")
    with pytest.raises(ValueError, match="one of sum, max, min, last, live"):
        registry.gauge("other", mode="mean")


def test_alone_a_live_gauge_is_that_of_this_process():
    gauge = Registry().gauge("g", labels=("x",), mode="live")
    gauge.labels("never set")
    gauge.labels("a").set(2)
    assert gauge.rows() == [(("a", str(os.getpid())), (2.0,))]


def test_a_decorated_coroutine_is_in_progress_while_it_runs():
    gauge = Registry().gauge("busy")

    @gauge.track_inprogress()
    async def work():
        return gauge.rows()

    assert asyncio.run(work()) == [((), (1.0,))]
    assert gauge.rows() == [((), (0.0,))]


@pytest.mark.parametrize("amount", [Decimal("9.90"), Fraction(1, 4), numpy.float32(0.5), numpy.int64(3), True])
def test_numbers_of_any_type_can_be_added_to_each_other(amount):
    registry = Registry()
    gauge, counter, histogram = registry.gauge("g"), registry.counter("c"), registry.histogram("h", buckets=(100,))
    for number in (0.5, amount, 0.25, amount):
        gauge.inc(number)
        counter.inc(number)
        histogram.observe(number)

    expected = 0.75 + 2 * float(amount)
    assert gauge.rows() == counter.rows() == [((), (expected,))]
    assert histogram.rows() == [((), (expected, 4, 0))]
    assert {type(number) for instrument in (gauge, counter) for _, raw in instrument.rows() for number in raw} == {
        float
    }
