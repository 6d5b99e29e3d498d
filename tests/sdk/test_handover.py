import os
from tempfile import TemporaryFile

import pytest

from trackside.instruments.registry import Registry
from trackside.sdk.handover import Handover


@pytest.fixture
def registry():
    return Registry()


def in_child(handover, work, **more):
    child = os.fork()
    if child == 0:
        try:
            handover.begin()
            work()
            handover.give(**more)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return handover.take()


def values(registry):
    return {
        (sample.name, sample.labels.get("x") or sample.labels.get("le")): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


def test_what_a_child_counts_is_added(registry):
    counter, histogram = registry.counter("a_total", labels=("x",)), registry.histogram("h", buckets=(1, 2))
    gauge = registry.gauge("g")
    counter.labels("old").inc(5)
    histogram.observe(0.5)
    gauge.set(1)

    def work():
        counter.labels("old").inc(2)
        counter.labels("new").inc()
        histogram.observe(1.5)
        gauge.set(7)

    assert in_child(Handover(registry), work, outcome="failed") == {"outcome": "failed"}
    found = values(registry)
    assert found["a_total", "old"] == 7
    assert found["a_total", "new"] == 1
    assert found["g", ""] == 7
    assert [found["h_bucket", bound] for bound in ("1.0", "2.0", "+Inf")] == [1, 2, 2]
    assert found["h_sum", ""] == 2


def test_what_was_counted_meanwhile_in_the_parent_stays(registry):
    counter = registry.counter("a_total")
    handover = Handover(registry)
    child = os.fork()
    if child == 0:
        handover.begin()
        counter.inc()
        handover.give()
        os._exit(0)
    counter.inc(10)
    os.waitpid(child, 0)
    handover.take()
    assert values(registry)["a_total", ""] == 11


def test_an_instrument_that_only_the_child_has_is_made(registry):
    def work():
        registry.counter("late_total", "Late.", ("x",)).labels("y").inc(3)
        registry.histogram("late_seconds", unit="seconds", buckets=(1,)).observe(4)

    in_child(Handover(registry), work)
    assert values(registry)["late_total", "y"] == 3
    assert values(registry)["late_seconds_sum", ""] == 4


def test_a_child_that_dies_leaves_nothing(registry):
    counter = registry.counter("a_total")
    handover = Handover(registry)
    child = os.fork()
    if child == 0:
        handover.begin()
        counter.inc()
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    assert handover.take() == {}
    assert values(registry)["a_total", ""] == 0


def test_no_file_stays_open(registry, monkeypatch):
    files = []

    def opened():
        files.append(TemporaryFile())  # noqa: SIM115 - whether it is closed is what is tested
        return files[-1]

    monkeypatch.setattr("trackside.sdk.handover.TemporaryFile", opened)
    for _ in range(5):
        Handover(registry).take()
    assert [file.closed for file in files] == [True] * 5


class Lazy:
    """The text of a framework that is translated when it is shown: JSON has no place for it."""


@pytest.mark.parametrize("broken", ["read before", "read at the end", "written", "taken"])
def test_what_cannot_be_handed_over_takes_nothing_else_with_it(registry, caplog, broken):
    odd = registry.counter("odd_total", Lazy() if broken == "written" else "", ("x",))
    fine, late = registry.counter("fine_total", labels=("x",)), registry.histogram("late", buckets=(1,))
    if broken == "read before":
        odd.rows = lambda: 1 / 0

    def work():
        odd.__dict__.pop("rows", None)
        for counter in (odd, fine):
            counter.labels("y").inc()
        late.observe(2)
        if broken == "read at the end":
            odd.rows = lambda: 1 / 0

    odd.labels("before").inc(5)
    handover = Handover(registry)
    if broken == "taken":
        del registry._measured["odd_total"]
        registry.gauge("odd_total", labels=("x",))
    child = os.fork()
    if child == 0:
        try:
            registry._measured["odd_total"] = odd
            handover.begin()
            work()
            handover.give(outcome="failed")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    odd.__dict__.pop("rows", None)
    assert handover.take() == {"outcome": "failed"}
    found = values(registry)
    assert found["fine_total", "y"] == 1
    assert found["late_sum", ""] == 2
    assert ("odd_total", "y") not in found
    assert found.get(("odd_total", "before"), 5) == 5


def test_one_bad_row_loses_no_other(registry):
    counter, histogram = registry.counter("a_total", labels=("x",)), registry.histogram("h", buckets=(1,))

    def work():
        counter.labels("good").inc()
        counter.labels("bad").inc()
        counter.labels("better").inc()
        histogram.observe(0.5)
        rows = counter.rows
        counter.rows = lambda: [(key, () if key == ("bad",) else raw) for key, raw in rows()]

    in_child(Handover(registry), work)
    found = values(registry)
    assert {key: found.get(key) for key in (("a_total", "good"), ("a_total", "better"), ("h_sum", ""))} == {
        ("a_total", "good"): 1,
        ("a_total", "better"): 1,
        ("h_sum", ""): 0.5,
    }
    assert found["trackside_sdk_errors_total", ""] == 1


def test_a_native_histogram_is_handed_over_with_its_buckets(registry):
    delays = registry.native_histogram("delay_seconds", labels=("x",), buckets=(1, 2))
    expected = Registry().native_histogram("delay_seconds", labels=("x",), buckets=(1, 2))
    before, inside = (0.5, 1.5, -3.0, 0.0), (1.5, 1e-9, 1e9, -0.25, 0.0, 7.0)
    for value in before:
        delays.labels("old").observe(value)
    for value in (*before, *inside):
        expected.labels("old").observe(value)
    expected.labels("new").observe(4.0)

    def work():
        for value in inside:
            delays.labels("old").observe(value)
        delays.labels("new").observe(4.0)

    in_child(Handover(registry), work)
    assert dict(delays.rows()) == {key: pytest.approx(raw) for key, raw in expected.rows()}
    mine, theirs = ({key: buckets for key, _, buckets in one.native_rows()} for one in (delays, expected))
    assert mine == theirs
    assert not [key for key in values(registry) if key[0] == "trackside_sdk_errors_total"]
