"""When ticks are called."""

import asyncio

from trackside.server.schedule import Schedule


class TurnedClock:
    """A clock in the test's hand; every look at it lets `step_ms` pass."""

    def __init__(self, now_ms: int = 0, step_ms: int = 0) -> None:
        self.time_ms, self.step_ms = now_ms, step_ms

    def now_ms(self) -> int:
        self.time_ms += self.step_ms
        return self.time_ms

    def monotonic_s(self) -> float:
        return self.time_ms / 1_000


def recorded(schedule: Schedule, interval_ms: int, **options: int) -> list[int]:
    seen: list[int] = []

    async def tick(now_ms: int) -> None:
        seen.append(now_ms)

    schedule.every(interval_ms, tick, **options)
    return seen


def test_a_late_tick_runs_once_and_keeps_its_beat():
    schedule = Schedule()
    seen = recorded(schedule, 10_000)
    for now_ms in (0, 5_000, 10_000, 47_000, 50_000):
        asyncio.run(schedule.run_due(now_ms))

    assert seen == [0, 10_000, 47_000, 50_000]


def test_a_tick_says_that_it_wants_to_be_called_sooner():
    schedule, seen = Schedule(), []
    # The last two say nothing that changes anything: it is late already, or it would be called before.
    wishes = {0: 30, 30: None, 100: 130, 130: 50, 131: 900}

    async def tick(now_ms: int) -> int | None:
        seen.append(now_ms)
        return wishes.get(now_ms)

    schedule.every(100, tick)
    for now_ms in range(302):
        asyncio.run(schedule.run_due(now_ms))

    assert seen == [0, 30, 130, 131, 231]


def test_a_tick_that_fails_is_counted_and_does_not_stop_the_others():
    schedule = Schedule()

    async def broken(now_ms: int) -> None:
        raise RuntimeError("no")

    schedule.every(1_000, broken)
    seen = recorded(schedule, 1_000)
    asyncio.run(schedule.run_due(1_000))
    asyncio.run(schedule.run_due(2_000))

    assert seen == [1_000, 2_000]
    assert schedule.failures_total == 2


def test_a_cancelled_tick_is_not_called_again():
    schedule = Schedule()
    seen: list[int] = []

    async def tick(now_ms: int) -> None:
        seen.append(now_ms)

    entry = schedule.every(1_000, tick)
    asyncio.run(schedule.run_due(1_000))
    schedule.cancel(entry)
    asyncio.run(schedule.run_due(2_000))

    assert seen == [1_000]


def test_on_the_real_clock_a_slow_tick_delays_no_other():
    async def story() -> list[int]:
        schedule = Schedule()
        never = asyncio.Event()

        async def slow(now_ms: int) -> None:
            await never.wait()

        schedule.every(10, slow)
        seen = recorded(schedule, 10)
        schedule.start(TurnedClock(step_ms=10))
        while len(seen) < 3:
            await asyncio.sleep(0)
        await schedule.stop()
        return seen

    assert len(asyncio.run(asyncio.wait_for(story(), 5))) >= 3


def test_a_clock_that_is_set_back_puts_no_tick_to_sleep():
    async def story() -> list[int]:
        schedule, clock = Schedule(), TurnedClock(now_ms=10_000_000, step_ms=1)
        seen = recorded(schedule, 2, first_ms=10_000_000)
        schedule.start(clock)
        while not seen:
            await asyncio.sleep(0)
        clock.time_ms = 5_000_000
        before = len(seen)
        while len(seen) < before + 2:
            await asyncio.sleep(0)
        await schedule.stop()
        return seen

    assert asyncio.run(asyncio.wait_for(story(), 5))[-1] < 6_000_000
