import asyncio

import aiohttp
import pytest


def test_an_error_for_a_status_is_that_status(monitor, samples, http_server):
    async def use():
        async with monitor.watch(aiohttp.ClientSession(raise_for_status=True)) as session:
            with pytest.raises(aiohttp.ClientResponseError):
                await session.get(f"{http_server}/status/503")

    asyncio.run(use())
    assert samples(monitor, "integration_errors_total") == {("5xx", "127.0.0.1", "GET"): 1}


def test_cancelled_requests_are_no_errors(monitor, samples, http_server):
    async def use():
        async with monitor.watch(aiohttp.ClientSession()) as session:
            task = asyncio.create_task(session.get(f"{http_server}/slow"))
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(use())
    assert samples(monitor, "integration_calls_total", outcome="cancelled") == {("127.0.0.1", "GET"): 1}
    assert samples(monitor, "integration_errors_total") is None


def test_traces_of_the_application_still_run(monitor, http_server):
    seen = []

    async def ended(session, context, about):
        seen.append((context.trace_request_ctx, about.response.status))

    async def use():
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(ended)
        async with monitor.watch(aiohttp.ClientSession(trace_configs=[trace])) as session:
            await session.get(f"{http_server}/status/200", trace_request_ctx="mine")

    asyncio.run(use())
    assert seen == [("mine", 200)]


def test_a_list_of_traces_that_sessions_share_counts_once(monitor, samples, http_server):
    async def use():
        traces = [aiohttp.TraceConfig()]
        async with (
            monitor.watch(aiohttp.ClientSession(trace_configs=traces)) as first,
            monitor.watch(aiohttp.ClientSession(trace_configs=traces)),
        ):
            await first.get(f"{http_server}/status/200")

    asyncio.run(use())
    assert samples(monitor, "integration_calls_total", outcome="success") == {("127.0.0.1", "GET"): 1}
