"""Black-box cases that hold for the real Alertmanager, run on our server; `make conformance` runs all of them."""

import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

CONFORMANCE = Path(os.environ.get("TRACKSIDE_CONFORMANCE") or Path(__file__).parents[3] / "shared" / "conformance")
RUNNER = CONFORMANCE / "alerting" / "runner.py"
QUICK = ["own/filters.yaml", "upstream/inhibit_silence.yaml"]
SERVE = "-m trackside.cli.main serve --no-auth --config {config} --data-dir {data} --listen 127.0.0.1:{port}"


def free_ports(count: int) -> int:
    """The first of some that are free one after the other, as far as one can tell."""
    for first in range(20_000, 30_000, count):
        try:
            for port in (first, first + 1, first + count - 1):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


@pytest.mark.timeout(400)
def test_whoever_asks_takes_us_for_an_alertmanager(tmp_path):
    if not RUNNER.is_file():
        pytest.skip(f"{RUNNER} is missing")
    command = [sys.executable, str(RUNNER), "--server", f"{shlex.quote(sys.executable)} {SERVE}", "-j", "2"]
    command += ["--base-port", str(free_ports(100)), "--workdir", str(tmp_path)]
    command += [str(RUNNER.parent / name) for name in QUICK]
    found = subprocess.run(command, capture_output=True, text=True, timeout=390)
    assert found.returncode == 0, found.stdout[-8_000:] + found.stderr[-2_000:]
