"""The real sentry-sdk, in a process of its own (what it patches stays patched), against a receiver on loopback."""

import gzip
import json
import logging
import re
import subprocess
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from trackside import Monitor
from trackside.sdk.about import About
from trackside.sdk.errors.sentry import joined
from trackside.sdk.logs.fields import open_scope, remember_scope

APP = """
import logging, sys
import sentry_sdk
from fastapi import FastAPI, Request
from sentry_sdk.integrations.fastapi import FastApiIntegration
from sentry_sdk.integrations.starlette import StarletteIntegration
from fastapi.testclient import TestClient
from trackside import Monitor

monitor = Monitor("shop")
monitor.logs(stream="stderr")
app = monitor.watch(FastAPI())
# Not all that is installed beside the tests: importing it takes ten seconds.
only = {"auto_enabling_integrations": False, "integrations": [StarletteIntegration(), FastApiIntegration()]}
assert monitor.errors(secret_keys=("tenant_pin",), **only), "not set up"
assert monitor.errors(), "not twice"

class PaymentError(Exception):
    pass

@app.post("/pay")
async def pay(request: Request):
    monitor.bind(user_id="user-123")
    nested = {"items": [{"tenantPin": "SECRET-pin"}], "credentials": {"user": "SECRET-user"}}
    password = "SECRET-local"
    body = await request.json()
    logging.getLogger("shop").info("trying with token=SECRET-crumb", extra={"api_key": "SECRET-extra"})
    sentry_sdk.add_breadcrumb(data={"url": "https://x/?token=SECRET-url", "Authorization": "SECRET-hdr"})
    sentry_sdk.set_context("payment", {"card": {"cvv": "SECRET-cvv"}, "url": "postgres://u:SECRET-dburl@db/x"})
    with sentry_sdk.start_span(op="db", name="select") as span:
        span.set_data("db.password", "SECRET-span")
    raise PaymentError(f"refused with {body['password']} and {password}")

@app.get("/health")
def health():
    return {}

client = TestClient(app, raise_server_exceptions=False)
client.post(
    "/pay?token=SECRET-query&page=2",
    json={"password": "SECRET-body", "deep": [{"secret": "SECRET-deep"}], "amount": 12},
    headers={"Authorization": "Bearer SECRET-auth", "X-Api-Key": "SECRET-key", "X-Request-ID": "req-abc"},
    cookies={"session": "SECRET-cookie"},
)
client.get("/health/live")
assert monitor.flush(60)
"""


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["content-length"]))
        encoding = self.headers.get("content-encoding")
        self.server.bodies.append(gzip.decompress(body) if encoding == "gzip" else _opened(body, encoding))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        return None


def _opened(body, encoding):
    if encoding == "br":
        import brotli

        return brotli.decompress(body)
    return zlib.decompress(body) if encoding == "deflate" else body


def items_of(body):
    """(type, payload) of an envelope."""
    _, _, rest = body.partition(b"\n")
    while rest.strip():
        header, _, rest = rest.partition(b"\n")
        about = json.loads(header)
        length = about.get("length", rest.find(b"\n") if b"\n" in rest else len(rest))
        yield about["type"], json.loads(rest[:length])
        rest = rest[length:].lstrip(b"\n")


@pytest.fixture(scope="module")
def sent():
    """All that left the application, raw and by item."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.bodies = []
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        environ = {
            "PYTHONPATH": ":".join(sys.path),
            "SENTRY_DSN": f"http://public@127.0.0.1:{server.server_port}/prefix/1",
            "SENTRY_TRACES_SAMPLE_RATE": "1.0",
            "ENVIRONMENT": "production",
            "APP_VERSION": "1.2.3",
            "NO_PROXY": "*",
        }
        ended = subprocess.run(
            [sys.executable, "-c", APP], env=environ, capture_output=True, text=True, timeout=110, check=False
        )
        server.shutdown()
    assert ended.returncode == 0, ended.stderr
    return server.bodies, [item for body in server.bodies for item in items_of(body)], ended.stderr


def test_an_error_arrives_with_what_the_environment_says(sent):
    events = [payload for kind, payload in sent[1] if kind == "event"]
    assert len(events) == 1
    event = events[0]
    assert (event["environment"], event["release"]) == ("production", "1.2.3")
    assert event["exception"]["values"][-1]["type"] == "PaymentError"
    assert event["tags"]["requestId"] == "req-abc"
    assert event["user"]["id"] == "user-123"


def test_no_secret_left_the_process(sent):
    bodies, items, _ = sent
    assert items
    for body in bodies:
        assert re.findall(rb".{60}SECRET-.{30}", body) == []


def test_what_is_no_secret_arrived(sent):
    event = next(payload for kind, payload in sent[1] if kind == "event")
    assert event["request"]["query_string"] == "token=[Filtered]&page=2"
    frames = event["exception"]["values"][-1]["stacktrace"]["frames"]
    assert frames[-1]["vars"]["password"] == "[Filtered]"
    assert any("trying with token=[Filtered]" in str(crumb) for crumb in event["breadcrumbs"]["values"])


def test_requests_are_traced_and_questions_about_health_are_not(sent):
    names = [payload["transaction"] for kind, payload in sent[1] if kind == "transaction"]
    assert names == ["/pay"]


def test_the_log_lines_hold_no_secret_either(sent):
    lines = [json.loads(line) for line in sent[2].splitlines() if line.startswith("{")]
    assert any(line["message"] == "trying with token=[Filtered]" for line in lines)
    tried = next(line for line in lines if line["context"] == "shop")
    assert tried["api_key"] == "[Filtered]"


def test_without_an_address_nothing_happens_and_it_is_said_once(caplog):
    monitor = Monitor(environ={})
    with caplog.at_level(logging.DEBUG, "trackside"):
        assert monitor.errors() is False
        assert monitor.errors() is False
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("DEBUG", "errors are not reported: SENTRY_DSN is not set")
    ]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"dsn": "no address"}, id="no address"),
        pytest.param({"dsn": "http://k@h/1", "transport": print}, id="no transport"),
        pytest.param({"dsn": "http://k@h/1", "no_such_option": 1}, id="unknown option"),
    ],
)
def test_what_sentry_refuses_does_not_reach_the_application(options):
    monitor = Monitor(environ={})
    assert monitor.errors(**options) is False
    assert 'where="set Sentry up"} 1' in monitor.exposition().decode()


def test_an_event_is_joined_to_the_request_its_error_left():
    error = ValueError()
    token = open_scope({"request_id": "r", "user_id": 7})
    remember_scope(error)
    token.var.reset(token)
    event = joined(None)({}, {"exc_info": (ValueError, error, None)})
    assert event == {"tags": {"requestId": "r"}, "user": {"id": "7"}}


def test_what_the_application_says_wins():
    token = open_scope({"request_id": "r", "user_id": 7})
    try:
        found = joined(lambda event, hint: {**event, "seen": True})({"user": {"id": "own"}, "tags": {}}, {})
        assert joined(lambda event, hint: None)({}, {}) is None
        assert joined(None)({"tags": 5}, {}) == {"tags": 5}
    finally:
        token.var.reset(token)
    assert (found["user"]["id"], found["seen"]) == ("own", True)


def test_settings_hide_addresses():
    about = Monitor(environ={"SENTRY_DSN": "https://key@host/1", "LOKI_URL": "https://u:p@host"}).about
    assert isinstance(about, About)
    assert "key" not in repr(about.signals)
    assert "u:p" not in repr(about.signals)
