"""An application with Celery on a real Redis: with a real worker, or with somebody who says what one would say."""

import json
import os
import subprocess
import sys
import textwrap
import time
from base64 import b64encode

import pytest
from redis import Redis

from trackside.jobs.acting.rights import celery_rights
from trackside.jobs.celery.source import CelerySource
from trackside.jobs.redis_store import connected

APPLICATION = """
import os, time
from celery import Celery
app = Celery("app", broker=os.environ["URL"], backend=os.environ["URL"], task_send_sent_event=True)
@app.task
def add(a, b, password=None): return a + b
@app.task(bind=True, max_retries=1)
def flaky(self):
    raise self.retry(exc=ValueError("not yet"), countdown=0)
@app.task
def slow(seconds): time.sleep(seconds)
@app.task
def held(until):
    while not os.path.exists(until): time.sleep(0.02)
"""


class CeleryApplication:
    def __init__(self, url, folder, path):
        self.url = url
        self.redis = Redis.from_url(url)
        self.sources = []
        self._folder = folder
        self._environment = {**os.environ, "URL": url, "PYTHONPATH": f"{folder}{os.pathsep}{path}"}
        self._processes = []
        (folder / "app.py").write_text(APPLICATION)

    def source(self, **options):
        """It listens when this returns."""
        one = CelerySource(connected(self.url), is_secret=lambda key: "password" in key, **options)
        self.sources.append(one)
        one.sample()
        # A look waits for that, but not for ever; what is said meanwhile would never be heard.
        assert one._listener.wait_until_listening(60)
        return one

    def asking(self):
        """A connection that may ask workers."""
        self.redis.execute_command("ACL", "SETUSER", "asks", "reset", "on", ">secret", *celery_rights().split())
        return connected(self.url.replace("//", "//asks:secret@"))

    def start_worker(self, *options):
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "app",
            "-q",
            "worker",
            "-n",
            "w@here",
            "-l",
            "CRITICAL",
            *options,
        ]
        process = subprocess.Popen(
            command, env=self._environment, cwd=self._folder, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self._processes.append(process)

    def run(self, code):
        command = [sys.executable, "-c", "import app\n" + textwrap.dedent(code)]
        subprocess.run(command, env=self._environment, cwd=self._folder, check=True)

    def say(self, type, *, host="w@here", at=None, **fields):
        """As a worker: an event."""
        event = {"type": type, "hostname": host, "timestamp": time.time() if at is None else at, **fields}
        self.publish(f"/0.celeryev/{type.replace('-', '.')}", event)

    def publish(self, channel, body):
        self.redis.publish(channel, json.dumps(envelope(body)))

    def send(self, id, kind="app.add", args=(1, 2), kwargs=None, *, queue="celery", **headers):
        """As a producer: a task in a queue."""
        self.redis.lpush(queue, json.dumps(message(id, kind, args, kwargs, **headers)))

    def fetch(self, id, kind="app.add", args=(1, 2), kwargs=None, *, queue="celery", age_s=0, **headers):
        """As a worker that has not acknowledged it."""
        self.redis.hset("unacked", f"tag-{id}", json.dumps([message(id, kind, args, kwargs, **headers), "", queue]))
        self.redis.zadd("unacked_index", {f"tag-{id}": time.time() - age_s})

    def keep_result(self, id, status="SUCCESS", **fields):
        kept = json.dumps({"task_id": id, "status": status, "result": None, "traceback": None, **fields})
        self.redis.set(f"celery-task-meta-{id}", kept)
        self.redis.publish(f"celery-task-meta-{id}", kept)

    def close(self):
        for process in self._processes:
            os.killpg(process.pid, 9)
            process.wait()
        for one in self.sources:
            one.close()
        self.redis.close()


def envelope(body, **more):
    encoded = b64encode(json.dumps(body).encode()).decode()
    return {"body": encoded, "content-type": "application/json", "properties": {"body_encoding": "base64"}, **more}


def message(id, kind, args, kwargs, **headers):
    return envelope([list(args), kwargs or {}, {}], headers={"id": id, "task": kind, "retries": 0, **headers})


@pytest.fixture
def celery(redis_url, tmp_path):
    """Without a worker."""
    one = CeleryApplication(redis_url, tmp_path, "")
    one.redis.flushall()
    yield one
    one.close()


@pytest.fixture
def application(redis_url, tmp_path, library):
    one = CeleryApplication(redis_url, tmp_path, library("celery"))
    one.redis.flushall()
    yield one
    one.close()


@pytest.fixture
def until():
    """`until(source, true)`: looks again and again, handing on the cursor, until `true(sample)`."""

    def wait(source, true, cursor=None, seconds=60):
        end = time.monotonic() + seconds
        while True:
            sample = source.sample(cursor)
            if true(sample):
                return sample
            assert time.monotonic() < end, sample
            time.sleep(0.05)

    return wait
