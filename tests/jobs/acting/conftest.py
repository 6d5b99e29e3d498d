"""Back-ends with real applications, as the tests of their sources have them."""

import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from redis import Redis

from trackside.jobs.redis_store import connected


def _fixtures_of(folder):
    path = Path(__file__).parent.parent / folder / "conftest.py"
    spec = importlib.util.spec_from_file_location(f"acting_{folder}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_rq, _sql = _fixtures_of("rq"), _fixtures_of("sql")
rq, application = _rq.rq, _rq.application
postgres, mysql, sqlite, database, open_source = _sql.postgres, _sql.mysql, _sql.sqlite, _sql.database, _sql.open_source

_celery = _fixtures_of("celery")


@pytest.fixture
def celery(redis_url, tmp_path, library):
    one = _celery.CeleryApplication(redis_url, tmp_path, library("celery"))
    one.redis.flushall()
    yield one
    one.close()


@pytest.fixture
def allowed():
    """`allowed(redis, url, rights)`: the same server, for a user with these rights and no others."""

    def of(redis, url, rights, name="acts"):
        redis.execute_command("ACL", "SETUSER", name, "reset", "on", ">secret", *rights.split())
        return connected(url.replace("redis://", f"redis://{name}:secret@"))

    return of


class Script:
    """What an application runs: `head` with its tasks, then some lines; each in a process of its own."""

    def __init__(self, url, head):
        self.url, self.redis = url, Redis.from_url(url)
        self.redis.flushall()
        self._head, self._running = textwrap.dedent(head), []

    def start(self, code):
        command = [sys.executable, "-c", self._head + textwrap.dedent(code), self.url]
        self._running.append(subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL))
        return self._running[-1]

    def run(self, code):
        assert self.start(code).wait(60) == 0

    def everything(self):
        return {key: self.redis.dump(key) for key in self.redis.scan_iter(count=1000)}

    def close(self):
        for process in self._running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.redis.close()


@pytest.fixture
def script(redis_url):
    """`script(head)`."""
    opened = []

    def make(head):
        opened.append(Script(redis_url, head))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def until():
    def wait(true, within_s=60):
        by = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < by
            time.sleep(0.05)

    return wait


@pytest.fixture
def script_in(tmp_path):
    """`script_in(libraries, code, *arguments)`: in a process that finds them first."""

    def run(libraries, code, *arguments):
        file = tmp_path / "application.py"
        file.write_text(code)
        environment = {**os.environ, "PYTHONPATH": str(libraries)}
        subprocess.run([sys.executable, file, *arguments], env=environment, check=True, capture_output=True, timeout=60)

    return run
