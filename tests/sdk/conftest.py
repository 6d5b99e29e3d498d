"""A receiver of remote write on this machine, which keeps what it is sent and answers as it is told."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from trackside import Monitor
from trackside.sdk.health import Health
from trackside.sdk.push import transport
from trackside.wire.remote_write import decode

PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """What an application may wait for one second or three, it gets here: a busy machine stops anything for as long.
    A test of how long something waits says so itself."""
    monkeypatch.setitem(Health.check.__kwdefaults__, "timeout_s", PATIENCE_S)
    for flush in (Monitor.flush, Monitor.flush_signals):
        monkeypatch.setattr(flush, "__defaults__", (PATIENCE_S,))
    monkeypatch.setattr(transport, "TIMEOUT_S", PATIENCE_S)


class Receiver:
    def __init__(self):
        self.requests = []
        self.arrived = threading.Condition()
        self.answers = []
        """(status, headers) of the next ones; 204 when there are none."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.arrived:
                    receiver.requests.append((self.path, dict(self.headers), decode(body)))
                    receiver.arrived.notify_all()
                status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *about):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def wait_for(self, count, timeout_s=60):
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= count, timeout_s), "nothing arrived"

    def values(self, name):
        """{(instance): latest value} of a series without other labels than job and instance."""
        return {
            series.labels.get("instance"): series.samples[0].value
            for _, _, request in self.requests
            for series in request.series
            if series.labels.get("__name__") == name
        }

    def total(self, name, **labels):
        """The latest values of all series with these labels, added up over the processes that pushed them."""
        latest = {
            series.labels: series.samples[-1].value
            for _, _, request in self.requests
            for series in request.series
            if all(series.labels.get(key) == value for key, value in {**labels, "__name__": name}.items())
        }
        return sum(latest.values())


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()
