"""A provider of models on loopback: plays what it is told to, over real sockets, whole or as a stream."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Provider:
    def __init__(self):
        self.plays = []
        self.paths = []
        self.gate = threading.Event()
        self.gate.set()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers.get("content-length") or 0))
                provider.paths.append(self.path)
                play = provider.plays.pop(0) if len(provider.plays) > 1 else provider.plays[0]
                play(self)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self):
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()

    def answers(self, body, status=200, headers=()):
        """Next time, or every time when it is the last thing told."""

        def play(request):
            text = json.dumps(body).encode()
            request.send_response(status)
            request.send_header("content-type", "application/json")
            request.send_header("content-length", str(len(text)))
            for name, value in headers:
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(text)

        self.plays.append(play)
        return self

    def streams(self, events, *, end=b"", cut=False):
        """Server-sent events. `cut`: the connection breaks within the body."""

        def play(request):
            request.send_response(200)
            request.send_header("content-type", "text/event-stream")
            request.send_header("transfer-encoding", "chunked")
            request.send_header("connection", "close")
            request.end_headers()
            for event in events:
                name = f"event: {event['type']}\n" if "type" in event else ""
                self._chunk(request, f"{name}data: {json.dumps(event)}\n\n".encode())
            if end:
                self._chunk(request, end)
            if not cut:
                request.wfile.write(b"0\r\n\r\n")
            request.close_connection = True

        self.plays.append(play)
        return self

    def hangs(self):
        """Until the test is over."""
        self.gate.clear()
        self.plays.append(lambda request: self.gate.wait(100))
        return self

    @staticmethod
    def _chunk(request, data):
        request.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        request.wfile.flush()


@pytest.fixture
def provider():
    provider = Provider()
    yield provider
    provider.close()


@pytest.fixture
def shown():
    """{series: value} of the families of queries, without zeros; of histograms only the counts."""

    def shown(monitor, *names):
        found = {}
        for family in monitor.registry.collect():
            if not family.name.startswith(names or "ai_"):
                continue
            for sample in family.samples:
                if sample.value and not sample.name.endswith(("_bucket", "_sum")):
                    labels = ",".join(sample.labels.as_dict()[name] for name in _order(sample.labels.as_dict()))
                    found[f"{sample.name}{{{labels}}}"] = sample.value
        return found

    return shown


def _order(labels):
    wanted = ("model", "operation", "type", "error", "outcome", "tool")
    return sorted(labels, key=lambda name: wanted.index(name) if name in wanted else 99)
