"""Real servers with several workers: whichever is scraped shows all that was answered, whatever becomes of them."""

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from inspect import signature
from pathlib import Path

import pytest
from free_ports import free_port
from uvicorn import Config

from trackside.instruments.shared.place import clean, roots

ASGI = """
import os
from fastapi import FastAPI
from trackside import Monitor

app, monitor = FastAPI(), Monitor("workers")
orders = monitor.counter("orders_total", "Orders.", ("kind",))
served = monitor.gauge("served", "Served by.", mode="live")


@app.get("/items/{id}")
def item(id: int):
    orders.labels("gift").inc()
    served.set(1)
    return os.getpid()


monitor.watch(app)
"""

WSGI = """
import os
from flask import Flask
from trackside import Monitor

app, monitor = Flask("app"), Monitor("workers")
orders = monitor.counter("orders_total", "Orders.", ("kind",))
served = monitor.gauge("served", "Served by.", mode="live")


@app.route("/items/<int:id>")
def item(id):
    orders.labels("gift").inc()
    served.set(1)
    return str(os.getpid())


monitor.watch(app)
"""

WORKERS = 3
# Not to be killed while they stand still here: older versions have no choice.
PATIENT = (
    ["--timeout-worker-healthcheck", "100"] if "timeout_worker_healthcheck" in signature(Config).parameters else []
)
UVICORN = ["uvicorn", "app:app", "--workers", str(WORKERS), "--port", "{port}", "--log-level", "error", *PATIENT]
GUNICORN = ["gunicorn", "app:app", "-w", str(WORKERS), "-b", "127.0.0.1:{port}", "--log-level", "critical", "-t", "100"]
ASYNC = ["-k", "uvicorn.workers.UvicornWorker"]
SERVERS = [
    pytest.param((UVICORN, ASGI, "/items/{id}"), id="uvicorn"),
    pytest.param(([*GUNICORN, *ASYNC], ASGI, "/items/{id}"), id="gunicorn of uvicorn's workers"),
    pytest.param(([*GUNICORN, *ASYNC, "--preload"], ASGI, "/items/{id}"), id="the same, loaded before the fork"),
    pytest.param((GUNICORN, WSGI, "/items/<int:id>"), id="gunicorn"),
    pytest.param(([*GUNICORN, "--preload"], WSGI, "/items/<int:id>"), id="gunicorn, loaded before the fork"),
]


class Server:
    def __init__(self, directory, command, app, path=""):
        self.path = path
        (directory / "app.py").write_text(app)
        self.port = free_port()
        source = Path(__file__).parents[2] / "src"
        self._process = subprocess.Popen(
            [sys.executable, "-m", *(part.format(port=self.port) for part in command)],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{directory}", "PORT": str(self.port)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.answered = 0

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def item(self):
        """The process that answered; None when it was killed meanwhile."""
        try:
            status, body = self.get("/items/1")
        except OSError:
            return None
        except http.client.HTTPException:
            return None
        assert status == 200
        self.answered += 1
        return int(body)

    def scrape(self):
        status, body = self.get("/metrics")
        assert status == 200
        lines = (line.rpartition(" ") for line in body.splitlines() if not line.startswith("#"))
        return {series: float(value) for series, _, value in lines}

    def until(self, true, what):
        until = time.monotonic() + 60
        while not true():
            assert time.monotonic() < until, what
            time.sleep(0.05)

    def wait(self):
        self.until(lambda: self.item() is not None, "the server does not start")

    def stop(self, signal_number=signal.SIGTERM):
        os.killpg(self._process.pid, signal_number)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        # Its first process may know nothing of our files. Whatever starts next removes them.
        self.until(lambda: not [*self._left_behind()], "files stay")

    def _left_behind(self):
        for root in roots():
            clean(root)
            yield from root.glob(f"*-{self._process.pid}-*")


@pytest.fixture(params=SERVERS)
def server(request, tmp_path):
    started = Server(tmp_path, *request.param)
    try:
        started.wait()
        yield started
    finally:
        started.stop()


def is_counter(series):
    name = series.partition("{")[0]
    return name.endswith(("_total", "_bucket", "_count", "_sum")) and "pid=" not in series


def test_any_worker_shows_all_and_nothing_goes_back_when_they_are_killed(server):
    server.until(lambda: server.scrape()["trackside_sdk_processes"] >= WORKERS, "not all workers start")
    workers = _all_of(server)
    # Some servers have sent an answer before its end is counted.
    requests = f'http_requests_total{{method="GET",path="{server.path}",status="200"}}'
    server.until(lambda: server.scrape().get(requests) == server.answered, "not all requests are counted")
    for _ in range(8):
        found = server.scrape()
        assert found['orders_total{kind="gift"}'] == server.answered
        assert found[requests] == server.answered
        assert found["trackside_sdk_processes"] >= WORKERS
    # What is asked of each process is known to the others a little later.
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = server.scrape()
        shown = {
            int(pid) for series in found for pid in re.findall(r'process_resident_memory_bytes{pid="(\d+)"}', series)
        }
        if workers <= shown:
            break
        time.sleep(0.1)
    assert workers <= shown
    assert {series for series in found if series.startswith("served")} >= {f'served{{pid="{pid}"}}' for pid in workers}
    _kill_and_scrape(server, kills=4)
    server.wait()
    assert server.scrape()['orders_total{kind="gift"}'] == server.answered
    assert not [series for series in server.scrape() if series.startswith("trackside_sdk_errors")]


def _all_of(server):
    """Each has answered at least once. The system prefers some, so those that have stand still meanwhile."""
    found = set()
    try:
        while len(found) < WORKERS:
            worker = server.item()
            assert worker not in found
            found.add(worker)
            _stop(worker)
    finally:
        for worker in found:
            os.kill(worker, signal.SIGCONT)
    return found


def _stop(worker):
    os.kill(worker, signal.SIGSTOP)
    # It may be in the middle of something: what came next could still be its own.
    until = time.monotonic() + 60
    while Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < until
        time.sleep(0.001)


def _kill_and_scrape(server, kills):
    last = {}
    until = time.monotonic() + 60
    for number in range(10_000):
        worker = server.item()
        if worker is not None and number % 5 == 4:
            os.kill(worker, signal.SIGKILL)
            kills -= 1
        try:
            found = server.scrape()
        except (OSError, http.client.HTTPException):
            # It was the killed one that had taken the connection.
            continue
        back = {series: (last[series], value) for series, value in found.items() if value < last.get(series, 0)}
        assert not {series: values for series, values in back.items() if is_counter(series)}
        assert not [series for series in last if is_counter(series) and series not in found]
        last = found
        if kills <= 0 or time.monotonic() > until:
            break
    assert kills <= 0


POLLER = """
import os, threading, time
from flask import Flask
from trackside import Monitor

app, monitor = Flask("app"), Monitor("workers")
beat = monitor.beat("poller", every=60)
stop = threading.Event()


def poll():
    while not stop.wait(0.05):
        beat()


@app.route("/items/<int:id>")
def item(id):
    return str(os.getpid())


@app.route("/start")
def start():
    threading.Thread(target=poll, daemon=True).start()
    return str(os.getpid())


monitor.watch(app)
"""


def test_all_workers_are_ready_when_one_of_them_has_the_poller(tmp_path):
    server = Server(tmp_path, GUNICORN, POLLER)
    try:
        server.wait()
        server.until(lambda: server.scrape()["trackside_sdk_processes"] >= WORKERS, "not all workers start")
        workers = _all_of(server)
        status, body = server.get("/health/ready")
        assert status == 503
        assert "poller has never run" in body
        status, poller = server.get("/start")
        assert status == 200
        server.until(lambda: server.get("/health/ready")[0] == 200, "the poller has not run")
        # Those without it, asked alone.
        _stop(int(poller))
        for worker in workers - {int(poller)}:
            others = workers - {int(poller), worker}
            for other in others:
                _stop(other)
            assert server.get("/health/ready") == (200, '{"status": "ready", "poller": true}')
            for other in others:
                os.kill(other, signal.SIGCONT)
        # What it has said last counts when it is gone, too.
        os.kill(int(poller), signal.SIGKILL)
        assert server.get("/health/ready")[0] == 200
    finally:
        server.stop()


CELERY = """
import os, signal, threading, time
from wsgiref.simple_server import WSGIRequestHandler, make_server
import celery
from trackside import Monitor

app = celery.Celery("app", broker="filesystem://")
for folder in ("written", "queue", "control"):
    os.makedirs(folder, exist_ok=True)
# A worker stops with an error when it reads a file that is being written: `deliver` moves those that are whole.
app.conf.broker_transport_options = {
    "data_folder_in": "queue", "data_folder_out": "written", "control_folder": "control", "polling_interval": 0.02
}
monitor = Monitor("workers")
monitor.watch(app)
orders = monitor.counter("orders_total", "Orders.", ("kind",))
served = monitor.gauge("served", "Served by.", mode="live")


@app.task(name="order")
def order():
    time.sleep(0.01)
    orders.labels("gift").inc()
    served.set(1)


@app.task(name="die")
def die():
    # Not told from outside: a process that waits for tasks may have a lock that all others want.
    os.kill(os.getpid(), signal.SIGKILL)


def deliver():
    for name in os.listdir("written"):
        os.rename(f"written/{name}", f"queue/{name}")


class Quiet(WSGIRequestHandler):
    def log_message(self, *about):
        pass


def page(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] != "/metrics":
        app.tasks[environ["PATH_INFO"][1:]].delay()
        deliver()
        return [b"0"]
    return [monitor.exposition()]


@celery.signals.worker_ready.connect(weak=False)
def serve(**about):
    server = make_server("127.0.0.1", int(os.environ["PORT"]), page, handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
"""


def test_the_first_process_of_celery_shows_what_those_have_counted_that_ran_the_tasks(tmp_path):
    pytest.importorskip("celery")
    command = ["celery", "-A", "app", "worker", "-P", "prefork", "-c", str(WORKERS), "-l", "CRITICAL"]
    command += ["--without-gossip", "--without-mingle"]
    server = Server(tmp_path, command, CELERY)
    try:
        until, last = time.monotonic() + 80, {}
        sent, kills = 0, 2
        while time.monotonic() < until:
            try:
                sent += server.get("/order")[0] == 200
                found = server.scrape()
            except OSError:
                time.sleep(0.1)
                continue
            assert not {name for name, value in last.items() if is_counter(name) and found.get(name, -1) < value}
            last = found
            living = [int(name.split('"')[1]) for name in found if name.startswith("served")]
            counted = found.get('orders_total{kind="gift"}', 0)
            if kills and living and counted >= 10 * (3 - kills):
                kills -= 1
                server.get("/die")
            if not kills and counted >= 40:
                break
        assert not kills
        # A task is lost with the process that ran it, at most: when all have ended that are running now.
        while True:
            last = server.scrape()
            counted = last['orders_total{kind="gift"}']
            ended = last['jobs_total{job_name="order",queue="celery",status="succeeded"}']
            if (sent - 2 <= counted <= sent and counted - 2 <= ended <= counted) or time.monotonic() > until:
                break
            time.sleep(0.05)
        assert sent - 2 <= counted <= sent
        assert counted - 2 <= ended <= counted
    finally:
        # At once: it would wait for its tasks.
        server.stop(signal.SIGKILL)
