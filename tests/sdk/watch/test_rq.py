import os
import signal
from datetime import UTC, datetime, timedelta

import pytest

from trackside import Monitor

pytest.importorskip("rq")
pytest.importorskip("opentelemetry.propagate")
import redis
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from rq import Queue, Retry, SimpleWorker, SpawnWorker, Worker
from rq.job import Job

APP = {}
"""What jobs reach as an application's own module: forked with the worker."""


def work(name="done"):
    APP["counter"].labels(name).inc()
    return name


def fail():
    APP["counter"].labels("fail").inc()
    raise ValueError("no")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def again():
    return Retry(max=1)


@pytest.fixture
def connection(redis_url):
    client = redis.Redis.from_url(redis_url)
    client.flushdb()
    yield client
    client.close()


@pytest.fixture
def monitor():
    monitor = Monitor("shop", environ={})
    APP["counter"] = monitor.counter("app_total", labels=("what",))
    return monitor


@pytest.fixture
def run(connection, monitor):
    """Enqueue, work everything off, and say what is shown without the zeros."""

    def run(*enqueue, kind=Worker, beginnings=("jobs_total", "job_retries")):
        queue = Queue("high", connection=connection)
        for one in enqueue:
            one(queue)
        work_off(monitor.watch(kind([queue], connection=connection)))
        return shown(monitor, *beginnings)

    return run


def work_off(worker):
    # The channel for commands: leaving it takes a second.
    worker.subscribe = worker.unsubscribe = lambda: None
    worker.work(burst=True, logging_level="CRITICAL")


def shown(monitor, *beginnings):
    lines = monitor.exposition().decode().splitlines()
    return {line for line in lines if line.startswith(beginnings) and not line.endswith(" 0")}


def name(function):
    return f"{function.__module__}.{function.__name__}"


def ended(function, status, count=1):
    return f'jobs_total{{job_name="{name(function)}",queue="high",status="{status}"}} {count}'


def retried(function, count):
    return f'job_retries_total{{job_name="{name(function)}",queue="high"}} {count}'


def enqueue(function, *arguments, **options):
    return lambda queue: queue.enqueue(function, *arguments, **options)


@pytest.mark.parametrize("kind", [pytest.param(Worker, id="work-horses"), pytest.param(SimpleWorker, id="no fork")])
def test_jobs_are_counted_as_they_end(run, monitor, kind):
    found = run(enqueue(work), enqueue(work, "x", result_ttl=0), enqueue(fail), kind=kind)
    assert found == {ended(work, "succeeded", 2), ended(fail, "failed")}
    assert shown(monitor, "job_duration_seconds_count", "job_wait_seconds_count") == {
        f'job_duration_seconds_count{{job_name="{name(work)}",queue="high"}} 2',
        f'job_duration_seconds_count{{job_name="{name(fail)}",queue="high"}} 1',
        'job_wait_seconds_count{queue="high"} 3',
    }
    assert shown(monitor, "jobs_in_progress", "trackside_sdk_errors") == set()


@pytest.mark.parametrize("kind", [pytest.param(Worker, id="work-horses"), pytest.param(SimpleWorker, id="no fork")])
def test_what_jobs_count_themselves_is_not_lost(run, kind):
    found = run(enqueue(work), enqueue(work), enqueue(work, "x"), enqueue(fail), kind=kind, beginnings=("app_total",))
    assert found == {'app_total{what="done"} 2', 'app_total{what="x"} 1', 'app_total{what="fail"} 1'}


def test_a_retry_is_no_failure_until_it_was_the_last(run):
    found = run(enqueue(fail, retry=Retry(max=2)))
    assert found == {retried(fail, 2), ended(fail, "failed")}


def test_a_job_may_ask_for_another_attempt(run):
    assert run(enqueue(again)) == {retried(again, 1), ended(again, "failed")}


def test_a_work_horse_that_is_killed_is_a_failed_job(run):
    assert run(enqueue(die), enqueue(work)) == {ended(die, "failed"), ended(work, "succeeded")}


def test_a_job_that_repeats_itself_has_succeeded(run):
    from rq import Repeat

    assert run(enqueue(work, repeat=Repeat(times=1, interval=3600))) == {ended(work, "succeeded")}


def test_a_worker_that_spawns_its_horses_is_measured_from_outside(run):
    # The new process imports jobs by their name, which a function of this file has not.
    found = run(enqueue("builtins.print"), enqueue("builtins.int", "x"), kind=SpawnWorker)
    assert found == {
        'jobs_total{job_name="builtins.print",queue="high",status="succeeded"} 1',
        'jobs_total{job_name="builtins.int",queue="high",status="failed"} 1',
    }


def test_the_wait_counts_from_the_moment_it_was_enqueued(run, monitor, connection):
    def enqueue_earlier(queue):
        job = queue.enqueue(work)
        moment = f"{datetime.now(UTC) - timedelta(seconds=20):%Y-%m-%dT%H:%M:%S.%fZ}"
        connection.hset(job.key, "enqueued_at", moment)
        assert Job.fetch(job.id, connection=connection).enqueued_at is not None

    run(enqueue_earlier)
    (line,) = shown(monitor, "job_wait_seconds_sum")
    assert 20 <= float(line.split()[-1]) < 60


@pytest.mark.parametrize(
    ("description", "shown_as"),
    [
        pytest.param("shop.jobs.resize(1, size='(big)')", "shop.jobs.resize", id="a call"),
        pytest.param("Resize picture 17", "(unnamed)", id="a text of the application's"),
        pytest.param("", "(unnamed)", id="nothing"),
    ],
)
def test_a_job_is_named_by_its_function(run, description, shown_as):
    (line,) = run(enqueue(work, description=description or " "))
    assert f'job_name="{shown_as}"' in line


def traced():
    APP["counter"].labels(f"{trace.get_current_span().get_span_context().trace_id:x}").inc()


SENDS = {
    "one": lambda queue: queue.enqueue(traced),
    "many": lambda queue: queue.enqueue_many([Queue.prepare_data(traced)]),
    "one that was made before": lambda queue: queue.enqueue_job(Job.create(traced, connection=queue.connection)),
    "one for later": lambda queue: queue.enqueue_at(datetime.now(UTC) - timedelta(seconds=1), traced),
}


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
def test_however_a_job_is_sent_it_carries_its_trace(connection, monitor, send):
    queue = monitor.watch(Queue("high", connection=connection))
    with TracerProvider().get_tracer("shop").start_as_current_span("request") as span:
        sent = send(queue)
    (job,) = sent if isinstance(sent, list) else [sent]
    stored = Job.fetch(job.id, connection=connection)
    assert f"{span.get_span_context().trace_id:x}" in stored.meta["trackside"]["traceparent"]


@pytest.mark.parametrize("kind", [pytest.param(Worker, id="work-horses"), pytest.param(SimpleWorker, id="no fork")])
def test_a_job_belongs_to_the_trace_that_enqueued_it(run, monitor, kind):
    def enqueue_in_a_request(queue):
        assert monitor.watch(queue) is monitor.watch(queue) is queue
        with TracerProvider().get_tracer("shop").start_as_current_span("request") as span:
            queue.enqueue(traced)
        ids.append(f"{span.get_span_context().trace_id:x}")

    ids = []
    found = run(enqueue_in_a_request, enqueue(traced), kind=kind, beginnings=("app_total",))
    assert found >= {f'app_total{{what="{ids[0]}"}} 1'}
    assert len(found) == 2


def test_watching_twice_counts_once(connection, monitor):
    queue = Queue("high", connection=connection)
    queue.enqueue(work)
    worker = Worker([queue], connection=connection)
    assert monitor.watch(worker) is monitor.watch(worker) is worker
    work_off(worker)
    assert shown(monitor, "jobs_total") == {ended(work, "succeeded")}


def test_off_is_untouched(connection):
    off = Monitor(environ={"ENABLE_PROMETHEUS_METRICS": "false"})
    worker = Worker([Queue("high", connection=connection)], connection=connection)
    before = dict(vars(worker))
    assert off.watch(worker) is worker
    assert vars(worker) == before


def test_what_goes_wrong_in_the_measuring_is_not_seen_by_the_worker(connection, monitor, monkeypatch):
    queue = Queue("high", connection=connection)
    job = queue.enqueue(work)
    worker = monitor.watch(Worker([queue], connection=connection))
    monkeypatch.setattr("trackside.sdk.watch.rq.Handover", lambda registry: 1 / 0)
    work_off(worker)
    assert job.get_status() == "finished"
    assert shown(monitor, "jobs_total") == {ended(work, "succeeded")}
    assert shown(monitor, "trackside_sdk_errors") == {'trackside_sdk_errors_total{where="prepare for a work-horse"} 1'}
