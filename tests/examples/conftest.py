"""A run of an example's system, checked, with a real Prometheus beside it that scrapes the same targets; and what the
systems need: databases, and a Sentry that listens."""

import gzip
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import psycopg
import pytest
import yaml
from free_ports import free_port
from redis import Redis

from trackside.demo.systems import system_named


class Run:
    """What `trackside demo --check` found, and the Prometheus that saw the same; None where it is not installed."""

    def __init__(self, name, findings, prometheus) -> None:
        self.findings = findings
        self.prometheus = prometheus
        self.queries = {expected.name: expected.query for expected in system_named(name).expected}
        """Everything that must have an answer: what it is called → its query."""

    def without_data(self) -> list[str]:
        return [name for name in self.queries if all(map(math.isnan, self.findings["values"][name]))]

    def alerts(self, rows: list[dict]) -> dict[str, str]:
        """As `queries`: each of these alerts in each of its states but the last, of which Prometheus has no series."""
        return {
            f"{row['alert']} {state}": f'max_over_time(ALERTS{{alertname="{row["alert"]}",alertstate="{state}"}}[10m])'
            for row in rows
            for state in row["states"]
            if state != "inactive"
        }


Beside = Callable[[Mapping], Mapping[str, str]]
"""Starts what else is to be scraped, given the demo's configuration: job → address."""


class Prometheus:
    """With the scrape configuration and the rules of the demo, from the demo's own files, and targets beside them."""

    def __init__(self, binary: str, demo: Path, folder: Path, beside: "Beside") -> None:
        config = yaml.safe_load((demo / "trackside.yml").read_text())
        more = [{"job_name": job, "static_configs": [{"targets": [at]}]} for job, at in beside(config).items()]
        kept = {
            "global": {key: value for key, value in config["global"].items() if key.endswith(("interval", "timeout"))},
            "scrape_configs": config["scrape_configs"] + more,
            "rule_files": [str(demo / name) for name in config["rule_files"]],
        }
        folder.mkdir()
        (folder / "prometheus.yml").write_text(yaml.safe_dump(kept))
        address = f"127.0.0.1:{free_port()}"
        self._log = folder / "prometheus.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(binary, f"--config.file={folder / 'prometheus.yml'}", f"--web.listen-address={address}"),
                    f"--storage.tsdb.path={folder / 'data'}",
                ],
                stdout=log,
                stderr=log,
            )
        self._client = httpx.Client(base_url=f"http://{address}", timeout=60)

    def without_data(self, queries: dict[str, str], alive: Sequence[str] = ("up",)) -> list[str]:
        """The names of those that have no answer at the last moment at which all of the system still ran.

        `alive`: series that are 1 as long as they do.
        """
        ran = [f"min(max_over_time(timestamp({name} == 1)[10m:1s]))" for name in alive]
        last_s = min(self.values(query, time.time())[0] for query in ran)
        return [name for name, query in queries.items() if not self.values(query, last_s)]

    def values(self, query: str, at_s: float) -> list[float]:
        answer = self._client.get("/api/v1/query", params={"query": query, "time": at_s}).json()
        assert answer["status"] == "success", (query, answer)
        values = [float(row["value"][1]) for row in answer["data"]["result"]]
        return [value for value in values if not math.isnan(value)]

    def complaints(self) -> list[str]:
        return [line for line in self._log.read_text().splitlines() if re.search("level=(warn|error)", line)]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=60)
        self._client.close()


@pytest.fixture
def checked_run(tmp_path):
    """Runs a system of the demo for so many seconds. `beside`: what Prometheus scrapes beside its targets."""
    running = []

    def run(name: str, seconds: int, beside: Beside = lambda config: {}) -> Run:
        command = [sys.executable, "-m", "trackside.cli.main", "demo", "--system", name, "--check", "--json"]
        log = tmp_path / "demo.log"
        with log.open("wb") as errors:
            demo = subprocess.Popen(
                [*command, "--for", f"{seconds}s", "--data-dir", tmp_path / "demo"],
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        running.append(demo)
        prometheus = None
        if binary := _prometheus_binary():
            _wait_for_configuration(tmp_path / "demo", demo)
            prometheus = Prometheus(binary, tmp_path / "demo", tmp_path / "prometheus", beside)
            running.append(prometheus)
        output, _ = demo.communicate(timeout=seconds + 90)
        assert output, log.read_text()
        return Run(name, json.loads(output), prometheus)

    yield run
    for one in reversed(running):
        if isinstance(one, Prometheus):
            one.stop()
        else:
            one.terminate()
            one.wait(timeout=30)


@pytest.fixture
def no_servers(monkeypatch):
    """As on a machine where nothing is configured."""
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    return {}


@pytest.fixture
def emptied(redis_url, postgres_url):
    """Where there is a database of that name, and one of that number in Redis, with nothing in them."""

    def servers(name: str, redis_database: int) -> dict[str, str]:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"drop database if exists {name} with (force)")
            connection.execute(f"create database {name}")
        given = {
            "DATABASE_URL": postgres_url.removesuffix("postgres") + name,
            "REDIS_URL": redis_url.removesuffix("0") + str(redis_database),
        }
        with closing(Redis.from_url(given["REDIS_URL"])) as redis:
            redis.flushdb()
        return given

    return servers


class Sentry(ThreadingHTTPServer):
    """Takes what sentry-sdk sends."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Envelopes)
        self.envelopes: list[str] = []
        self.dsn = f"http://public@127.0.0.1:{self.server_port}/1"

    def of(self, kind: str) -> list[dict]:
        """Items of this type, oldest first."""
        return [item for envelope in list(self.envelopes) for name, item in _items(envelope.encode()) if name == kind]


def _items(envelope: bytes) -> Iterator[tuple[str, dict]]:
    rest = envelope.partition(b"\n")[2]
    while rest.strip():
        about, _, rest = rest.partition(b"\n")
        header = json.loads(about)
        length = header.get("length", rest.find(b"\n"))
        if header["type"] in ("event", "transaction", "span"):
            yield header["type"], json.loads(rest[:length])
        rest = rest[length + 1 :]


class _Envelopes(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.envelopes.append(body.decode())
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *about) -> None:
        pass


@pytest.fixture
def sentry(monkeypatch):
    server = Sentry()
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("SENTRY_DSN", server.dsn)
    monkeypatch.setenv("SENTRY_PROFILES_SAMPLE_RATE", "0")
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("APP_VERSION", "1.0.0")
    yield server
    server.shutdown()
    server.server_close()


def _prometheus_binary() -> str | None:
    found = shutil.which("prometheus")
    assert found or not os.environ.get("CI"), "install Debian's package prometheus"
    return found


def _wait_for_configuration(demo: Path, process: subprocess.Popen) -> None:
    deadline_s = time.monotonic() + 60
    config = demo / "trackside.yml"
    while not config.exists() or not config.read_text():
        assert process.poll() is None and time.monotonic() < deadline_s, "the demo does not start"
        time.sleep(0.1)
