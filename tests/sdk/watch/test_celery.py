"""With Redis where Celery takes the installed client, which another library for jobs may keep too old for it; else with
a broker in the memory of the process that sends and consumes."""

import json
import subprocess
import sys
import time

import pytest

from trackside import Monitor

celery = pytest.importorskip("celery")
redis = pytest.importorskip("redis")
pytest.importorskip("opentelemetry.propagate")
trace = pytest.importorskip("opentelemetry.trace")
TracerProvider = pytest.importorskip("opentelemetry.sdk.trace").TracerProvider
start_worker = pytest.importorskip("celery.contrib.testing.worker").start_worker


TRACES, ENDED = [], []


@pytest.fixture
def monitor():
    return Monitor("shop", environ={})


@pytest.fixture
def settings(request):
    about = {
        "task_default_queue": "high",
        "broker_connection_retry_on_startup": False,
        "worker_hijack_root_logger": False,
    }
    if tuple(map(int, redis.__version__.split(".")[:2])) >= (6, 1):
        url = request.getfixturevalue("redis_url")
        redis.Redis.from_url(url).flushdb()
        return {**about, "broker_url": url, "result_backend": url}
    return {**about, "broker_url": "memory://", "broker_transport_options": {"polling_interval": 0.01}}


@pytest.fixture
def app(settings):
    app = celery.Celery("shop", set_as_current=False, tasks=celery.app.registry.TaskRegistry())
    app.conf.update(settings)

    @app.task(name="work", shared=False)
    def work():
        TRACES.append(trace.get_current_span().get_span_context().trace_id)

    @app.task(name="fail", shared=False)
    def fail():
        raise ValueError("no")

    @app.task(name="again", shared=False, bind=True, max_retries=2, default_retry_delay=0)
    def again(self):
        raise self.retry(countdown=0)

    @app.task(name="ignored", shared=False)
    def ignored():
        raise celery.exceptions.Ignore()

    yield app
    app.close()


@pytest.fixture
def run(app, monitor):
    """Send, work everything off, and say what is shown without the zeros."""

    def run(*tasks, beginnings=("jobs_total", "job_retries")):
        assert monitor.watch(app) is monitor.watch(app) is app
        # Whoever answers this signal sets up logging; else Celery would, for all tests of this process.
        celery.signals.setup_logging.connect(leave_logging_alone)
        celery.signals.task_postrun.connect(note_the_end)
        with start_worker(app, pool="solo", concurrency=1, perform_ping_check=False, loglevel="CRITICAL"):
            with TracerProvider().get_tracer("shop").start_as_current_span("request") as span:
                for name, options in tasks:
                    app.tasks[name].apply_async(**options)
            TRACES.append(span.get_span_context().trace_id)
            until = time.monotonic() + 90
            while seen(monitor) < len(tasks) and time.monotonic() < until:
                time.sleep(0.01)
        return shown(monitor, *beginnings)

    return run


def leave_logging_alone(**about):
    pass


def note_the_end(**about):
    ENDED.append(time.time())


def shown(monitor, *beginnings):
    lines = monitor.exposition().decode().splitlines()
    return {line for line in lines if line.startswith(beginnings) and not line.endswith(" 0")}


def seen(monitor):
    return sum(float(line.split()[-1]) for line in shown(monitor, "jobs_total"))


def ended(name, status, count=1):
    return f'jobs_total{{job_name="{name}",queue="high",status="{status}"}} {count}'


def retried(name, count):
    return f'job_retries_total{{job_name="{name}",queue="high"}} {count}'


def test_tasks_are_counted_as_they_end(run, monitor):
    sending = time.time()
    # One worker for all of it: each takes four seconds to stop.
    found = run(("work", {"countdown": 6}), ("fail", {}), ("again", {}), ("ignored", {}))
    assert found == {
        ended("work", "succeeded"),
        ended("fail", "failed"),
        retried("again", 2),
        ended("again", "failed"),
        ended("ignored", "cancelled"),
    }
    assert 'job_duration_seconds_count{job_name="again",queue="high"} 3' in shown(monitor, "job_duration")
    assert shown(monitor, "job_wait_seconds_count") == {'job_wait_seconds_count{queue="high"} 6'}
    assert shown(monitor, "jobs_in_progress", "trackside_sdk_errors") == set()
    (line,) = shown(monitor, "job_wait_seconds_sum")
    assert len(ENDED) == 6
    # One was due six seconds after it was sent.
    longest = sum(ended - sending for ended in ENDED) - 6
    assert float(line.split()[-1]) < longest + 0.1, "the wait counts from the moment a task was due"
    assert len(TRACES) == 2
    assert TRACES[0] == TRACES[1] != 0, "a task belongs to the trace that sent it"


def test_tasks_of_another_application_are_not_counted(app, monitor):
    other = celery.Celery("other", set_as_current=False)
    monitor.watch(other)
    task = app.tasks["work"]
    celery.signals.task_prerun.send(sender=task, task_id="1", task=task)
    celery.signals.task_failure.send(sender=task, task_id="1")
    assert shown(monitor, "jobs_total") == set()


def test_a_task_whose_process_died_has_failed(app, monitor):
    monitor.watch(app)
    task = app.tasks["work"]

    class Request:
        id = "1"
        delivery_info = {"routing_key": "high"}

    celery.signals.task_received.send(sender=None, request=Request())
    celery.signals.task_failure.send(sender=task, task_id="1")
    assert shown(monitor, "jobs_total") == {ended("work", "failed")}


def test_a_task_that_is_revoked_is_cancelled(app, monitor):
    monitor.watch(app)

    class Request:
        delivery_info = {"routing_key": "high"}

    celery.signals.task_revoked.send(sender=app.tasks["work"], request=Request())
    assert shown(monitor, "jobs_total") == {ended("work", "cancelled")}


def test_off_is_untouched(app):
    off = Monitor(environ={"ENABLE_PROMETHEUS_METRICS": "false"})
    before = len(celery.signals.task_prerun.receivers)
    assert off.watch(app) is app
    assert len(celery.signals.task_prerun.receivers) == before


PREFORK = """
import json, os, signal, sys
import celery
from trackside import Monitor
from trackside.sdk.push import background
# So long may its last numbers take here.
background.EXIT_TIMEOUT_S = 60
monitor = Monitor("shop", environ={"PROMETHEUS_REMOTE_WRITE_URL": sys.argv[2]})
app = celery.Celery("shop")
app.conf.update(json.loads(sys.argv[1]))
monitor.watch(app)
orders = monitor.counter("orders_total")

@app.task(name="work")
def work():
    orders.inc()

@app.task(name="leave")
def leave():
    os.kill(os.getppid(), signal.SIGTERM)

@celery.signals.worker_ready.connect(weak=False)
def send(**about):
    for _ in range(6):
        work.delay()
    leave.delay()

app.worker_main(["worker", "-P", "prefork", "-c", "1", "-l", "CRITICAL", "--without-gossip", "--without-mingle"])
"""


def test_what_the_processes_of_a_worker_count_is_pushed_when_they_end(settings, receiver):
    command = [sys.executable, "-c", PREFORK, json.dumps(settings), receiver.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    assert receiver.total("jobs_total", job_name="work", status="succeeded", queue="high") == 6
    assert receiver.total("orders_total") == 6
