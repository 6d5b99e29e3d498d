from decimal import Decimal

import pytest

from trackside.instruments.registry import Registry


def test_a_counter_adds_up():
    counter = Registry().counter("c")
    counter.inc()
    counter.inc(2.5)
    counter.inc(0)
    assert counter.rows() == [((), (3.5,))]


@pytest.mark.parametrize(
    "amount",
    [
        pytest.param(-1, id="negative"),
        pytest.param(float("nan"), id="not a number"),
        pytest.param(float("inf"), id="infinite"),
        pytest.param("1", id="text"),
        pytest.param(None, id="nothing"),
        pytest.param(1j, id="complex"),
        pytest.param(10**400, id="too big"),
        pytest.param(Decimal("1e400"), id="too big for a float"),
        pytest.param(Decimal("NaN"), id="a decimal that is none"),
        pytest.param(b"1", id="bytes"),
    ],
)
def test_an_amount_that_is_none_is_counted_as_an_error_and_changes_nothing(amount):
    registry = Registry()
    counter = registry.counter("c")
    counter.inc()
    counter.inc(amount)
    assert counter.rows() == [((), (1.0,))]
    assert registry.collect()[-1].samples[0].value == 1


@pytest.mark.parametrize("amount", [10**400, Decimal("1e400"), "1"])
def test_the_first_amount_is_checked_as_all_others(amount):
    counter = Registry().counter("c")
    counter.inc(amount)
    assert counter.rows() == [((), (0,))]


def test_whole_numbers_stay_whole():
    counter = Registry().counter("c")
    counter.inc(2**53 + 1)
    assert counter.rows() == [((), (2**53 + 1,))]
