"""The application's log is told once of each kind of trouble."""

import logging

import pytest

from trackside.instruments.complaints import Complaints
from trackside.instruments.registry import Registry


class Unprintable:
    def __str__(self):
        raise RuntimeError("no text")


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "trackside"]


@pytest.mark.parametrize(
    ("values", "named", "reason"),
    [
        pytest.param((), {}, "none was given", id="none"),
        pytest.param(("a",), {}, "fewer values were given", id="too few"),
        pytest.param(("a", "b", "c"), {}, "more values were given", id="too many"),
        pytest.param((), {"x": "a", "z": "b"}, "other names were given", id="a wrong name"),
        pytest.param(("a",), {"y": "b"}, "both positions and names were given", id="both ways at once"),
        pytest.param(("a", Unprintable()), {}, "a value has no text", id="a value without text"),
        pytest.param((), {"x": "a", "y": Unprintable()}, "a value has no text", id="a named value without text"),
    ],
)
def test_wrong_labels_are_logged_once_for_each_metric_and_reason(caplog, values, named, reason):
    registry = Registry()
    orders, sales = (registry.counter(name, labels=("x", "y")) for name in ("orders", "sales"))
    for counter in (orders, orders, sales):
        counter.labels(*values, **named).inc()
    assert [(record.levelno, record.name) for record in caplog.records] == [(logging.WARNING, "trackside")] * 2
    for name, line in zip(("orders_total", "sales_total"), warnings(caplog), strict=True):
        assert line.startswith(f"{name} has the labels (x, y), but {reason}: ")
    assert registry.collect()[-1].samples[0].value == 3


def test_each_reason_is_told(caplog):
    counter = Registry().counter("c", labels=("x",))
    counter.inc()
    counter.labels("a", "b").inc()
    counter.remove("a", "b", "c")
    assert len(warnings(caplog)) == 2


def test_what_was_given_is_not_in_the_log(caplog):
    counter = Registry().counter("c", labels=("x", "y"))
    counter.labels("secret")
    counter.labels(secret="a", other="b")
    assert "secret" not in caplog.text


def charge_the_customer(registry):
    for value in ("4111-1111", "5", b"5", None, object()):
        registry.gauge("g").set(value)
        registry.gauge("g").inc(value)
        registry.gauge("g").dec(value)
        registry.counter("c").inc(value)
        registry.histogram("h").observe(value)
        registry.native_histogram("n").observe(value)
        registry.quantiles("q").observe(value)
    registry.counter("c").inc(-1)


def test_what_is_no_number_is_logged_once_with_the_place_and_without_the_value(caplog):
    registry = Registry()
    charge_the_customer(registry)
    [line] = warnings(caplog)
    assert line.startswith("a metric was given what is no number")
    assert "charge_the_customer" in caplog.text
    assert "4111-1111" not in caplog.text
    assert registry.gauge("g").rows() == registry.counter("c").rows() == [((), (0.0,))]
    assert registry.quantiles("q").rows() == []
    assert registry.collect()[-1].samples[0].value == 5 * 7 + 1


def test_right_labels_log_nothing(caplog):
    counter = Registry().counter("c", labels=("x",))
    counter.labels("a").inc()
    counter.remove("never there")
    assert warnings(caplog) == []


def test_a_log_that_raises_or_counts_is_no_reason_to_fail():
    counter, seen = Registry().counter("c", labels=("x",)), []

    class Broken(logging.Filter):
        def filter(self, record):
            seen.append(record)
            counter.inc()
            raise RuntimeError

    log, broken = logging.getLogger("trackside"), Broken()
    log.addFilter(broken)
    try:
        counter.inc()
        Complaints().once(("kind",), "text with too few %s %s", 1)
    finally:
        log.removeFilter(broken)
    assert len(seen) == 2
