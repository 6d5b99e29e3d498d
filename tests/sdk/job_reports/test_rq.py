"""RQ's workers in this process, against a real Redis."""

import os
import signal
import threading
import time

import pytest

pytest.importorskip("rq")
pytest.importorskip("opentelemetry.propagate")
import redis
from opentelemetry.sdk.trace import TracerProvider
from rq import Queue, Retry, SimpleWorker, Worker
from rq.command import send_stop_job_command
from rq.job import Job
from rq.worker import WorkerStatus

from trackside.sdk.traces.carriers import continued


def work():
    pass


def fail():
    raise ValueError("no")


def fail_together():
    raise ExceptionGroup("two", [ValueError("a"), KeyError("b")])


def again():
    return Retry(max=1)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def endless():
    time.sleep(100)


@pytest.fixture
def connection(redis_url):
    client = redis.Redis.from_url(redis_url)
    client.flushdb()
    yield client
    client.close()


@pytest.fixture
def queue(connection):
    return Queue("high", connection=connection)


@pytest.fixture
def work_off(connection, queue, monitor, hub):
    def run(kind=Worker, worker=None):
        worker = worker or monitor.watch(kind([queue], connection=connection))
        worker.subscribe = worker.unsubscribe = lambda: None
        worker.work(burst=True, logging_level="CRITICAL")
        assert monitor.flush_signals()
        return hub.reports

    return run


KINDS = [pytest.param(Worker, id="work-horses"), pytest.param(SimpleWorker, id="no fork")]


@pytest.mark.parametrize("kind", KINDS)
def test_every_attempt_has_its_number_and_its_traceback(work_off, queue, kind):
    job = queue.enqueue(fail, retry=Retry(max=2))
    reports = work_off(kind)
    assert [(one.attempt, one.outcome) for one in reports] == [(1, "retried"), (2, "retried"), (3, "failed")]
    for one in reports:
        assert (one.id, one.kind, one.queue) == (job.id, f"{fail.__module__}.fail", "high")
        assert one.error == "ValueError: no"
        assert 'raise ValueError("no")' in one.traceback
        assert one.enqueued_ms <= one.started_ms <= one.finished_ms
        assert one.cpu_s is not None
    assert len({one.started_ms for one in reports}) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_group_of_exceptions_has_a_traceback(work_off, queue, kind):
    queue.enqueue(fail_together)
    (report,) = work_off(kind)
    assert "ValueError: a" in report.traceback
    assert report.error.startswith("ExceptionGroup: two")


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_that_asks_for_another_attempt_raised_nothing(work_off, queue, kind):
    queue.enqueue(again)
    reports = work_off(kind)
    assert [(one.attempt, one.outcome) for one in reports] == [(1, "retried"), (2, "failed")]
    assert {one.traceback for one in reports} == {""}


def test_a_killed_attempt_with_others_to_come_is_a_retry(work_off, queue):
    queue.enqueue(die, retry=Retry(max=1))
    first, last = work_off()
    assert [(one.attempt, one.outcome) for one in (first, last)] == [(1, "retried"), (2, "lost")]
    assert "signal 9" in first.error
    assert first.traceback == ""
    assert first.peak_memory_bytes > 1_000_000


def test_a_job_that_was_stopped_is_cancelled(queue, connection, monitor, hub):
    job = queue.enqueue(endless)
    worker = monitor.watch(Worker([queue], connection=connection))

    def stop():
        until = time.monotonic() + 60
        # Its process is what is killed.
        while job.get_status() != "started" or worker.get_state() != WorkerStatus.BUSY or not worker.horse_pid:
            assert time.monotonic() < until
            time.sleep(0.02)
        send_stop_job_command(connection, job.id)

    stopper = threading.Thread(target=stop)
    stopper.start()
    worker.work(burst=True, logging_level="CRITICAL")
    stopper.join()
    assert monitor.flush_signals()
    (report,) = hub.reports
    assert (report.outcome, report.error) == ("cancelled", "Job stopped by user, work-horse terminated.")


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_names_the_request_that_enqueued_it(work_off, queue, monitor, kind):
    with continued({"x-request-id": "8d2f"}):
        monitor.watch(queue).enqueue(work)
    (report,) = work_off(kind)
    assert report.request_id == "8d2f"


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_names_the_trace_of_the_request(work_off, queue, monitor, kind):
    with TracerProvider().get_tracer("shop").start_as_current_span("request") as span:
        monitor.watch(queue).enqueue(work)
    (report,) = work_off(kind)
    assert report.trace_id == f"{span.get_span_context().trace_id:032x}"


@pytest.mark.parametrize(
    ("description", "kind"),
    [
        pytest.param("shop.resize(1, size='(big)')", "shop.resize", id="a call"),
        pytest.param("Resize picture 17", f"{work.__module__}.work", id="words of the application's"),
    ],
)
def test_a_job_is_called_as_the_server_calls_it(work_off, queue, description, kind):
    queue.enqueue(work, description=description)
    (report,) = work_off()
    assert report.kind == kind


def test_meta_of_the_application_stays(work_off, queue, connection):
    job = queue.enqueue(fail, retry=Retry(max=1), meta={"user": 7})
    work_off()
    assert Job.fetch(job.id, connection=connection).meta["user"] == 7


def test_what_was_enqueued_again_by_hand_is_another_attempt(work_off, queue, connection):
    job = queue.enqueue(fail, retry=Retry(max=1))
    work_off()
    Job.fetch(job.id, connection=connection).requeue()
    reports = work_off()
    assert len({one.started_ms for one in reports}) == 3
    assert {one.id for one in reports} == {job.id}


def test_a_worker_shows_that_it_lives_with_nothing_to_do(work_off, monitor):
    assert work_off() == []
    (line,) = [line for line in monitor.exposition().decode().splitlines() if line.startswith("job_worker_last_seen")]
    assert line.startswith('job_worker_last_seen_timestamp_seconds{queue="high"} ')
    assert abs(float(line.split()[-1]) - time.time()) < 60


def test_a_report_that_goes_wrong_leaves_the_job_alone(queue, connection, monitor, hub):
    job = queue.enqueue(work)
    worker = monitor.watch(Worker([queue], connection=connection))
    worker.execute_job.__self__._attempts._reports = None
    worker.subscribe = worker.unsubscribe = lambda: None
    worker.work(burst=True, logging_level="CRITICAL")
    assert job.get_status() == "finished"
    counted = f'jobs_total{{job_name="{work.__module__}.work",queue="high",status="succeeded"}} 1'
    assert counted in monitor.exposition().decode()
    assert hub.reports == []
