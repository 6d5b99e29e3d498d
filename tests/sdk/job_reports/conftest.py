"""A server on this machine that keeps the reports it is sent, and a monitor that reports to it."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from trackside import Monitor
from trackside.wire.job_reports import PATH, parsed


class Hub(ThreadingHTTPServer):
    def __init__(self):
        self.requests, self.status = [], 200
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    @property
    def reports(self):
        return [report for _, body in self.requests for _, report in parsed(body).reports]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        status = 204
        if self.path == PATH:
            status = self.server.status
            self.server.requests.append((dict(self.headers), gzip.decompress(body)))
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args):
        return None


@pytest.fixture
def hub():
    with Hub() as hub:
        threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield hub
        hub.shutdown()


@pytest.fixture
def monitor(hub):
    made = Monitor("shop", environ={"TRACKSIDE_URL": hub.url, "TRACKSIDE_KEY": "a key"})
    yield made
    made.context.pushing.stop()


@pytest.fixture
def reported(monitor, hub):
    """All that has been reported until now, by its kind."""

    def found():
        assert monitor.flush_signals()
        return {report.kind: report for report in hub.reports}

    return found
