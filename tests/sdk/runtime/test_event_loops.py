import asyncio
import gc
import threading
import time
import weakref

import pytest

from trackside import Monitor
from trackside.instruments.measured import family_of
from trackside.model.labels import Labels
from trackside.sdk.runtime import event_loops

uvloop = pytest.importorskip("uvloop")


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(event_loops, "INTERVAL_S", 0.01)


@pytest.fixture
def monitor():
    return Monitor("shop", environ={})


def value(monitor, series):
    for family in map(family_of, monitor.registry.measured()):
        for sample in family.samples:
            if str(sample.labels.merged(Labels.of(__name__=sample.name))) == series:
                return sample.value
    return None


async def until(true):
    end_s = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end_s
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_what_blocks_the_loop_is_seen(monitor, new_loop):
    def in_time():
        return value(monitor, 'event_loop_lag_seconds_bucket{le="0.1"}') or 0

    def late():
        return (value(monitor, "event_loop_lag_seconds_count") or 0) - in_time()

    async def blocked():
        # A busy machine may have been late itself.
        before = late()
        time.sleep(0.15)
        await until(lambda: late() > before)
        return late() - before

    async def work():
        await until(lambda: in_time() >= 2)
        # And it may be late again before we look: not each time.
        return [await blocked() for _ in range(5)]

    loop = new_loop()
    assert monitor.watch(loop) is monitor.watch(loop) is loop
    seen = loop.run_until_complete(work())
    loop.close()
    assert min(seen) == 1


def test_it_can_be_watched_from_another_thread(monitor):
    async def work():
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=monitor.watch, args=(loop,))
        thread.start()
        await until(lambda: value(monitor, "event_loop_lag_seconds_count"))
        thread.join()

    asyncio.run(work())


def test_a_loop_that_is_closed_is_forgotten(monitor):
    loop = asyncio.new_event_loop()
    monitor.watch(loop)
    loop.run_until_complete(asyncio.sleep(0.02))
    loop.close()
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    assert gone() is None


def test_an_application_watches_the_loop_it_runs_in(monitor, get_once):
    async def app(scope, receive, send):
        await until(lambda: value(monitor, "event_loop_lag_seconds_count"))

    watched = monitor.watch(app)
    assert value(monitor, "event_loop_lag_seconds_count") is None
    asyncio.run(get_once(watched))
    assert value(monitor, "event_loop_lag_seconds_count") >= 1


@pytest.fixture
def get_once():
    async def get_once(app):
        async def nothing(*message):
            return {"type": "http.disconnect"}

        await app({"type": "http", "path": "/", "method": "GET", "headers": []}, nothing, nothing)

    return get_once


def test_the_first_request_leaves_nothing_in_the_way_of_the_others(monitor, get_once):
    async def app(scope, receive, send):
        pass

    watched = monitor.watch(app)
    assert watched.app is not app
    asyncio.run(get_once(watched))
    assert watched.app is app


def test_a_loop_that_is_not_asyncios_is_left_alone(monitor, get_once):
    async def app(scope, receive, send):
        pass

    running = get_once(monitor.watch(app))
    with pytest.raises(StopIteration):
        running.send(None)
    assert "trackside_sdk_errors_total{" not in monitor.exposition().decode()


def test_off_is_untouched():
    off = Monitor(environ={"ENABLE_PROMETHEUS_METRICS": "false"})
    loop = asyncio.new_event_loop()
    assert off.watch(loop) is loop
    assert not loop._ready
    loop.close()
