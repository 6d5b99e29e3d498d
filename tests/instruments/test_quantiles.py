import pytest

from trackside.instruments import window
from trackside.instruments.registry import Registry


def shown(quantiles):
    return {key: raw[0] for key, raw in quantiles.rows()}


def test_quantiles_are_values_that_were_observed():
    quantiles = Registry().quantiles("q", quantiles=(0, 0.5, 0.95, 1))
    for number in range(1, 101):
        quantiles.observe(number)
    assert shown(quantiles) == {("0",): 1, ("0.5",): 50, ("0.95",): 95, ("1",): 100}


def test_nothing_observed_is_no_series():
    registry = Registry()
    quantiles = registry.quantiles("q", labels=("kind",))
    quantiles.labels("a")
    assert shown(quantiles) == {}
    quantiles.labels("b").observe(-2)
    assert shown(quantiles) == {("b", "0.5"): -2, ("b", "0.95"): -2, ("b", "0.99"): -2}


def test_memory_is_bounded_to_the_latest():
    quantiles = Registry().quantiles("q", quantiles=(0, 1))
    for number in range(3 * window.SIZE):
        quantiles.observe(number)
    assert shown(quantiles) == {("0",): 2 * window.SIZE, ("1",): 3 * window.SIZE - 1}


def test_what_is_older_than_the_window_is_forgotten():
    cell = [0.0] * window.WIDTH
    for number in range(10):
        window.observe(cell, number, 100.0 + number)
    assert window.observed([cell], 107.0) == [7, 8, 9]


def test_a_block_can_be_timed():
    quantiles = Registry().quantiles("q", quantiles=(1,))
    with quantiles.time():
        pass
    assert 0 <= shown(quantiles)["1",] < 1


@pytest.mark.parametrize("value", [float("nan"), "x", None])
def test_what_is_no_number_is_counted_as_an_error(value):
    registry = Registry()
    registry.quantiles("q").observe(value)
    assert registry.collect()[-1].samples[0].value == 1


@pytest.mark.parametrize(
    "options",
    [{"quantiles": ()}, {"quantiles": (95,)}, {"quantiles": ("0.5",)}, {"window_s": 0}, {"labels": ("quantile",)}],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError):
        Registry().quantiles("q", **options)
