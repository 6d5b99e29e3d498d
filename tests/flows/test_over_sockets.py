"""The same story with real processes and sockets: what an operator sees, and what survives a kill."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from free_ports import free_port

RULES = """
groups:
- name: targets
  rules:
  - alert: ShopDown
    expr: up{job="shop"} == 0
    for: 2s
"""


def eventually(probe: Callable[[], object], within_s: float = 60.0) -> object:
    """The first truthy answer of `probe`; the last error when there is none in time."""
    deadline, problem = time.monotonic() + within_s, None
    while time.monotonic() < deadline:
        try:
            if found := probe():
                return found
        except (httpx.HTTPError, ValueError, KeyError, IndexError, AssertionError) as error:
            problem = error
        time.sleep(0.1)
    raise AssertionError(f"not within {within_s} s: {problem!r}")


class Server:
    """`trackside serve` in a process of its own."""

    def __init__(self, folder: Path, config: str) -> None:
        self.folder, self.port = folder, free_port()
        (folder / "trackside.yml").write_text(config)
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "trackside.cli.main", "serve", "--config", str(self.folder / "trackside.yml")]
        command += ["--data-dir", str(self.folder / "data"), "--listen", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert re.fullmatch(rf"listening on http://127\.0\.0\.1:{self.port}\n", line), self.process.stderr.read()
        key = (self.folder / "data" / "admin.key").read_text().strip()
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers={"Authorization": f"Bearer {key}"}, timeout=60
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
        self.client.close()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        self.process.stderr.close()
        self.client.close()
        return code

    def get(self, path: str, **params: str) -> object:
        response = self.client.get(path, params=params)
        response.raise_for_status()
        return response.json()["data"]

    def vector(self, query: str) -> list[dict]:
        return self.get("/api/v1/query", query=query)["result"]

    def delivered(self) -> int:
        """How many notifications, as it finds them when it starts again."""
        with closing(sqlite3.connect(f"file:{self.folder}/data/trackside.db?mode=ro", uri=True)) as database:
            query = "SELECT count(*) FROM notification WHERE delivered_at_ms IS NOT NULL"
            return database.execute(query).fetchone()[0]

    def value(self, query: str) -> float:
        (result,) = self.vector(query)
        return float(result["value"][1])


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """`host:port` of an HTTP server on a thread."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def received() -> list[dict]:
    return []


@pytest.fixture
def chat(received) -> Iterator[str]:
    class Chat(Quiet):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

    with listening(Chat) as address:
        yield address


def config(chat: str, **targets: str) -> str:
    jobs = "".join(
        f"- job_name: {job}\n  body_size_limit: 1MB\n  static_configs: [{{targets: ['{address}']}}]\n"
        for job, address in targets.items()
    )
    return f"""
global: {{scrape_interval: 1s, scrape_timeout: 500ms, evaluation_interval: 1s}}
scrape_configs:
{jobs}
rule_files: [rules.yml]
route: {{receiver: chat, group_wait: 1s, group_interval: 2s}}
receivers:
- name: chat
  webhook_configs: [{{url: "http://{chat}/"}}]
"""


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[[str], Server]]:
    (tmp_path / "rules.yml").write_text(RULES)
    servers: list[Server] = []

    def make(text: str) -> Server:
        servers.append(Server(tmp_path, text))
        return servers[-1]

    yield make
    for server in servers:
        if server.process.poll() is None:
            server.stop()


class Shop(Quiet):
    def do_GET(self) -> None:
        body = b"# TYPE orders_total counter\norders_total 5\n"
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_a_killed_server_goes_on_where_it_was(start, chat, received):
    with listening(Shop) as shop:
        server = start(config(chat, shop=shop))
        eventually(lambda: server.value('count_over_time(up{job="shop"}[1m])') >= 5)
        before = server.value('count_over_time(up{job="shop"}[1m])')
    eventually(lambda: received)
    # Killed before it has noted that, it would tell again: better twice than never.
    eventually(lambda: server.delivered())

    server.kill()
    server.start()

    assert server.value('count_over_time(up{job="shop"}[10m])') >= before, "at most the last interval may be missing"
    (alert,) = eventually(lambda: server.get("/api/v1/alerts")["alerts"])
    assert alert["state"] == "firing"
    time.sleep(3)
    assert [one["status"] for one in received] == ["firing"], "not told again"


def test_stopping_is_orderly_and_quick(start, chat):
    server = start(config(chat))
    started = time.monotonic()

    assert server.stop() == 0
    assert time.monotonic() - started < 30


class Garbage(Quiet):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(os.urandom(5_000))


class Flood(Quiet):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        chunk = b"flood_total 1\n" * 10_000
        try:
            for _ in range(800):
                self.wfile.write(chunk)
        except OSError:
            pass


class Endless(Quiet):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"drip 1\n")
                time.sleep(0.05)
        except OSError:
            pass


def test_hostile_targets_are_down_with_a_reason_and_nobody_else_suffers(start, chat):
    with (
        listening(Garbage) as garbage,
        listening(Flood) as flood,
        listening(Endless) as endless,
        listening(Shop) as shop,
    ):
        server = start(config(chat, shop=shop, garbage=garbage, flood=flood, endless=endless, nobody="127.0.0.1:1"))
        eventually(lambda: server.value('count_over_time(up{job="shop"}[1m])') >= 4)
        # A busy machine may be too late for one scrape or another.
        eventually(lambda: not each_has_its_reason(server))


def each_has_its_reason(server: Server) -> None:
    up = {result["metric"]["job"]: result["value"][1] for result in server.vector("up")}
    reasons = {t["labels"]["job"]: t["lastError"] for t in server.get("/api/v1/targets")["activeTargets"]}
    assert up == {"shop": "1", "trackside": "1", "garbage": "0", "flood": "0", "endless": "0", "nobody": "0"}
    assert "body_size_limit" in reasons["flood"]
    assert "500ms" in reasons["endless"] or "0.5 s" in reasons["endless"]
    assert reasons["garbage"]
    assert reasons["nobody"]
    assert reasons["shop"] == ""


def test_a_reload_takes_effect_and_a_bad_one_changes_nothing(start, chat, tmp_path):
    with listening(Shop) as shop:
        server = start(config(chat))
        (tmp_path / "trackside.yml").write_text(config(chat, shop=shop))
        assert server.client.post("/-/reload").status_code == 200
        eventually(lambda: server.value('up{job="shop"}') == 1)

        (tmp_path / "trackside.yml").write_text("scrape_configs: [{job_nam: shop}]\n")
        refused = server.client.post("/-/reload")
        assert refused.status_code == 500
        assert "did you mean 'job_name'" in refused.text
        (tmp_path / "trackside.yml").write_text(config(chat))
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: not server.vector('up{job="shop"}'))


def test_two_servers_cannot_share_a_folder(start, chat, tmp_path):
    start(config(chat))
    command = [sys.executable, "-m", "trackside.cli.main", "serve", "--data-dir", str(tmp_path / "data")]

    second = subprocess.run([*command, "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=100)

    assert second.returncode == 2
    assert "in use by another server" in second.stderr
