import asyncio
import threading
from concurrent.futures import CancelledError

import pytest

from trackside import Monitor
from trackside.sdk.job_metrics import MAX_NAMES, JobMetrics
from trackside.sdk.logs.fields import current_fields


@pytest.fixture
def monitor():
    return Monitor("shop", environ={})


def shown(monitor, *beginnings):
    lines = monitor.exposition().decode().splitlines()
    return [line for line in lines if line.startswith(beginnings) and not line.endswith(" 0")]


class Cancelled(BaseException):
    pass


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(None, "succeeded", id="nothing raised"),
        pytest.param(ValueError(), "failed", id="an error"),
        pytest.param(asyncio.CancelledError(), "cancelled", id="cancelled by asyncio"),
        pytest.param(CancelledError(), "cancelled", id="cancelled by a pool"),
        pytest.param(SystemExit(), "cancelled", id="told to exit"),
    ],
)
def test_a_block_is_a_job(monitor, error, status):
    try:
        with monitor.job("resize", queue="high"):
            assert shown(monitor, "jobs_in_progress") == ['jobs_in_progress{job_name="resize",queue="high"} 1']
            if error:
                raise error
    except BaseException as raised:
        assert raised is error
    assert shown(monitor, "jobs_") == [f'jobs_total{{job_name="resize",queue="high",status="{status}"}} 1']
    assert 'job_duration_seconds_count{job_name="resize",queue="high"} 1' in shown(monitor, "job_dur")


def test_every_status_is_there_from_the_start(monitor):
    with monitor.job("resize"):
        pass
    text = monitor.exposition().decode()
    assert 'jobs_total{job_name="resize",status="failed"} 0' in text
    assert 'job_retries_total{job_name="resize"} 0' in text


def test_a_job_may_say_how_it_ended(monitor):
    with monitor.job("a") as job:
        job.failed()
    with pytest.raises(ValueError, match="again"), monitor.job("b") as job:
        job.will_be_retried()
        raise ValueError("again")
    assert shown(monitor, "jobs_total", "job_retries") == [
        'jobs_total{job_name="a",status="failed"} 1',
        'job_retries_total{job_name="b"} 1',
    ]


def test_functions_are_measured_each_time_they_are_called(monitor):
    @monitor.job("plain", queue="q")
    def plain(a, *, b):
        """Its text."""
        return a + b

    @monitor.job("later", queue="q")
    async def later(a):
        await asyncio.sleep(0)
        raise KeyError(a)

    assert [plain(1, b=2), plain(2, b=2)] == [3, 4]
    assert (plain.__name__, plain.__doc__) == ("plain", "Its text.")
    with pytest.raises(KeyError):
        asyncio.run(later("x"))
    assert shown(monitor, "jobs_") == [
        'jobs_total{job_name="plain",queue="q",status="succeeded"} 2',
        'jobs_total{job_name="later",queue="q",status="failed"} 1',
    ]


def test_an_asynchronous_block(monitor):
    async def work():
        async with monitor.job("x"):
            await asyncio.sleep(0)

    asyncio.run(work())
    assert shown(monitor, "jobs_total") == ['jobs_total{job_name="x",status="succeeded"} 1']


def test_names_without_end_are_one_series(monitor):
    for number in range(1000):
        with monitor.job(f"job-{number}", queue=f"queue-{number}"):
            pass
    text = monitor.exposition().decode()
    names = {line.split('"')[1] for line in text.splitlines() if line.startswith("jobs_in_progress{")}
    assert len(names) == MAX_NAMES + 1
    assert 'jobs_total{job_name="(overflow)",queue="(overflow)",status="succeeded"} 800' in text


def test_the_wait_is_never_below_zero(monitor):
    jobs = JobMetrics.of(monitor.context)
    jobs.begin("a", "q", lambda: -5.0).end("succeeded")
    jobs.begin("a", "q", lambda: None).end("succeeded")
    jobs.begin("a", "q", lambda: 3.0).end("succeeded")
    assert {'job_wait_seconds_sum{queue="q"} 3', 'job_wait_seconds_count{queue="q"} 2'} <= set(
        shown(monitor, "job_wait")
    )


def test_a_run_ends_once(monitor):
    run = JobMetrics.of(monitor.context).begin("a")
    run.end("failed")
    run.end("succeeded")
    assert shown(monitor, "jobs_") == ['jobs_total{job_name="a",status="failed"} 1']


def test_what_goes_wrong_in_the_measuring_is_not_seen_by_the_job(monitor):
    def broken():
        raise RuntimeError("clock")

    JobMetrics.of(monitor.context).begin("a", "q", broken).end("succeeded")
    assert shown(monitor, "jobs_total") == ['jobs_total{job_name="a",queue="q",status="succeeded"} 1']
    assert 'where="measure the beginning of a job"} 1' in monitor.exposition().decode()


def test_many_threads_lose_nothing(monitor):
    @monitor.job("a")
    def work():
        pass

    threads = [threading.Thread(target=lambda: [work() for _ in range(200)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shown(monitor, "jobs_") == ['jobs_total{job_name="a",status="succeeded"} 1600']


def test_off_is_untouched():
    off = Monitor(environ={"ENABLE_PROMETHEUS_METRICS": "false"})

    def work():
        return 1

    assert off.job("a")(work) is work
    with off.job("a") as job:
        job.failed()
    assert [family.name for family in off.registry.collect()] == ["trackside_sdk_errors_total"]


def test_what_one_job_binds_is_not_on_the_lines_of_the_next(monitor):
    with monitor.job("first"):
        monitor.bind(user_id="alice")
        assert current_fields() == {"user_id": "alice"}
    with monitor.job("second"):
        assert current_fields() == {}
