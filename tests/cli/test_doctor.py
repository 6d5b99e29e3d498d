"""`trackside doctor` against real sockets."""

import json
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from click.testing import CliRunner

from trackside.cli.doctor import doctor
from trackside.exceptions import TracksideError

READY = (200, "application/json", b'{"status": "ready", "db": true}')
LIVE = (200, "application/json", b'{"status": "ok"}')
METRICS = (200, "text/plain", b"requests_total 1\n")


@pytest.fixture
def serve():
    servers = []

    def of(answers):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                status, kind, body = answers.get(self.path, (404, "text/plain", b""))
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield of
    for server in servers:
        server.shutdown()
        server.server_close()


def test_all_is_well(serve):
    url = serve({"/health/ready": READY, "/health/live": LIVE, "/metrics": METRICS})
    result = CliRunner().invoke(doctor, [url])

    assert result.exit_code == 0, result.output
    assert "✓ ready: db" in result.output
    assert "/metrics shows 1 series" in result.output


def test_a_poller_that_never_ran_is_said_once_with_what_to_do(serve):
    said = "session-poller has never run: no beat in the 40 s since it was declared"
    ready = (503, "application/json", json.dumps({"errors": {"session-poller": said}}).encode())
    beats = b'beat_interval_seconds{beat="session-poller"} 1\nbeat_last_timestamp_seconds{beat="session-poller"} 0\n'
    url = serve({"/health/ready": ready, "/metrics": (200, "text/plain", beats)})

    result = CliRunner().invoke(doctor, [url])

    assert result.exit_code == 1
    assert result.output.count("session-poller has never run") == 1
    assert "started with its background tasks" in result.output


def test_machines_get_json(serve):
    url = serve({"/health/ready": READY, "/metrics": (200, "text/plain", b"no metrics {{{")})
    result = CliRunner().invoke(doctor, [url, "--json"])

    assert result.exit_code == 1
    answer = json.loads(result.output)
    assert answer["healthy"] is False
    assert "no page of metrics" in answer["findings"][0]["sentence"]


@pytest.mark.parametrize(("status", "said"), [(401, "wants a key"), (404, "answers 404")])
def test_metrics_that_cannot_be_read_are_a_warning(serve, status, said):
    url = serve({"/health/ready": READY, "/metrics": (status, "text/plain", b"")})
    result = CliRunner().invoke(doctor, [url])

    assert result.exit_code == 0
    assert said in result.output


def test_nobody_answers():
    result = CliRunner().invoke(doctor, ["http://127.0.0.1:9"])
    assert isinstance(result.exception, TracksideError)
    assert "does not answer" in str(result.exception)


def test_an_address_is_needed():
    result = CliRunner().invoke(doctor, ["shop"])
    assert result.exit_code == 2
    assert "an address such as" in result.output


def test_a_server_says_first_what_is_wrong_with_jobs(serve):
    def as_json(answer, status=200):
        return (status, "application/json", json.dumps(answer).encode())

    alert = {"name": "QueueUnserved", "alerts": [{"state": "firing", "annotations": {"summary": "high"}}]}
    verdicts = [
        {"severity": "down", "sentence": "high: nobody consumes this queue.", "next_step": "Start a worker for high."},
        {"severity": "medium", "sentence": "render fails at times.", "next_step": "Read the newest traceback."},
    ]
    url = serve(
        {
            "/health/ready": READY,
            "/health/live": LIVE,
            "/metrics": METRICS,
            "/api/v1/rules": as_json({"data": {"groups": [{"rules": [alert]}]}}),
            "/api/v1/targets?state=active": as_json({"data": {"activeTargets": []}}),
            "/admin/health": as_json({"status": "down", "verdicts": verdicts}, 503),
        }
    )

    result = CliRunner().invoke(doctor, [url])

    assert result.exit_code == 1
    assert result.output.splitlines()[:5] == [
        "✗ high: nobody consumes this queue.",
        "  Start a worker for high.",
        "✗ the alert QueueUnserved fires: high",
        "! render fails at times.",
        "  Read the newest traceback.",
    ]


def test_a_real_server_that_cannot_read_its_jobs_says_so(tmp_path):
    config = tmp_path / "trackside.yml"
    config.write_text("jobs: {sources: [{name: rq, type: rq, url: 'redis://127.0.0.1:1/0', interval: 1s}]}\n")
    command = [sys.executable, "-m", "trackside.cli.main", "serve", "-c", config, "--data-dir", tmp_path / "data"]
    with subprocess.Popen(
        [*map(str, command), "--listen", "127.0.0.1:0", "--no-auth"], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            url = next(line for line in server.stdout if "listening on" in line).split()[-1]
            until = time.monotonic() + 90
            while "cannot be read" not in (result := CliRunner().invoke(doctor, [url, "--json"])).output:
                assert time.monotonic() < until, result.output
                time.sleep(0.2)
        finally:
            server.terminate()

    assert result.exit_code == 1
    first = json.loads(result.output)["findings"][0]
    assert first["severity"] == "problem"
    assert first["sentence"].startswith("The job source rq cannot be read: Redis at redis://127.0.0.1:1/0")
    assert first["advice"]
