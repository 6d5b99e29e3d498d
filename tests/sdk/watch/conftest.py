"""Asks watched applications over their own interfaces, and reads what was counted."""

import asyncio
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Event, Thread

import httpx
import pytest

from trackside import Monitor


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict
    text: str


@pytest.fixture
def monitor():
    return Monitor("shop", environ={})


@pytest.fixture
def off():
    return Monitor("shop", environ={"ENABLE_PROMETHEUS_METRICS": "false"})


@pytest.fixture
def get():
    """Answer of an ASGI application."""

    def get(app, path, method="GET", root_path="", **options):
        async def ask():
            transport = httpx.ASGITransport(app, raise_app_exceptions=False, root_path=root_path)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                response = await client.request(method, path, **options)
                return Answer(response.status_code, dict(response.headers), response.text)

        return asyncio.run(ask())

    return get


@pytest.fixture
def get_wsgi():
    """Answer of a WSGI application."""

    def get(app, path, method="GET"):
        started = []
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "SCRIPT_NAME": "",
            "QUERY_STRING": "",
            "SERVER_NAME": "shop",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.input": BytesIO(),
            "wsgi.url_scheme": "http",
            "wsgi.errors": BytesIO(),
            "wsgi.version": (1, 0),
        }
        body = app(environ, lambda status, headers, exc_info=None: started.append((status, headers)))
        try:
            text = b"".join(body).decode()
        finally:
            if hasattr(body, "close"):
                body.close()
        status, headers = started[-1]
        return Answer(int(status[:3]), {name.lower(): value for name, value in headers}, text)

    return get


@pytest.fixture
def counted():
    """{(method, path, status): number of requests}"""

    def counted(monitor):
        return {
            tuple(sample.labels.get(name) for name in ("method", "path", "status")): sample.value
            for family in monitor.registry.collect()
            if family.name == "http_requests_total"
            for sample in family.samples
        }

    return counted


@pytest.fixture
def seconds():
    """Sum of the durations of all requests."""

    def seconds(monitor):
        return sum(
            sample.value
            for family in monitor.registry.collect()
            for sample in family.samples
            if sample.name == "http_request_duration_seconds_sum"
        )

    return seconds


@pytest.fixture
def samples():
    """{values of the labels: value} of the series of one name that have the given labels, None when there are none."""

    def samples(monitor, name, **labels):
        found = {
            tuple(value for label, value in sample.labels if label not in labels): sample.value
            for family in monitor.registry.collect()
            for sample in family.samples
            if sample.name == name and all(sample.labels.get(label) == value for label, value in labels.items())
        }
        return found.get((), found) if found else None

    return samples


class _Answers(BaseHTTPRequestHandler):
    """/status/418 answers so, /slow after a minute, /redirect leads to /status/200, /drop hangs up, /half in the
    middle."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/drop":
            self.close_connection = True
            return
        if self.path == "/slow":
            self.server.released.wait(60)
        kind, _, status = self.path[1:].partition("/")
        self.send_response(302 if kind == "redirect" else int(status or 200))
        if kind == "redirect":
            self.send_header("Location", "/status/200")
        self.send_header("Content-Length", "10" if self.path == "/half" else "2")
        self.end_headers()
        self.wfile.write(b"ok")
        self.close_connection = self.path == "/half"

    do_POST = do_DELETE = do_GET

    def log_message(self, *args):
        pass


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Clients that leave are what is tested."""


@pytest.fixture(scope="session")
def http_server():
    """http://127.0.0.1:port of a server that answers as its path says."""
    with _QuietServer(("127.0.0.1", 0), _Answers) as server:
        server.released = Event()
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.released.set()
        server.shutdown()
