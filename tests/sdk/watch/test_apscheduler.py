import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from trackside import Monitor

background = pytest.importorskip("apscheduler.schedulers.background")
asynchronous = pytest.importorskip("apscheduler.schedulers.asyncio")

HOWEVER_LATE = {"misfire_grace_time": None}
"""A busy machine may need more than the second that jobs have otherwise."""


def work():
    pass


def fail():
    raise ValueError("no")


@pytest.fixture
def monitor():
    return Monitor("shop", environ={})


@pytest.fixture
def scheduler():
    made = background.BackgroundScheduler(timezone=UTC, job_defaults=HOWEVER_LATE)
    yield made
    if made.running:
        made.shutdown()


def shown(monitor, *beginnings):
    lines = monitor.exposition().decode().splitlines()
    return {line for line in lines if line.startswith(beginnings) and not line.endswith(" 0")}


def wait_for(monitor, count):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if sum(float(line.split()[-1]) for line in shown(monitor, "jobs_total")) >= count:
            return shown(monitor, "jobs_total")
        time.sleep(0.005)
    raise AssertionError(monitor.exposition().decode())


def ended(name, status, count=1, queue="default"):
    return f'jobs_total{{job_name="{name}",queue="{queue}",status="{status}"}} {count}'


def test_jobs_are_counted_as_they_end(scheduler, monitor):
    assert monitor.watch(scheduler) is monitor.watch(scheduler) is scheduler
    scheduler.start()
    scheduler.add_job(work)
    scheduler.add_job(work, id="with-an-id", name="tidy up")
    scheduler.add_job(fail)
    assert wait_for(monitor, 3) == {ended("work", "succeeded"), ended("tidy up", "succeeded"), ended("fail", "failed")}
    assert shown(monitor, "job_wait_seconds_count") == {'job_wait_seconds_count{queue="default"} 3'}
    assert shown(monitor, "jobs_in_progress", "trackside_sdk_errors") == set()


def test_a_scheduler_that_runs_already_is_watched_from_now_on(scheduler, monitor):
    scheduler.add_job(work, "interval", seconds=0.05, name="poll")
    scheduler.start()
    monitor.watch(scheduler)
    names = {line.split(",")[0] for line in wait_for(monitor, 2)}
    assert names == {'jobs_total{job_name="poll"'}


def test_the_duration_is_that_of_the_job(scheduler, monitor):
    monitor.watch(scheduler)
    scheduler.start()
    scheduler.add_job(time.sleep, args=(0.1,))
    wait_for(monitor, 1)
    (line,) = shown(monitor, "job_duration_seconds_sum")
    assert 0.1 <= float(line.split()[-1]) < 30


def test_what_is_running_is_shown(scheduler, monitor):
    go_on = threading.Event()
    monitor.watch(scheduler)
    scheduler.start()
    scheduler.add_job(go_on.wait, args=(100,), name="long")
    until = time.monotonic() + 60
    while not shown(monitor, "jobs_in_progress") and time.monotonic() < until:
        time.sleep(0.005)
    assert shown(monitor, "jobs_in_progress") == {'jobs_in_progress{job_name="long",queue="default"} 1'}
    go_on.set()
    wait_for(monitor, 1)
    assert shown(monitor, "jobs_in_progress") == set()


def test_what_did_not_run_is_cancelled(scheduler, monitor):
    go_on = threading.Event()
    monitor.watch(scheduler)
    scheduler.start()
    scheduler.add_job(work, "date", run_date=datetime.now(UTC) - timedelta(hours=1), misfire_grace_time=1, name="late")
    scheduler.add_job(go_on.wait, "interval", args=(100,), seconds=0.02, max_instances=1, name="crowded")
    until = time.monotonic() + 60
    while len(shown(monitor, "jobs_total")) < 2 and time.monotonic() < until:
        time.sleep(0.005)
    go_on.set()
    scheduler.shutdown()
    found = {line.split("}")[0] for line in shown(monitor, "jobs_total")}
    assert 'jobs_total{job_name="late",queue="default",status="cancelled"' in found
    assert 'jobs_total{job_name="crowded",queue="default",status="cancelled"' in found


def test_without_a_view_of_the_executors_the_events_are_enough(scheduler, monitor):
    class Hidden(type(scheduler)):
        def __getattribute__(self, name):
            if name == "_executors" and hidden:
                raise AttributeError(name)
            return super().__getattribute__(name)

    hidden = True
    scheduler.__class__ = Hidden
    monitor.watch(scheduler)
    hidden = False
    scheduler.remove_listener(next(one for one, _ in scheduler._listeners if one.__name__ == "look_around"))
    scheduler.start()
    scheduler.add_job(work)
    scheduler.add_job(fail)
    assert wait_for(monitor, 2) == {ended("work", "succeeded"), ended("fail", "failed")}


def test_coroutines(monitor):
    async def later():
        await asyncio.sleep(0)

    async def all_of_it():
        scheduler = monitor.watch(asynchronous.AsyncIOScheduler(timezone=UTC, job_defaults=HOWEVER_LATE))
        scheduler.start()
        scheduler.add_job(later, name="later")
        while not shown(monitor, "jobs_total"):
            await asyncio.sleep(0.005)
        scheduler.shutdown()

    asyncio.run(asyncio.wait_for(all_of_it(), 60))
    assert shown(monitor, "jobs_total") == {ended("later", "succeeded")}


def test_off_is_untouched(scheduler):
    off = Monitor(environ={"ENABLE_PROMETHEUS_METRICS": "false"})
    assert off.watch(scheduler) is scheduler
    assert not scheduler._listeners
