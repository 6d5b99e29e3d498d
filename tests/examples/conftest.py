"""A run of an example's system, checked, with a real Prometheus beside it that scrapes the same targets."""

import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

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


class Prometheus:
    """With the scrape configuration and the rules of the demo, from the demo's own files."""

    def __init__(self, binary: str, demo: Path, folder: Path) -> None:
        config = yaml.safe_load((demo / "trackside.yml").read_text())
        kept = {key: config[key] for key in ("global", "scrape_configs")}
        kept["rule_files"] = [str(demo / name) for name in config["rule_files"]]
        folder.mkdir()
        (folder / "prometheus.yml").write_text(yaml.safe_dump(kept))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
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
        self._client = httpx.Client(base_url=f"http://{address}")

    def without_data(self, queries: dict[str, str]) -> list[str]:
        """The names of those that have no answer at the last moment at which all of the system still ran."""
        last_s = self.values("min(max_over_time(timestamp(up == 1)[10m:1s]))", time.time())[0]
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
        self._process.wait(timeout=15)
        self._client.close()


@pytest.fixture
def checked_run(tmp_path):
    """Runs a system of the demo for so many seconds."""
    running = []

    def run(name: str, seconds: int) -> Run:
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
            prometheus = Prometheus(binary, tmp_path / "demo", tmp_path / "prometheus")
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
