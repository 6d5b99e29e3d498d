import json
import logging
import re
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
from free_ports import free_port

from trackside.sdk.logs.access import access_fields
from trackside.sdk.logs.fields import Scope

ASGI = """
import logging
from trackside import Monitor
monitor = Monitor("shop", environ={})
monitor.logs()
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    logging.getLogger("shop").info("working")
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
app = monitor.watch(app)
"""
WSGI = """
import logging
from trackside import Monitor
monitor = Monitor("shop", environ={})
monitor.logs()
def app(environ, start_response):
    logging.getLogger("shop").info("working")
    start_response("201 Created", [])
    return [b"hello"]
app = monitor.watch(app)
"""


def record(name, args, message="%s"):
    return logging.LogRecord(name, logging.INFO, "", 0, message, args, None)


def test_uvicorns_arguments():
    args = ("1.2.3.4:5", "GET", "/a?token=x", "1.1", 200)
    fields = access_fields(record("uvicorn.access", args), Scope({}, Scope({}, None, time.perf_counter() - 0.5)))
    assert 500 <= fields.pop("latency") < 60_000
    assert fields == {"method": "GET", "path": "/a", "status": 200, "client": "1.2.3.4:5", "httpVersion": "1.1"}


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(record("uvicorn.access", ()), id="other arguments"),
        pytest.param(record("gunicorn.access", ({"m": "GET"},)), id="other atoms"),
        pytest.param(record("shop", ()), id="no access log"),
    ],
)
def test_another_form_is_left_to_the_message(found):
    assert access_fields(found, None) == {}


def test_a_server_that_is_started_from_code_writes_lines_only(tmp_path):
    port = free_port()
    (tmp_path / "app.py").write_text(ASGI + f"import uvicorn; uvicorn.run(app, port={port})")
    server = subprocess.Popen(
        [sys.executable, "app.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        asked(f"http://127.0.0.1:{port}/items/3", {})
    finally:
        server.send_signal(signal.SIGTERM)
        output, _ = server.communicate(timeout=60)
    contexts = [json.loads(line)["context"] for line in output.splitlines() if line.startswith("{")]
    assert {"shop", "uvicorn.access", "uvicorn.error"} <= set(contexts)
    # What it says before it starts the application it says in its own way.
    assert len([line for line in output.splitlines() if not line.startswith("{")]) <= 2


@pytest.mark.parametrize(
    ("code", "command", "context"),
    [
        pytest.param(ASGI, ["uvicorn", "app:app", "--port"], "uvicorn.access", id="uvicorn"),
        pytest.param(WSGI, ["gunicorn", "app:app", "--access-logfile", "-", "-b"], "gunicorn.access", id="gunicorn"),
    ],
)
def test_a_real_server_writes_lines_only(tmp_path, code, command, context):
    (tmp_path / "app.py").write_text(code)
    port = free_port()
    address = f"127.0.0.1:{port}" if command[0] == "gunicorn" else str(port)
    server = subprocess.Popen(
        [sys.executable, "-m", *command, address],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        answer = asked(f"http://127.0.0.1:{port}/items/3?token=hunter2", {"X-Request-ID": "req-abc"})
        assert answer.headers["x-request-id"] == "req-abc"
    finally:
        server.send_signal(signal.SIGTERM)
        output, _ = server.communicate(timeout=60)
    lines = [json.loads(line) for line in output.splitlines()]
    by_context = {line["context"]: line for line in lines}
    assert by_context["shop"]["requestId"] == "req-abc"
    access = by_context[context]
    assert (access["method"], access["path"], access["status"]) == ("GET", "/items/3", 201)
    assert access["requestId"] == "req-abc"
    assert 0 <= access["latency"] < 60_000
    assert not re.search("hunter2", output)


def asked(url, headers):
    until_s = time.monotonic() + 60
    while True:
        try:
            return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30)
        except OSError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.05)
