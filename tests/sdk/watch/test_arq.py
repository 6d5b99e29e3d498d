import asyncio
import pickle
import time
from datetime import timedelta

import pytest

from trackside import Monitor

pytest.importorskip("arq")
pytest.importorskip("opentelemetry.propagate")
from arq import Retry, create_pool, cron, func
from arq.connections import RedisSettings
from arq.worker import Worker
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from trackside.sdk.traces.carriers import continued, inject


@pytest.fixture
def monitor():
    return Monitor("shop", environ={})


async def work(ctx, name="x"):
    return name


async def fail(ctx):
    raise ValueError("no")


async def again(ctx):
    raise Retry()


async def at_last(ctx):
    if ctx["job_try"] < 3:
        raise Retry()


async def slow(ctx):
    await asyncio.sleep(100)


FUNCTIONS = [work, fail, again, at_last, func(slow, timeout=0.1)]


@pytest.fixture
def run(redis_url, monitor):
    """Enqueue, work everything off, and say what is shown without the zeros."""

    def run(
        *jobs, beginnings=("jobs_total", "job_retries"), then=None, functions=FUNCTIONS, watch_pool=False, **options
    ):
        async def all_of_it():
            pool = await create_pool(RedisSettings.from_dsn(redis_url), default_queue_name="high")
            await pool.flushdb()
            assert (monitor.watch(pool) is pool) if watch_pool else True
            for name, *more in jobs:
                await pool.enqueue_job(name, _job_id=name, **(more[0] if more else {}))
            worker = Worker(
                functions, redis_pool=pool, queue_name="high", burst=True, poll_delay=0.01, max_tries=3, **options
            )
            assert monitor.watch(worker) is monitor.watch(worker) is worker
            helper = asyncio.create_task(then(worker)) if then else None
            await worker.main()
            if helper:
                await helper
            await worker.close()
            await pool.aclose()

        asyncio.run(all_of_it())
        return shown(monitor, *beginnings)

    return run


def shown(monitor, *beginnings):
    lines = monitor.exposition().decode().splitlines()
    return {line for line in lines if line.startswith(beginnings) and not line.endswith(" 0")}


def ended(name, status, count=1):
    return f'jobs_total{{job_name="{name}",queue="high",status="{status}"}} {count}'


def retried(name, count):
    return f'job_retries_total{{job_name="{name}",queue="high"}} {count}'


def test_jobs_are_counted_as_they_end(run, monitor):
    assert run(["work"], ["fail"]) == {ended("work", "succeeded"), ended("fail", "failed")}
    assert 'job_duration_seconds_count{job_name="fail",queue="high"} 1' in shown(monitor, "job_duration")
    assert shown(monitor, "job_wait_seconds_count") == {'job_wait_seconds_count{queue="high"} 2'}
    assert shown(monitor, "jobs_in_progress", "trackside_sdk_errors") == set()


def test_a_retry_is_no_failure_until_it_was_the_last(run):
    assert run(["again"], ["at_last"]) == {
        retried("again", 2),
        ended("again", "failed"),
        retried("at_last", 2),
        ended("at_last", "succeeded"),
    }


def test_a_job_that_takes_too_long_has_failed(run):
    assert run(["slow"]) == {ended("slow", "failed")}


def test_a_job_that_is_aborted_is_cancelled(run):
    begun = asyncio.Event()

    async def endless(ctx):
        begun.set()
        await asyncio.sleep(100)

    async def abort(worker):
        from arq.jobs import Job

        await begun.wait()
        await Job("slow", worker.pool, "high").abort(timeout=60)

    functions = [func(endless, name="slow", timeout=100)]
    assert run(["slow"], then=abort, functions=functions, allow_abort_jobs=True) == {ended("slow", "cancelled")}


def test_the_wait_counts_from_the_moment_it_was_due(run, monitor):
    began = []

    async def timed(ctx):
        began.append(time.time())

    sending = time.time()
    run(["work", {"_defer_by": timedelta(milliseconds=300)}], functions=[func(timed, name="work")])
    (line,) = shown(monitor, "job_wait_seconds_sum")
    # It was due 0.3 s after it was sent at the earliest; arq knows milliseconds.
    assert float(line.split()[-1]) < began[0] - sending - 0.3 + 0.01


def test_jobs_of_a_schedule_are_jobs(run):
    assert run(cron_jobs=[cron(work, run_at_startup=True, hour=3)]) == {ended("cron:work", "succeeded")}


def test_a_function_that_two_workers_share_is_counted_once(run, monitor):
    shared = [func(work, name="work")]
    run(["work"], functions=shared)
    assert run(["work"], functions=shared) == {ended("work", "succeeded", 2)}


def test_a_job_belongs_to_the_trace_that_it_was_sent_along_with(run):
    ids = []

    async def traced(ctx, name):
        ids.append((name, trace.get_current_span().get_span_context().trace_id))

    with TracerProvider().get_tracer("shop").start_as_current_span("request") as span:
        run(["traced", {"name": "x"}], functions=[func(traced, name="traced")], watch_pool=True)
    assert ids == [("x", span.get_span_context().trace_id)]


def test_a_job_sent_by_a_job_belongs_to_its_trace(run):
    ids = []

    async def traced(ctx, name):
        ids.append((name, trace.get_current_span().get_span_context().trace_id))
        if name == "first":
            await ctx["redis"].enqueue_job("traced", "second", _job_id="second")

    with TracerProvider().get_tracer("shop").start_as_current_span("request") as span:
        carrier = inject()
    functions = [func(traced, name="traced")]
    with continued(carrier):
        run(["traced", {"name": "first"}], functions=functions, watch_pool=True)
    assert ids == [(name, span.get_span_context().trace_id) for name in ("first", "second")]


def test_a_worker_that_is_not_watched_runs_the_jobs_of_a_watched_pool(redis_url, monitor):
    async def all_of_it():
        pool = monitor.watch(await create_pool(RedisSettings.from_dsn(redis_url)))
        await pool.flushdb()
        with TracerProvider().get_tracer("shop").start_as_current_span("request"):
            job = await pool.enqueue_job("work", name="y")
        worker = Worker([work], redis_pool=pool, burst=True, poll_delay=0.01)
        await worker.main()
        result = await job.result()
        await worker.close()
        await pool.aclose()
        return result

    assert asyncio.run(all_of_it()) == "y"


def test_a_serializer_that_takes_nothing_it_does_not_know_gets_what_it_knows(redis_url, monitor):
    def strict(data):
        assert set(data) <= {"t", "f", "a", "k", "et"}
        return pickle.dumps(data)

    async def all_of_it():
        pool = monitor.watch(await create_pool(RedisSettings.from_dsn(redis_url), job_serializer=strict))
        await pool.flushdb()
        with TracerProvider().get_tracer("shop").start_as_current_span("request"):
            job = await pool.enqueue_job("work")
        info = await job.info()
        await pool.aclose()
        return info.function

    assert asyncio.run(all_of_it()) == "work"


def test_a_pool_is_measured_as_the_client_of_redis_that_it_is(run, monitor):
    run(["work"], watch_pool=True)
    assert shown(monitor, 'redis_command_duration_seconds_count{command="PIPELINE"}')


def test_off_is_untouched(redis_url):
    off = Monitor(environ={"ENABLE_PROMETHEUS_METRICS": "false"})

    async def look():
        worker = Worker(FUNCTIONS, redis_settings=RedisSettings.from_dsn(redis_url))
        before = dict(worker.functions)
        assert off.watch(worker) is worker
        assert all(worker.functions[name] is function for name, function in before.items())

    asyncio.run(look())
