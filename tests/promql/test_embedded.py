"""The backend in this process: threads, timeouts, cancellation, match selectors."""

from __future__ import annotations

import asyncio
import threading

import pytest

from trackside.exceptions import QueryError, QueryTimeoutError
from trackside.model.labels import Labels
from trackside.server.promql.embedded import EmbeddedBackend
from trackside.server.promql.engine import Engine
from trackside.server.promql.limits import QueryLimits


@pytest.fixture
def store(memory):
    return memory('up{job="a"} 1 1', 'up{job="b"} 0 0', 'lag{queue="high"} 3 3')


def answer(store, call, **options):
    """The result of `call(backend)` on a fresh event loop."""

    async def run():
        backend = EmbeddedBackend(Engine(store, options.pop("limits", None)), store, **options)
        try:
            return await call(backend)
        finally:
            backend.close()

    return asyncio.run(run())


def test_queries_run_off_the_event_loop(store, points):
    seen = []
    select = store.select
    store.select = lambda *args: seen.append(threading.current_thread().name) or select(*args)
    result = answer(store, lambda backend: backend.query("sum(up)", 15_000))
    assert points(result) == {Labels(): {15_000: 1.0}}
    assert seen[0].startswith("trackside-query")


def test_range_query(store, points):
    result = answer(store, lambda backend: backend.query_range('up{job="a"}', 0, 15_000, 15_000))
    assert points(result) == {Labels.of(__name__="up", job="a"): {0: 1.0, 15_000: 1.0}}


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        pytest.param([], ['lag{queue="high"}', 'up{job="a"}', 'up{job="b"}'], id="all"),
        pytest.param(["up"], ['up{job="a"}', 'up{job="b"}'], id="by name"),
        pytest.param(
            ['up{job="b"}', '{queue!=""}', "up"], ['lag{queue="high"}', 'up{job="a"}', 'up{job="b"}'], id="any"
        ),
    ],
)
def test_series(store, match, expected):
    found = answer(store, lambda backend: backend.series(match, 0, 15_000))
    assert [str(labels) for labels in found] == expected


def test_label_names_and_values(store):
    assert answer(store, lambda backend: backend.label_names([], 0, 1)) == ["__name__", "job", "queue"]
    assert answer(store, lambda backend: backend.label_names(["lag"], 0, 1)) == ["__name__", "queue"]
    assert answer(store, lambda backend: backend.label_values("job", [], 0, 1)) == ["a", "b"]
    assert answer(store, lambda backend: backend.label_values("job", ['up{job!="a"}', "lag"], 0, 1)) == ["b"]


@pytest.mark.parametrize("match", ["sum(up)", "up[5m]", "up offset 5m", "up{", ""])
def test_a_match_that_is_no_selector_is_refused(store, match):
    with pytest.raises(QueryError):
        answer(store, lambda backend: backend.series([match], 0, 1))


def test_a_wrong_expression_is_a_query_error(store):
    with pytest.raises(QueryError):
        answer(store, lambda backend: backend.query("sum(", 0))


def blocked(store):
    """Let the next select wait until released; tells when it waits and how it went on."""
    waiting, release, ends = threading.Event(), threading.Event(), []
    select = store.select

    def slow(*args):
        waiting.set()
        release.wait(10)
        try:
            yield from select(*args)
        finally:
            ends.append("asked for no more")

    store.select = slow
    return waiting, release, ends


@pytest.mark.parametrize("by_limit", [False, True], ids=["of the call", "of the limits"])
def test_the_caller_gets_a_timeout_though_the_thread_is_stuck(store, by_limit):
    _, release, _ = blocked(store)
    limits = QueryLimits(timeout_ms=30) if by_limit else None

    async def call(backend):
        try:
            with pytest.raises(QueryTimeoutError, match=r"timeout of 0\.03 s"):
                await backend.query("sum(up)", 15_000, timeout_ms=None if by_limit else 30)
        finally:
            release.set()

    answer(store, call, limits=limits)


def test_a_cancelled_caller_stops_the_query(store):
    waiting, release, ends = blocked(store)

    async def call(backend):
        task = asyncio.create_task(backend.query("up", 15_000))
        await asyncio.to_thread(waiting.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        release.set()
        # The only worker is free again, and the store is asked for one frame of the two.
        store.select = type(store).select.__get__(store)
        return await backend.query("up", 15_000)

    answer(store, call, workers=1)
    assert ends == ["asked for no more"]


def test_queries_wait_for_a_free_worker(store, points):
    async def call(backend):
        return await asyncio.gather(*(backend.query("up", 15_000) for _ in range(20)))

    assert len({str(points(result)) for result in answer(store, call, workers=2)}) == 1


def test_a_closed_backend_takes_no_queries(store):
    async def call(backend):
        backend.close()
        with pytest.raises(QueryError, match="shutting down"):
            await backend.query("up", 0)

    answer(store, call)
