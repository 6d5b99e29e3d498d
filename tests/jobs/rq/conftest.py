"""An application with RQ on a real Redis: what it runs, runs in a process of its own."""

import os
import pickle
import subprocess
import sys
import textwrap
import time
import zlib
from datetime import UTC, datetime

import pytest
from redis import Redis

from trackside.jobs.redis_store import connected
from trackside.jobs.rq.source import RqSource

TASKS = """
import os, signal, sys, time
from pathlib import Path

def add(a, b): return a + b
def boom(message="no such thing"): raise ValueError(message)
def flaky(path):
    if not Path(path).exists():
        Path(path).touch()
        raise ValueError("not yet")
def killed(): os.kill(os.getpid(), signal.SIGKILL)
def slow(seconds, password=None): time.sleep(seconds)
def cleanup(job, connection, *error): Path(os.environ["CALLED"]).touch()
"""
HEAD = """
import logging, os, sys, time
import redis, rq, rq_tasks
from rq import Queue, Retry, SimpleWorker, Worker
connection = redis.Redis.from_url(sys.argv[1])
folder = sys.argv[2]
queue = Queue("default", connection=connection)
def work(kind=Worker):
    kind([queue], connection=connection).work(burst=True, logging_level="CRITICAL")
"""


def is_secret(key):
    return "password" in key


class Rq:
    """An application with RQ: what it runs, runs in a process of its own."""

    def __init__(self, url, folder, path):
        self.url = url
        self.redis = Redis.from_url(url)
        self.source = RqSource(connected(url), is_secret=is_secret)
        self._folder = folder
        (folder / "rq_tasks.py").write_text(TASKS)
        paths = [str(folder), *([str(path)] if path else [])]
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "CALLED": str(self.called)}

    @property
    def called(self):
        return self._folder / "called"

    def start(self, code):
        command = [sys.executable, "-c", HEAD + textwrap.dedent(code), self.url, str(self._folder)]
        return subprocess.Popen(command, env=self._environment, start_new_session=True)

    def run(self, code):
        assert self.start(code).wait(60) == 0

    def everything(self):
        """All that Redis has, to the byte, and when it ends."""
        pipeline = self.redis.pipeline()
        keys = sorted(self.redis.scan_iter(count=1000))
        for key in keys:
            pipeline.dump(key)
            pipeline.execute_command("PEXPIRETIME", key)
        return dict(zip(keys, zip(*[iter(pipeline.execute())] * 2, strict=True), strict=True))

    def hash(self, key, **fields):
        self.redis.hset(key, mapping=fields)

    def job(self, id="one", *, status="queued", age_s=0, **fields):
        """As RQ writes it."""
        at = self.iso(time.time() - age_s)
        data = zlib.compress(pickle.dumps(("rq_tasks.add", None, (1, 2), {})))
        plain = {"created_at": at, "enqueued_at": at, "origin": "default", "description": "rq_tasks.add(1, 2)"}
        self.hash(f"rq:job:{id}", **{"status": status, "data": data, **plain, **fields})
        self.redis.sadd("rq:queues", "rq:queue:default")

    def worker(self, name="w", *, age_s=0, lifetime_s=480, **fields):
        beat = self.iso(time.time() - age_s)
        plain = {
            "state": "idle",
            "queues": "default",
            "birth": beat,
            "last_heartbeat": beat,
            "pid": 7,
            "version": "3.0.0",
        }
        self.hash(f"rq:worker:{name}", **{**plain, **fields})
        self.redis.pexpire(f"rq:worker:{name}", int((lifetime_s - age_s) * 1000))
        self.redis.sadd("rq:workers", f"rq:worker:{name}")

    @staticmethod
    def iso(at):
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def queue(self, name="default"):
        return next(queue for queue in self.source.sample().queues if queue.name == name)


@pytest.fixture
def rq(redis_url, tmp_path):
    """RQ 3, or none at all: keys written by hand."""
    yield from _rq(redis_url, tmp_path, None)


@pytest.fixture(params=["3", "2.6"], ids=["RQ 3", "RQ 2.6"])
def application(redis_url, tmp_path, library, request):
    yield from _rq(redis_url, tmp_path, None if request.param == "3" else library(f"rq-{request.param}"))


def _rq(url, folder, path):
    one = Rq(url, folder, path)
    one.redis.flushall()
    yield one
    one.source.close()
    one.redis.close()
