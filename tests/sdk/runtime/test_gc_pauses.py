import gc

import pytest

from trackside import Monitor
from trackside.instruments.registry import Registry
from trackside.sdk.runtime.gc_pauses import GcPauses


def counts(registry):
    return {
        sample.labels.get("generation"): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "python_gc_pause_seconds_count"
    }


@pytest.fixture
def added():
    """The callbacks that came since. Those of earlier tests may go at any time."""
    before = gc.callbacks[:]
    return lambda: [one for one in gc.callbacks if not any(one is other for other in before)]


@pytest.fixture
def quiet():
    """No collection but those of the test."""
    gc.disable()
    yield
    gc.enable()


def test_every_collection_is_counted(quiet):
    registry = Registry()
    pauses = GcPauses(registry)
    for generation, times in ((0, 3), (1, 2), (2, 1)):
        for _ in range(times):
            gc.collect(generation)
    assert counts(registry) == {"0": 3, "1": 2, "2": 1}
    (family,) = pauses.collect()
    total = sum(sample.value for sample in family.samples if sample.name.endswith("_sum"))
    assert 0 < total < 60


def test_a_collection_while_the_registry_is_locked_is_no_trouble():
    registry = Registry()
    GcPauses(registry)
    with registry.lock:
        gc.collect()
    assert counts(registry)["2"] >= 1


def test_a_monitor_that_is_gone_listens_no_more(added):
    registry = Registry()
    pauses = GcPauses(registry)
    assert len(added()) == 1
    del registry, pauses
    gc.collect()
    assert added() == []


def test_watching_anything_begins_it(added):
    async def app(scope, receive, send):
        pass

    monitor = Monitor(environ={})
    for _ in range(2):
        monitor.watch(app)
        assert len(added()) == 1
    assert b'python_gc_pause_seconds_bucket{generation="2",le="0.1"}' in monitor.exposition()


def test_off_is_untouched(added):
    off = Monitor(environ={"ENABLE_PROMETHEUS_METRICS": "false"})
    off.watch(lambda environ, start_response: [])
    assert added() == []
