import os
from pathlib import Path

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


def test_no_file_stays_open(registry):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        Handover(registry).take()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
