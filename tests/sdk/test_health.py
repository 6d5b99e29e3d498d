import asyncio
import threading
import time
from functools import partial

import pytest

from trackside.exceptions import UnhealthyError
from trackside.sdk.endpoints import liveness, overview, readiness
from trackside.sdk.health import Health

SOON_S = 0.03


def async_healthy():
    async def probe():
        await asyncio.sleep(0)

    return probe


def returning(value):
    return lambda: value


def raising(error):
    def probe():
        raise error

    return probe


def awaitable_of(value):
    """A plain function that returns a coroutine, as asynchronous clients have them."""

    async def answer():
        return value

    return lambda: answer()


async def async_false():
    return False


async def async_raising():
    raise OSError("connection refused")


ASK = {
    "blocking": lambda health, **options: health.report(**options),
    "on an event loop": lambda health, **options: asyncio.run(health.report_async(**options)),
}
PROBES = [
    pytest.param(returning(True), "", id="True"),
    pytest.param(returning(None), "", id="nothing"),
    pytest.param(returning("PONG"), "", id="anything else"),
    pytest.param(returning(False), "the probe returned False", id="False"),
    pytest.param(raising(OSError("no route")), "OSError: no route", id="raises"),
    pytest.param(raising(KeyError()), "KeyError", id="raises without a text"),
    pytest.param(raising(UnhealthyError("the mailbox is full")), "the mailbox is full", id="says a sentence"),
    pytest.param(raising(SystemExit(1)), "SystemExit: 1", id="wants to exit"),
    pytest.param(lambda x: x, "TypeError", id="wants arguments"),
    pytest.param(async_healthy(), "", id="coroutine function"),
    pytest.param(async_false, "the probe returned False", id="coroutine function, False"),
    pytest.param(async_raising, "OSError: connection refused", id="coroutine function, raises"),
    pytest.param(partial(async_false), "the probe returned False", id="partial of a coroutine function"),
    pytest.param(awaitable_of(True), "", id="returns a coroutine"),
    pytest.param(awaitable_of(False), "the probe returned False", id="returns a coroutine, False"),
]


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
@pytest.mark.parametrize(("probe", "error"), PROBES)
def test_what_a_probe_says(ask, probe, error):
    health = Health()
    health.check("db", probe)
    (result,) = ask(health).results
    assert result.healthy is (not error)
    assert result.error.startswith(error) if error else not result.error


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
def test_a_check_that_hangs_is_reported_and_not_started_again(ask):
    calls, begun, release = [], threading.Event(), threading.Event()

    def hang():
        calls.append(1)
        begun.set()
        release.wait(60)

    health = Health()
    health.check("db", hang, timeout_s=SOON_S, cache_s=0)
    health.check("redis", lambda: True)
    first, second = ask(health), ask(health)
    try:
        assert [result.healthy for result in first.results] == [False, True]
        assert first.results[0].error == second.results[0].error == f"no answer within {SOON_S} s"
        assert begun.wait(60)
        assert calls == [1]
    finally:
        release.set()


def test_a_check_that_came_back_is_asked_again():
    release = threading.Event()
    health = Health()
    health.check("db", lambda: release.wait(60), timeout_s=SOON_S, cache_s=0)
    assert not health.report().healthy
    release.set()
    deadline = time.monotonic() + 60
    while not health.report().healthy:
        assert time.monotonic() < deadline


def test_a_coroutine_that_hangs_is_cancelled_at_its_deadline():
    ended = []

    async def hang():
        try:
            await asyncio.sleep(100)
        finally:
            ended.append(True)

    health = Health()
    health.check("db", hang, timeout_s=SOON_S)
    (result,) = asyncio.run(health.report_async()).results
    assert result.error == f"no answer within {SOON_S} s"
    assert ended == [True]


def test_the_event_loop_runs_while_a_check_blocks_its_thread():
    async def story():
        release = threading.Event()
        health = Health()
        health.check("db", lambda: release.wait(60))
        asking = asyncio.create_task(health.report_async())
        await asyncio.sleep(0)
        release.set()  # would never happen if the loop were blocked
        return await asking

    assert asyncio.run(story()).healthy


def test_checks_run_together():
    together = threading.Barrier(3, timeout=60)
    health = Health()
    for name in "abc":
        health.check(name, together.wait)
    assert health.report().healthy


def test_who_asks_at_the_same_time_shares_one_call():
    calls = []

    async def probe():
        calls.append(1)
        await asyncio.sleep(0)

    async def story(health):
        return await asyncio.gather(*(health.report_async() for _ in range(20)))

    health = Health()
    health.check("db", probe, cache_s=0)
    assert all(report.healthy for report in asyncio.run(story(health)))
    assert calls == [1]


def test_an_answer_stands_for_its_time():
    now_s, calls = [100.0], []
    health = Health(lambda: now_s[0])
    health.check("db", lambda: calls.append(1), cache_s=2)
    for now_s[0] in (100.0, 101.9, 102.0, 103.9):
        health.report()
    assert calls == [1, 1]


def test_a_probe_left_behind_by_its_loop_is_asked_again_on_the_next():
    calls = []

    async def hang():
        calls.append(1)
        await asyncio.sleep(100)

    async def give_up(after):
        async with asyncio.timeout(60):
            asking = asyncio.create_task(health.report_async())
            while len(calls) < after:
                await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

    health = Health()
    health.check("db", hang, cache_s=0)
    asyncio.run(give_up(after=1))
    asyncio.run(give_up(after=2))
    assert calls == [1, 1]


def test_live_checks_alone():
    health = Health()
    health.check("deadlock", lambda: True, live=True)
    health.check("db", lambda: False)
    assert [result.name for result in health.report(live_only=True).results] == ["deadlock"]
    assert [result.name for result in health.report().results] == ["deadlock", "db"]


def test_what_is_not_critical_leaves_the_service_healthy():
    health = Health()
    health.check("mail", lambda: False, critical=False)
    report = health.report()
    assert report.healthy
    assert not report.results[0].healthy


@pytest.mark.parametrize(
    ("say", "ready"),
    [
        pytest.param((), (200, {"status": "ready", "db": True, "redis": True}), id="from the beginning"),
        pytest.param(("starting",), (503, {"status": "starting", "db": True, "redis": True}), id="starting"),
        pytest.param(("starting", "started"), (200, {"status": "ready", "db": True, "redis": True}), id="started"),
        pytest.param(("draining",), (503, {"status": "draining", "db": True, "redis": True}), id="draining"),
    ],
)
def test_the_phase_of_a_process_decides_with_the_checks_whether_it_is_ready(say, ready):
    health = Health()
    health.check("db", lambda: True, live=True)
    health.check("redis", lambda: True)
    for phase in say:
        getattr(health, phase)()
    report = health.report()
    assert readiness(report) == ready
    assert (overview(report)[0], liveness(report)) == (ready[0], (200, {"status": "ok"}))


def test_a_process_that_starts_with_a_failing_check_says_both():
    health = Health()
    health.starting()
    health.check("db", raising(OSError("no route")))
    assert readiness(health.report()) == (
        503,
        {"status": "starting", "db": False, "errors": {"db": "OSError: no route"}},
    )


def test_no_checks_are_no_problem():
    assert Health().report().healthy


def test_the_later_of_two_checks_with_one_name_stands():
    health = Health()
    health.check("db", lambda: False)
    health.report()
    health.check("db", lambda: True)
    assert health.report().healthy
    assert len(health.report().results) == 1


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        pytest.param(
            "postgres://user:pw@db/shop is down", "OSError: postgres://user:[Filtered]@db/shop is down", id="address"
        ),
        pytest.param("host=db password=pw dbname=x", "OSError: host=db password=[Filtered] dbname=x", id="DSN"),
        pytest.param("one\ntwo\n\nthree", "OSError: one two three", id="several lines"),
    ],
)
def test_errors_are_one_line_without_passwords(error, shown):
    health = Health()
    health.check("db", raising(OSError(error)))
    assert health.report().results[0].error == shown


def test_an_error_is_never_long():
    health = Health()
    health.check("db", raising(OSError("x" * 10_000)))
    assert len(health.report().results[0].error) == 200


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        pytest.param(("db", True), {}, "pass redis.ping, not redis.ping()", id="called instead of given"),
        pytest.param(("status", bool), {}, "cannot be called 'status'", id="name of a key"),
        pytest.param(("", bool), {}, "cannot be called ''", id="no name"),
        pytest.param(("db", bool), {"timeout_s": 0}, "timeout_s must be above 0", id="no time"),
        pytest.param(("db", bool), {"cache_s": -1}, "and cache_s not below", id="back in time"),
    ],
)
def test_a_mistake_in_the_call_is_told_at_once(arguments, options, message):
    with pytest.raises((TypeError, ValueError)) as error:
        Health().check(*arguments, **options)
    assert message in str(error.value)


def test_the_last_answers_are_a_metric_and_collecting_asks_nobody():
    calls = []
    health = Health()
    health.check("db", lambda: calls.append(1))
    health.check("mail", lambda: False)
    assert list(health.collect()) == []
    health.report()
    (family,) = health.collect()
    assert [(sample.labels.get("check"), sample.value) for sample in family.samples] == [("db", 1.0), ("mail", 0.0)]
    assert calls == [1]


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
def test_without_a_thread_a_check_says_so_and_is_asked_again_by_the_next(ask, no_threads):
    health, asked = Health(), []
    health.check("db", lambda: asked.append(1), live=True, cache_s=60)
    (result,) = ask(health).results
    assert (result.healthy, result.error) == (False, "could not be asked: RuntimeError: can't start new thread")
    no_threads.undo()
    assert ask(health).healthy
    assert asked == [1]
