"""Backtests of a running server."""

import asyncio
import threading

import pytest

from trackside.exceptions import QueryError
from trackside.server.backtest.desk import BacktestDesk, Surroundings
from trackside.server.clock import VirtualClock
from trackside.server.rules.config import parse_rule_file

GROUPS = parse_rule_file(
    "groups: [{name: a, rules: [{alert: Down, expr: up == 0}]}, {name: b, rules: [{record: r, expr: up}]}]", "r.yml"
)


@pytest.fixture
def desk(store):
    return BacktestDesk(store({"up": "1x4 0x9"}), VirtualClock(600_000), lambda: Surroundings(GROUPS))


def test_it_ends_now_and_tells_how_far_it_is(desk):
    told = []

    async def story():
        result = await desk.run(desk.running_groups(), 300_000, told.append)
        await asyncio.sleep(0)
        return result

    result = asyncio.run(story())
    assert (result.start_ms, result.end_ms) == (300_000, 600_000)
    assert [len(rule.fired) for rule in result.rules] == [1]
    assert [progress.done for progress in told] == [0, 1, 2]


def test_one_rule_of_those_that_run(desk):
    assert [group.name for group in desk.running_groups("Down")] == ["a"]
    assert [group.name for group in desk.running_groups(group="b")] == ["b"]
    assert desk.running_groups("nosuch") == ()


def test_too_long_a_time_is_refused(desk):
    with pytest.raises(QueryError, match="a backtest has at most"):
        asyncio.run(desk.run(GROUPS, 10**12, lambda progress: None))


def test_a_backtest_that_nobody_waits_for_ends_before_its_next_rule(store):
    started, released, seen = threading.Event(), threading.Event(), []

    class Slow:
        def select(self, matchers, start_ms, end_ms):
            seen.append(matchers)
            started.set()
            released.wait(10)
            return iter(())

    rules = ", ".join(f"{{alert: A{number}, expr: up}}" for number in range(50))
    groups = parse_rule_file(f"groups: [{{name: g, rules: [{rules}]}}]", "r.yml")

    async def story():
        desk = BacktestDesk(Slow(), VirtualClock(600_000), Surroundings)
        task = asyncio.create_task(desk.run(groups, 60_000, lambda progress: None))
        await asyncio.to_thread(started.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        released.set()

    asyncio.run(story())
    assert len(seen) == 1
