"""Real servers for tests of what speaks to them: private, on free ports, at most one of each for a test process.

And a system that has no more threads. And the cases of a conformance suite, which is kept beside the project:
`@pytest.mark.conformance("alerting/x.yaml")`. And the order: what takes longest begins first.
"""

import getpass
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import pytest
import yaml
from free_ports import free_port
from hypothesis import HealthCheck, settings

CONFORMANCE = Path(os.environ.get("TRACKSIDE_CONFORMANCE") or Path(__file__).parents[2] / "shared" / "conformance")


def pytest_configure(config):
    text = (
        "conformance(file, kind): a test for each test of the file's cases of that kind, as `conformance`: case, test"
    )
    config.addinivalue_line("markers", text)
    # A machine that does four tests at once may let any example wait; how fast our code is, benchmarks tell.
    settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("busy")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Slow tests first, for a process that begins one at the end lets the others wait.

    All processes but one have some of them, one after the other: they mostly wait, while that one computes. Work
    stealing gives each process an equal slice of the list, and takes from the ends of slices.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    rest = iter([item for item in items if not item.get_closest_marker("slow")])
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    # Neighbours stay together: two runs of one system at once would be each other's load.
    length = math.ceil(len(slow) / max(1, processes - 1))
    ordered = []
    for left in range(processes, 0, -1):
        size = (len(items) - len(ordered)) // left
        first, slow = slow[:length], slow[length:]
        ordered += [*first, *islice(rest, max(0, size - len(first)))]
    items[:] = [*ordered, *slow, *rest]


def pytest_generate_tests(metafunc):
    marks = list(metafunc.definition.iter_markers("conformance"))
    if marks:
        metafunc.parametrize("conformance", [param for mark in marks for param in _conformance(*mark.args)])


def _conformance(name, kind):
    file = CONFORMANCE / name
    if not file.is_file():
        yield pytest.param(None, id=name, marks=pytest.mark.skip(reason=f"{file} is missing"))
        return
    for case in yaml.safe_load(file.read_text(encoding="utf-8"))["cases"]:
        if case.get("kind", "scenario") == kind:
            for index, test in enumerate(case["tests"]):
                name = test.get("name") or test.get("text") or test.get("filter") or index
                yield pytest.param((case, test), id=f"{case['id']}-{name}")


@pytest.fixture
def no_threads(monkeypatch):
    """The system has none to give, until `.undo()`."""

    def start(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    return monkeypatch


@pytest.fixture
def started_threads(monkeypatch):
    """Those that the test's own thread starts from here on: what earlier tests left may start some at any time."""
    own, begin, started = threading.current_thread(), threading.Thread.start, []

    def start(self):
        begin(self)
        if threading.current_thread() is own:
            started.append(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    return started


@pytest.fixture(scope="session")
def postgres_url():
    """postgresql://… of an empty database that may be written to. Tests use tables of their own."""
    binaries = _binaries("postgres", "/usr/lib/postgresql/*/bin/postgres")
    with _folder() as folder:
        owner = {}
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            shutil.chown(folder, "postgres")
            owner = {"user": "postgres", "group": "postgres", "extra_groups": ()}
        data, port = folder / "data", free_port()
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"],
            check=True,
            capture_output=True,
            cwd=folder,
            **owner,
        )
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": folder,
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_connections": 40,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with _running([binaries / "postgres", "-D", data, *options], folder, owner):
            _wait_until(lambda: (folder / f".s.PGSQL.{port}").exists() and _answers(port), "PostgreSQL")
            ready = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
            _wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, "PostgreSQL")
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


@pytest.fixture(scope="session")
def mysql_url():
    """mysql://root@… of an empty MariaDB. Tests use databases of their own."""
    binaries = _binaries("mariadbd", "/usr/sbin/mariadbd")
    with _folder() as folder:
        data, port = folder / "data", free_port()
        owner = f"--user={getpass.getuser()}"
        install = ["mariadb-install-db", "--no-defaults", owner, f"--datadir={data}", "--skip-test-db"]
        made = subprocess.run(
            [*install, "--auth-root-authentication-method=normal", f"--tmpdir={folder}"],
            check=False,
            capture_output=True,
            text=True,
            cwd=folder,
        )
        assert made.returncode == 0, made.stdout + made.stderr
        server = [binaries / "mariadbd", "--no-defaults", owner, f"--datadir={data}", f"--socket={folder}/s"]
        options = [f"--port={port}", "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=16M", "--skip-name-resolve"]
        with _running([*server, *options, "--innodb-flush-log-at-trx-commit=0"], folder, stop=signal.SIGTERM):
            _wait_until(lambda: _answers(port), "MariaDB")
            yield f"mysql://root@127.0.0.1:{port}/"


@pytest.fixture(scope="session")
def kill_session():
    """Ends a process that leads a session and all in it, such as RQ's work-horses, which have groups of their own."""

    def kill(process):
        for entry in Path("/proc").glob("[0-9]*"):
            pid = int(entry.name)
            with suppress(ProcessLookupError):
                if os.getsid(pid) == process.pid:
                    os.kill(pid, signal.SIGKILL)
        process.wait(10)

    return kill


@pytest.fixture(scope="session")
def redis_url():
    """redis://… of an empty server."""
    binaries = _binaries("redis-server", "/usr/bin/redis-server")
    with _folder() as folder:
        port = free_port()
        command = [binaries / "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with _running(command, folder):
            _wait_until(lambda: _answers(port), "Redis")
            yield f"redis://127.0.0.1:{port}/0"


def _binaries(name, pattern):
    """The folder of a server's program. Missing, its tests are skipped; in CI they fail, since nobody would notice."""
    found = sorted(Path("/").glob(pattern.removeprefix("/")))
    if found:
        return found[-1].parent
    on_path = shutil.which(name)
    if on_path is not None:
        return Path(on_path).resolve().parent
    message = f"{name} is not installed: neither {pattern} nor on the PATH"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def _folder():
    # Not of pytest, whose folders only one user may enter; short, since the path of a socket has 107 characters.
    with tempfile.TemporaryDirectory(prefix="trackside-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def _running(command, folder, owner=None, stop=signal.SIGINT):
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([*map(str, command)], stdout=log, stderr=log, cwd=folder, **(owner or {})) as process,
    ):
        try:
            yield
        finally:
            # As from a terminal: PostgreSQL, told to terminate, waits until all clients are gone.
            process.send_signal(stop)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _wait_until(true, what):
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until, f"{what} did not start"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def library():
    """Where a library is that cannot be installed beside the others: `library("rq-2.6")`, for a PYTHONPATH."""

    def found(name):
        folder = Path(sys.executable).parent.parent / "libraries" / name
        if not folder.is_dir():
            # On a developer's machine they are not always there; where all of it has to pass they must be.
            assert not os.environ.get("CI"), f"{folder} is missing: make test installs it"
            pytest.skip(f"{folder} is missing: make test installs it")
        return folder

    return found
