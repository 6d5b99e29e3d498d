import asyncio
import time

import pytest

from trackside import Monitor
from trackside.sdk.job_reports.current import current_spending


def test_a_block_is_reported_when_it_ends(monitor, reported, hub):
    with monitor.job("resize", queue="high"):
        pass
    report = reported()["resize"]
    assert (report.source, report.queue, report.outcome, report.attempt) == ("shop", "high", "succeeded", 1)
    assert (report.error, report.traceback, report.cost_usd, report.tokens) == ("", "", None, None)
    assert 0 <= report.run_s < 30
    assert 0 <= time.time() * 1000 - report.finished_ms < 60_000
    assert report.started_ms <= report.finished_ms
    assert ":" in report.worker
    (headers, _) = hub.requests[0]
    assert headers["Authorization"] == "Bearer a key"
    assert 'trackside_job_reports_total{outcome="sent"} 1' in monitor.exposition().decode()


def test_a_failure_is_reported_with_its_traceback_and_without_secrets(monitor, reported):
    with pytest.raises(KeyError), monitor.job("resize"):
        try:
            raise ValueError("postgres://me:hunter2xyz@db/shop")
        except ValueError as error:
            raise KeyError("password=hunter3xyz") from error
    report = reported()["resize"]
    assert report.outcome == "failed"
    assert report.error == "KeyError: 'password=[Filtered]'"
    assert "The above exception was the direct cause" in report.traceback
    assert "test_job_blocks.py" in report.traceback
    assert "hunter" not in report.traceback


def test_an_attempt_that_will_be_made_again_says_so(monitor, reported):
    with pytest.raises(ValueError, match="again"), monitor.job("resize", id="17", attempt=2, source="pictures") as job:
        job.will_be_retried()
        raise ValueError("again")
    report = reported()["resize"]
    assert (report.id, report.attempt, report.source) == ("17", 2, "pictures")
    assert (report.outcome, report.error) == ("retried", "ValueError: again")


def test_what_is_asked_of_models_is_part_of_the_cost(monitor, reported):
    with monitor.job("describe") as job:
        with monitor.ai("claude-sonnet-4-5") as call:
            call.tokens(input=1_000_000, output=10)
        job.cost(usd=0.25, tokens=5)
    report = reported()["describe"]
    assert report.tokens == 1_000_015
    assert report.cost_usd == pytest.approx(3.25 + 10 * 15e-6)


def test_a_model_without_a_price_has_tokens_and_no_cost(monitor, reported):
    with monitor.job("describe"), monitor.ai("somebody's own") as call:
        call.tokens(input=7)
    report = reported()["describe"]
    assert (report.tokens, report.cost_usd) == (7, None)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -1.0, "much", None])
def test_odd_costs_are_none(monitor, reported, odd):
    with monitor.job("describe") as job:
        job.cost(usd=odd)
    assert reported()["describe"].cost_usd is None


def test_what_failed_has_cost_all_the_same(monitor, reported):
    with pytest.raises(ValueError, match="no"), monitor.job("describe") as job:
        job.cost(usd=1)
        raise ValueError("no")
    assert (reported()["describe"].outcome, reported()["describe"].cost_usd) == ("failed", 1)


def test_a_part_of_a_job_is_no_job(monitor, reported):
    with monitor.job("order"):
        with monitor.job("price") as part:
            part.cost(usd=2)
        with monitor.job("ship", id="99") as other:
            other.cost(usd=3)
    found = reported()
    assert {kind: report.cost_usd for kind, report in found.items()} == {"order": 2, "ship": 3}
    # As metrics they are all there.
    assert 'jobs_total{job_name="price",status="succeeded"} 1' in monitor.exposition().decode()


def test_tasks_side_by_side_pay_for_themselves(monitor, reported):
    @monitor.job("work")
    async def work(usd):
        await asyncio.sleep(0)
        with monitor.ai("gpt-4o") as call:
            call.tokens(input=usd)
            await asyncio.sleep(0)

    async def all_of_them():
        await asyncio.gather(*(work(number) for number in range(1, 6)))

    asyncio.run(all_of_them())
    reported()
    assert current_spending() is None


def test_each_task_is_reported_with_its_own_tokens_and_no_cpu_time(monitor, hub):
    async def work(tokens):
        async with monitor.job("work") as job:
            await asyncio.sleep(0)
            job.cost(tokens=tokens)

    async def all_of_them():
        await asyncio.gather(*(work(number) for number in range(1, 6)))

    asyncio.run(all_of_them())
    assert monitor.flush_signals()
    assert sorted(report.tokens for report in hub.reports) == [1, 2, 3, 4, 5]
    # Others ran in the same thread meanwhile.
    assert {report.cpu_s for report in hub.reports} == {None}


def test_cpu_time_and_memory_of_an_attempt_alone(monitor, reported):
    with monitor.job("hungry"):
        held = bytearray(64 * 1024 * 1024)
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass
        del held
    report = reported()["hungry"]
    assert 0.05 <= report.cpu_s < 1
    assert report.peak_memory_bytes is None or report.peak_memory_bytes > 64 * 1024 * 1024


def test_two_at_once_do_not_say_whose_memory_it_was(monitor, reported):
    with monitor.job("outer", id="1"), monitor.job("inner", id="2"):
        held = bytearray(64 * 1024 * 1024)
        del held
    found = reported()
    assert [found[kind].peak_memory_bytes for kind in ("outer", "inner")] == [None, None]
    assert [found[kind].cpu_s for kind in ("outer", "inner")] == [None, None]


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="no server"),
        pytest.param({"TRACKSIDE_URL": "{}", "ENABLE_PROMETHEUS_METRICS": "false"}, id="switched off"),
        pytest.param({"TRACKSIDE_URL": "nowhere"}, id="no address"),
    ],
)
def test_without_a_server_nothing_is_reported_and_nothing_is_kept(hub, environ, started_threads):
    monitor = Monitor("shop", environ={name: value.format(hub.url) for name, value in environ.items()})
    with monitor.job("resize", id="1") as job:
        job.cost(usd=1)
        assert current_spending() is None
    assert monitor.flush_signals()
    assert not started_threads
    assert hub.requests == []


def test_a_job_never_notices_that_its_report_cannot_be_written(monitor, reported):
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError("no text either")

    with pytest.raises(Odd), monitor.job("resize"):
        raise Odd
    assert reported()["resize"].outcome == "failed"
    assert "Odd" in reported()["resize"].error
