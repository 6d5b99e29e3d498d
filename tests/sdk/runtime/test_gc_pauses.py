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
    assert 0 < total < 10


def test_a_collection_while_the_registry_is_locked_is_no_trouble():
    registry = Registry()
    GcPauses(registry)
    with registry.lock:
        gc.collect()
    assert counts(registry)["2"] >= 1


def test_a_monitor_that_is_gone_listens_no_more(quiet):
    gc.collect()
    before = len(gc.callbacks)
    registry = Registry()
    pauses = GcPauses(registry)
    assert len(gc.callbacks) == before + 1
    del registry, pauses
    gc.collect()
    assert len(gc.callbacks) == before


def test_watching_anything_begins_it():
    async def app(scope, receive, send):
        pass

    monitor = Monitor(environ={})
    before = len(gc.callbacks)
    for _ in range(2):
        monitor.watch(app)
        assert len(gc.callbacks) == before + 1
    assert b'python_gc_pause_seconds_bucket{generation="2",le="0.1"}' in monitor.exposition()


def test_off_is_untouched():
    before = len(gc.callbacks)
    off = Monitor(environ={"ENABLE_PROMETHEUS_METRICS": "false"})
    off.watch(lambda environ, start_response: [])
    assert len(gc.callbacks) == before
