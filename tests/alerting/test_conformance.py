"""Black-box cases that hold for the real Alertmanager and Prometheus, run on our server.

Of files, routes and templates the other tests take the cases in process; `make conformance` has all.
"""

import json
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

CONFORMANCE = Path(os.environ.get("TRACKSIDE_CONFORMANCE") or Path(__file__).parents[3] / "shared" / "conformance")
PROGRAMS = CONFORMANCE / "alerting"
SCENARIOS = [
    "own/amtool.yaml",
    "own/api.yaml",
    "own/filters.yaml",
    "own/grouping.yaml",
    "own/newer.yaml",
    "own/receivers.yaml",
    "upstream/inhibit_silence.yaml",
    "upstream/send.yaml",
]
AMTOOL = (0, 33)
"""The one that the cases were made with."""
NEWER_AMTOOL = {
    "amtool-newer",
    "amtool-status-config-is-parsable-with-every-receiver",
    "silence-annotations",
    "utf8-silences-and-inhibition",
}
"""Cases that ask an amtool for what that of Debian 12, 0.25, cannot do: they fail on their side of the wire."""
SERVE = (
    f"{shlex.quote(sys.executable)} -m trackside.cli.main serve --no-auth --config {{config}} --data-dir {{data}} "
    "--listen 127.0.0.1:{port}"
)
CHECK = f"{shlex.quote(sys.executable)} -m trackside.cli.main check {{config}}"
STANDSTILL_S = 0.1
ATTEMPTS = 3
AHEAD_S = 2
"""More than the 0.6 s that `make conformance` leaves an alert: other tests run beside these."""
LIVE = {
    "pending time survives a kill": ["forstate.py", "--strict", "--signal", "KILL"],
    "pending time survives a stop": ["forstate.py", "--strict", "--signal", "TERM"],
    "alerts are generated as specified": ["alertgen.py", "--scale", "30", "--slack", str(AHEAD_S)],
}
FLAGS = {"alertgen.py": " --rules.alert.resend-delay={resend}"}


def free_ports(count: int) -> int:
    """The first of some that are free one after the other, as far as one can tell: processes that test at the same time
    look at different ones."""
    own = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10 * 1_000
    for first in range(20_000 + own, 21_000 + own, count):
        try:
            for port in (first, first + 1, first + count - 1):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


def program(name: str) -> str:
    if not (PROGRAMS / name).is_file():
        pytest.skip(f"{PROGRAMS / name} is missing")
    return str(PROGRAMS / name)


class Watch:
    """Whether the machine stood still, so that what was too late says nothing about us."""

    longest_s = 0.0


@contextmanager
def watching():
    watch, over = Watch(), threading.Event()

    def look():
        before_s = time.monotonic()
        while not over.wait(0.02):
            now_s = time.monotonic()
            watch.longest_s, before_s = max(watch.longest_s, now_s - before_s - 0.02), now_s

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


@pytest.mark.live
@pytest.mark.timeout(600)
def test_whoever_asks_takes_us_for_an_alertmanager(tmp_path):
    """Notifications are expected within 0.15 s. What comes too late while other servers start beside it is tried alone:
    what is wrong is wrong then too."""
    files = [str(PROGRAMS / name) for name in SCENARIOS]
    failed = failing(tmp_path, *files, "-j", "4")
    excused = NEWER_AMTOOL if amtool() < AMTOOL else set()
    for case in failed.keys() - excused:
        for _ in range(ATTEMPTS - 1):
            if not failing(tmp_path, *files, "-j", "1", "-k", case):
                del failed[case]
                break
    assert failed.keys() <= excused, "\n".join(f"{case}: {failed[case]}" for case in failed.keys() - excused)


def failing(folder, *arguments):
    """What is wrong, by case."""
    found = folder / "found.json"
    command = [sys.executable, program("runner.py"), "--server", SERVE, "--check-config", CHECK, "--json", str(found)]
    command += ["--base-port", str(free_ports(200)), "--workdir", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    cases = json.loads(found.read_text()) if found.exists() else []
    found.unlink(missing_ok=True)
    assert cases, done.stdout[-8_000:] + done.stderr[-2_000:]
    return {case["id"]: case["err"] for case in cases if not case["ok"]}


def amtool():
    done = subprocess.run(["amtool", "--version"], capture_output=True, text=True)
    major, minor, *_ = done.stdout.split()[2].split(".")
    return int(major), int(minor)


@pytest.mark.live
@pytest.mark.timeout(600)
@pytest.mark.parametrize("arguments", LIVE.values(), ids=LIVE)
def test_rules_live_as_in_prometheus(tmp_path, monkeypatch, arguments):
    """Scraped several times a second. As a case of `runner.py`, one that fails while the machine itself stood still is
    void, and run again."""
    # Where they put their files.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    name, *options = arguments
    command = [sys.executable, program(name), *options, "--server", SERVE + FLAGS.get(name, "")]
    for _ in range(ATTEMPTS):
        with watching() as watch:
            found = subprocess.run(
                [*command, "--port", str(free_ports(10))], capture_output=True, text=True, timeout=190
            )
        if found.returncode == 0 or watch.longest_s < STANDSTILL_S:
            break
    assert found.returncode == 0, found.stdout[-8_000:] + found.stderr[-2_000:]
