import asyncio
import contextvars
import threading

import pytest

from trackside import Monitor
from trackside.sdk.families.nothing import NOTHING


@pytest.fixture
def monitor():
    return Monitor("shop", environ={})


@pytest.fixture
def off():
    return Monitor("shop", environ={"ENABLE_PROMETHEUS_METRICS": "no"})


def samples(monitor, name):
    return {
        tuple(value for _, value in sample.labels): sample.value
        for family in monitor.registry.collect()
        for sample in family.samples
        if sample.name == name
    }


def outcomes(monitor):
    return {labels: count for labels, count in samples(monitor, "integration_calls_total").items() if count}


def test_a_block_is_a_call(monitor):
    with monitor.integration("slack", "post_message"):
        pass
    assert samples(monitor, "integration_calls_total") == {
        ("slack", "post_message", "success"): 1,
        ("slack", "post_message", "error"): 0,
    }
    assert samples(monitor, "integration_call_duration_seconds_count") == {("slack", "post_message"): 1}
    assert samples(monitor, "integration_errors_total") == {}


def test_a_block_that_raises_is_an_error_and_raises(monitor):
    with pytest.raises(ValueError, match="mine"), monitor.integration("slack", "post_message"):
        raise ValueError("mine")
    assert outcomes(monitor) == {("slack", "post_message", "error"): 1}
    assert samples(monitor, "integration_errors_total") == {("ValueError", "slack", "post_message"): 1}


def test_a_block_may_say_that_it_failed(monitor):
    with monitor.integration("slack", "post_message") as call:
        call.failed("invalid_auth")
    assert samples(monitor, "integration_errors_total") == {("invalid_auth", "slack", "post_message"): 1}


def test_the_operation_may_be_left_out(monitor):
    with monitor.integration("slack"):
        pass
    assert outcomes(monitor) == {("slack", "success"): 1}


def test_as_decorator_every_call_counts_also_at_the_same_time(monitor):
    @monitor.integration("slack", "post_message")
    async def post(text):
        await asyncio.sleep(0.001)
        if text == "bad":
            raise TimeoutError
        return text

    @monitor.integration("gorgias", "list")
    def tickets(count):
        return [1] * count

    async def both():
        return await asyncio.gather(post("a"), post("bad"), post("b"), return_exceptions=True)

    assert [type(result) for result in asyncio.run(both())] == [str, TimeoutError, str]
    assert tickets(count=2) == [1, 1]
    assert post.__name__ == "post"
    assert outcomes(monitor) == {
        ("slack", "post_message", "success"): 2,
        ("slack", "post_message", "error"): 1,
        ("gorgias", "list", "success"): 1,
    }
    assert samples(monitor, "integration_errors_total") == {("timeout", "slack", "post_message"): 1}


def test_cancelled_is_neither_success_nor_error(monitor):
    async def use():
        async with monitor.integration("slack", "post_message"):
            await asyncio.sleep(10)

    async def cancel():
        task = asyncio.create_task(use())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(cancel())
    assert outcomes(monitor) == {("slack", "post_message", "cancelled"): 1}
    assert samples(monitor, "integration_errors_total") == {}


def test_a_block_that_ends_in_another_context_is_counted(monitor):
    def steps():
        with monitor.integration("slack", "stream"):
            yield

    generator = steps()
    contextvars.copy_context().run(next, generator)
    assert list(generator) == []
    assert outcomes(monitor) == {("slack", "stream", "success"): 1}


def test_made_up_names_operations_and_errors_are_few_series(monitor):
    for number in range(1_000):
        with monitor.integration(f"tenant-{number}", "call"):
            pass
        with monitor.integration("slack", f"/path/{number}") as call:
            call.failed(f"reason {number}")
    assert len(samples(monitor, "integration_call_duration_seconds_count")) <= 100 + 200 + 2
    assert len(samples(monitor, "integration_errors_total")) <= 200 + 51
    assert sum(outcomes(monitor).values()) == 2_000


def test_operations_of_many_integrations_have_one_limit(monitor):
    for name in range(50):
        for operation in range(50):
            with monitor.integration(f"i{name}", f"o{operation}"):
                pass
    counts = samples(monitor, "integration_call_duration_seconds_count")
    assert len(counts) == 1_001
    assert counts["(overflow)", "(overflow)"] == 1_500


def test_names_that_are_none_do_not_break_the_call(monitor):
    with monitor.integration(None, ["unhashable"]):
        pass
    with monitor.integration(7, None):
        pass
    assert samples(monitor, "trackside_sdk_errors_total") == {("measure an integration",): 1}
    assert outcomes(monitor) == {("7", "None", "success"): 1}


def test_no_call_is_lost_between_threads(monitor):
    def work():
        for _ in range(500):
            with monitor.integration("slack", "post_message"):
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes(monitor) == {("slack", "post_message", "success"): 4_000}


def test_names_have_the_prefix():
    monitor = Monitor("shop", environ={}, prefix="railgun")
    with monitor.integration("slack"):
        pass
    assert samples(monitor, "railgun_integration_call_duration_seconds_count") == {("slack",): 1}


def test_switched_off_it_is_one_object_that_does_nothing(off):
    assert off.integration("slack", "post_message") is NOTHING

    def function():
        return 1

    async def use():
        async with off.integration("slack") as call:
            call.failed()

    asyncio.run(use())
    assert off.integration("slack")(function) is function
    with pytest.raises(ValueError, match="mine"), off.integration("slack"):
        raise ValueError("mine")
    assert not [family for family in off.registry.collect() if family.name.startswith("integration")]
