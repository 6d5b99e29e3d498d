"""The alerts of our rules, handed over to a real Alertmanager, which then tells people; and both side by side."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from free_ports import free_port

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("prometheus-alertmanager") is None, reason="needs Alertmanager"),
]

THEIRS = """
route: {{receiver: all, group_by: [alertname], group_wait: 0s, group_interval: 1s}}
receivers: [{{name: all, webhook_configs: [{{url: "http://127.0.0.1:{sink}/theirs"}}]}}]
"""
OURS = """
global: {{evaluation_interval: 200ms}}
rule_files: [rules.yml]
alerting: {{backend: "http://127.0.0.1:{theirs}", mirror: {mirror}}}
route: {{receiver: all, group_by: [alertname], group_wait: 0s, group_interval: 1s}}
receivers: [{{name: all, webhook_configs: [{{url: "http://127.0.0.1:{sink}/ours"}}]}}]
"""
RULES = """
groups:
- name: g
  rules:
  - {{alert: {alert}, expr: "vector(7)", labels: {{severity: page}}, annotations: {{summary: "{{{{ $value }}}}"}}}}
"""


class Sink(ThreadingHTTPServer):
    """Everybody's receiver."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, str]] = []
        """Whose Alertmanager told, which alert, and how it is."""
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                sink.got += [(self.path[1:], one["labels"]["alertname"], one["status"]) for one in body["alerts"]]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def wait_for(probe: Callable[[], object], within_s: float = 90) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if probe():
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"not within {within_s} s")


@pytest.fixture
def run(tmp_path) -> Iterator[Callable[..., None]]:
    running: list[subprocess.Popen] = []

    def start(*command: str) -> None:
        with (tmp_path / f"{len(running)}.log").open("wb") as output:
            running.append(subprocess.Popen(command, stdout=output, stderr=output, cwd=tmp_path))

    yield start
    for process in reversed(running):
        process.terminate()
    for process in running:
        process.wait(timeout=60)


def test_a_real_alertmanager_tells_of_our_alerts_and_both_do_where_they_are_compared(run, tmp_path):
    sink, theirs, ours = Sink(), free_port(), free_port()

    def configure(alert: str, mirror: bool) -> None:
        (tmp_path / "rules.yml").write_text(RULES.format(alert=alert))
        text = OURS.format(theirs=theirs, sink=sink.server_port, mirror=str(mirror).lower())
        (tmp_path / "trackside.yml").write_text(text)

    (tmp_path / "alertmanager.yml").write_text(THEIRS.format(sink=sink.server_port))
    configure("First", mirror=False)
    listening = f"--web.listen-address=127.0.0.1:{theirs}"
    files = ("--config.file=alertmanager.yml", "--storage.path=theirs")
    run("prometheus-alertmanager", *files, listening, "--cluster.listen-address=")
    wait_for(lambda: httpx.get(f"http://127.0.0.1:{theirs}/-/ready").is_success)
    serve = ("serve", "--no-auth", "--config", "trackside.yml", "--data-dir", "ours", "--listen", f"127.0.0.1:{ours}")
    run(sys.executable, "-m", "trackside.cli.main", *serve)

    wait_for(lambda: ("theirs", "First", "firing") in sink.got)
    (alert,) = httpx.get(f"http://127.0.0.1:{theirs}/api/v2/alerts", timeout=60).json()
    assert (alert["labels"], alert["annotations"]) == (
        {"alertname": "First", "severity": "page"},
        {"summary": "7"},
    )
    # Four times the delay after which it is told again.
    lasts = datetime.fromisoformat(alert["endsAt"]) - datetime.fromisoformat(alert["updatedAt"])
    assert abs(lasts.total_seconds() - 240) < 25

    configure("Second", mirror=True)
    assert httpx.post(f"http://127.0.0.1:{ours}/-/reload", timeout=60).is_success
    expected = {("theirs", "First", "firing"), ("theirs", "First", "resolved"), ("theirs", "Second", "firing")}
    wait_for(lambda: expected | {("ours", "Second", "firing")} <= set(sink.got))
    # Nobody was told by us of what had been handed over.
    assert set(sink.got) == expected | {("ours", "Second", "firing")}
    sink.shutdown()
