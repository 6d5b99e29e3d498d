"""A prefork worker on a real Redis, of a Celery that cannot be installed beside another library for jobs."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from free_ports import free_port

APPLICATION = """
import os, signal, threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import celery
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from trackside import Monitor
from trackside.sdk.logs.fields import current_fields, open_scope

trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
monitor = Monitor("shop")
app = celery.Celery("shop", broker=os.environ["URL"], backend=os.environ["URL"])
app.conf.task_default_queue = "low"
monitor.watch(app)
orders = monitor.counter("orders_total", "Orders.")


def context():
    return [f"{trace.get_current_span().get_span_context().trace_id:032x}", current_fields().get("request_id")]


@app.task(name="work")
def work():
    orders.inc()
    return context()


@app.task(name="fail")
def fail():
    raise ValueError("no")


@app.task(name="again", bind=True, max_retries=2)
def again(self):
    if self.request.retries < 2:
        raise self.retry(exc=ValueError("not yet"), countdown=0)
    return context()


@app.task(name="die")
def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Quiet(WSGIRequestHandler):
    def log_message(self, *about):
        pass


@monitor.watch
def page(environ, start_response):
    start_response("404 Not Found", [])
    return [b""]


@celery.signals.worker_ready.connect(weak=False)
def serve(**about):
    server = make_server("127.0.0.1", int(os.environ["PORT"]), page, handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
"""

SENDER = """
import json
import time
import shop

shop.open_scope({"request_id": "request-7"})
with shop.trace.get_tracer("shop").start_as_current_span("request"):
    context = shop.context()
    began, ended = time.time(), []
    sent = [shop.work.apply_async(queue="high") for _ in range(3)]
    results = []
    for one in sent:
        results.append(one.get(timeout=60))
        ended.append(time.time() - began)
    results.append(shop.again.delay().get(timeout=60))
    shop.fail.delay().get(timeout=60, propagate=False)
    began = time.time()
    shop.work.apply_async(queue="high", countdown=5).get(timeout=60)
    ended.append(time.time() - began - 5)
    shop.die.delay()
print(json.dumps([context, results, sum(ended)]))
"""


@pytest.fixture
def application(tmp_path, library, redis_url):
    (tmp_path / "shop.py").write_text(APPLICATION)
    port = free_port()
    source = Path(__file__).parents[3] / "src"
    path = os.pathsep.join(map(str, (library("celery"), source, tmp_path)))
    # A database that no other test has.
    about = {"PYTHONPATH": path, "URL": redis_url.removesuffix("/0") + "/13", "PORT": str(port)}
    return tmp_path, {**os.environ, **about}


@pytest.fixture
def worker(application):
    folder, environment = application
    command = [sys.executable, "-m", "celery", "-A", "shop", "-q", "worker", "-P", "prefork", "-c", "2"]
    command += ["-Q", "low,high", "-l", "CRITICAL", "--without-gossip", "--without-mingle"]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        try:
            yield f"http://127.0.0.1:{environment['PORT']}/metrics"
        finally:
            # At once: Celery would take seconds.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def scraped(url):
    with urllib.request.urlopen(url, timeout=10) as page:
        lines = (line.rpartition(" ") for line in page.read().decode().splitlines() if not line.startswith("#"))
        return {series: float(value) for series, _, value in lines}


def wait_for(url, expected):
    """Until all of these series have these values: each process tells of what it has done when it has done it."""
    until, found = time.monotonic() + 60, {}
    while time.monotonic() < until:
        with suppress(OSError):
            found = scraped(url)
        if expected.items() <= found.items():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{expected} expected, {found}")


def test_tasks_of_a_prefork_worker_are_counted_and_belong_to_the_request_that_sent_them(worker, application):
    folder, environment = application
    # Tasks that were sent before it is there would wait for it.
    wait_for(worker, {"orders_total": 0})
    sender = [sys.executable, "-c", SENDER]
    done = subprocess.run(sender, env=environment, cwd=folder, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr + (folder / "log").read_text()
    context, results, longest_s = json.loads(done.stdout)
    assert context[0] != "0" * 32
    assert context[1] == "request-7"
    assert results == [context] * 4

    expected = {
        'jobs_total{job_name="work",queue="high",status="succeeded"}': 4,
        'jobs_total{job_name="again",queue="low",status="succeeded"}': 1,
        'jobs_total{job_name="fail",queue="low",status="failed"}': 1,
        'jobs_total{job_name="die",queue="low",status="failed"}': 1,
    }
    found = wait_for(worker, expected)
    counted = {series: value for series, value in found.items() if series.startswith("jobs_total") and value}
    assert counted == expected
    assert found['job_retries_total{job_name="again",queue="low"}'] == 2
    assert found['job_duration_seconds_count{job_name="work",queue="high"}'] == 4
    assert found['job_wait_seconds_count{queue="high"}'] == 4
    waited_s = found['job_wait_seconds_sum{queue="high"}']
    assert waited_s < longest_s + 0.1, "the wait counts from the moment a task was due"
    assert found["orders_total"] == 4
    assert not [series for series in found if series.startswith("trackside_sdk_errors_total")]
    # Of the queues it consumes from: a queue without such a series has nobody.
    assert {series for series in found if series.startswith("job_worker_last_seen")} == {
        f'job_worker_last_seen_timestamp_seconds{{queue="{queue}"}}' for queue in ("low", "high")
    }
