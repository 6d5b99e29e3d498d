"""Hooks in real workers and a sampler of the same Redis tell of the same attempts: each is in the ledger once."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from redis import Redis

from trackside.jobs.arq.source import ArqSource
from trackside.jobs.celery.broker import Settings
from trackside.jobs.celery.source import CelerySource
from trackside.jobs.dramatiq.source import DramatiqSource
from trackside.jobs.ledger.runs import Origin, Outcome
from trackside.jobs.redis_store import connected
from trackside.jobs.rq.source import RqSource
from trackside.jobs.sql.plain import plain
from trackside.jobs.sql.source import open_jobs

pytestmark = pytest.mark.timeout(300)

NUMBER = 11
BOTH = Origin.SAMPLE | Origin.HOOK

WORK = """
import asyncio, os, signal, sys, time
from trackside import Monitor

URL = os.environ["URL"]
monitor = Monitor("pictures")

def ask():
    with monitor.ai("gpt-4o") as call:
        call.tokens(input=1_000)

def hungry():
    held = bytearray(96 * 1024 * 1024)
    until = time.thread_time() + 0.2
    while time.thread_time() < until:
        pass

def die():
    ask()
    os.kill(os.getpid(), signal.SIGKILL)
"""
CELERY = (
    WORK
    + """
from celery import Celery

app = Celery("pictures", broker=URL, backend=URL)
app.conf.update(task_default_queue="high", task_acks_late=False)
monitor.watch(app)
app.task(name="ask")(ask)
app.task(name="hungry")(hungry)
app.task(name="die")(die)

@app.task(name="again", bind=True, max_retries=1)
def again(self):
    try:
        raise ValueError("not yet: password=hunter2")
    except ValueError as error:
        raise self.retry(countdown=0, exc=error)

if __name__ == "__main__":
    for name in sys.argv[1:]:
        app.send_task(name)
"""
)
ARQ = (
    WORK
    + """
import arq
from arq.connections import RedisSettings
from arq.worker import Worker

async def asks(ctx):
    ask()

async def again(ctx):
    if ctx["job_try"] == 1:
        raise arq.Retry() from ValueError("not yet: password=hunter2")
    raise KeyError("never")

async def main():
    pool = await arq.create_pool(RedisSettings.from_dsn(URL), default_queue_name="high")
    for name in ("asks", "again"):
        await pool.enqueue_job(name, _job_id=name)
    functions = [arq.func(one, name=one.__name__) for one in (asks, again)]
    worker = monitor.watch(
        Worker(functions, redis_pool=pool, queue_name="high", burst=True, poll_delay=0.05, handle_signals=False)
    )
    await worker.main()
    await worker.close()

asyncio.run(main())
monitor.flush(60)
"""
)
DRAMATIQ = (
    WORK
    + """
import dramatiq
from dramatiq.brokers.redis import RedisBroker

broker = monitor.watch(RedisBroker(url=URL))

@dramatiq.actor(broker=broker, queue_name="high")
def asks():
    ask()

@dramatiq.actor(broker=broker, queue_name="high", max_retries=1, min_backoff=10, max_backoff=10)
def again():
    raise ValueError("not yet: password=hunter2")

worker = dramatiq.Worker(broker, worker_timeout=50, worker_threads=1)
worker.start()
asks.send()
again.send()
until = time.monotonic() + 90
while not broker.client.zcard("dramatiq:high.XQ") and time.monotonic() < until:
    time.sleep(0.05)
worker.stop()
monitor.flush(60)
"""
)
RQ = (
    WORK
    + """
from redis import Redis
from rq import Queue, Retry

def again():
    raise ValueError("not yet: password=hunter2")

if __name__ == "__main__":
    queue = Queue("high", connection=Redis.from_url(URL))
    for name in ("ask", "hungry", "die"):
        queue.enqueue(f"application.{name}")
    queue.enqueue("application.again", retry=Retry(max=1))
"""
)


def look_until(site, true):
    until = time.monotonic() + 90
    while True:
        site.watch.step("queue")
        runs = site.ledger.recent(limit=100).runs
        if true(runs):
            return runs
        assert time.monotonic() < until, runs
        time.sleep(0.1)


@pytest.fixture
def url(redis_url):
    own = f"{redis_url.rsplit('/', 1)[0]}/{NUMBER}"
    with Redis.from_url(own) as client:
        client.flushdb()
        yield own
        client.flushdb()


@pytest.fixture
def watching(hook_site):
    def of(source):
        site = hook_site("queue", source)
        site.watch.step("queue")
        return site

    return of


@pytest.fixture
def python(tmp_path, url):
    """`python(site, code, *command)`: with the code as the module `application`."""
    started = []

    def start(site, code, *command, libraries=()):
        (tmp_path / "application.py").write_text(code)
        path = [*map(str, libraries), str(Path(__file__).parents[2] / "src"), str(tmp_path)]
        reports = {"TRACKSIDE_URL": site.url, "TRACKSIDE_KEY": site.key}
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "URL": url, **reports}
        started.append(
            subprocess.Popen(
                [sys.executable, *command],
                env=environment,
                cwd=tmp_path,
                start_new_session=True,
                stderr=subprocess.DEVNULL,
            )
        )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def by_kind(runs, kind):
    return sorted((run for run in runs if run.kind.endswith(kind)), key=lambda run: run.attempt or 0)


def has_retries(runs, last_outcome, *, is_named="ValueError: not yet: password=[Filtered]"):
    """The traceback of each attempt, without its secret."""
    first, last = by_kind(runs, "again")
    assert [(run.attempt, run.outcome) for run in (first, last)] == [(1, Outcome.RETRIED), (2, last_outcome)]
    assert "not yet: password=" in first.traceback and "hunter2" not in first.traceback
    assert last.traceback
    assert is_named in (first.error, last.error)
    assert first.id == last.id
    return first, last


def has_been_told(run):
    """What will be tried again has not ended: only the hook tells of it. Of all others the sampler does too."""
    return run.origins == BOTH or (run.outcome is Outcome.RETRIED and run.origins == Origin.HOOK)


def test_celery_with_processes(url, watching, python, library):
    libraries = [library("celery")]
    settings = Settings(db=NUMBER, queues=("high",))
    site = watching(CelerySource(connected(url), is_secret=lambda name: False, settings=settings))
    worker = ("-m", "celery", "-q", "-A", "application", "worker", "-E", "-c", "1", "-l", "CRITICAL")
    python(site, CELERY, *worker, libraries=libraries)
    assert python(site, CELERY, "application.py", "ask", "again", "hungry", libraries=libraries).wait(110) == 0
    look_until(site, lambda runs: len(runs) == 4 and all(run.origins & Origin.HOOK for run in runs))
    # By itself: a process that is killed takes with it what it has not sent yet.
    assert python(site, CELERY, "application.py", "die", libraries=libraries).wait(110) == 0

    runs = look_until(site, lambda runs: len(runs) == 5 and all(has_been_told(run) for run in runs))
    for _ in range(3):
        site.watch.step("queue")

    counts = dict(site.ledger.stats(1, site.clock.now_ms()).counts)
    assert counts == {Outcome.SUCCEEDED: 2, Outcome.RETRIED: 1, Outcome.FAILED: 1, Outcome.LOST: 1}
    first, _ = has_retries(runs, Outcome.FAILED)
    assert {run.origins for run in runs if run.id != first.id} == {BOTH}
    (asked,) = by_kind(runs, "ask")
    assert (asked.tokens, asked.queue, asked.attempt) == (1_000, "high", 1) and asked.cost_usd > 0
    (hungry,) = by_kind(runs, "hungry")
    assert hungry.cpu_s >= 0.2 and hungry.peak_memory_bytes > 96 * 1024 * 1024
    (died,) = by_kind(runs, "die")
    assert "signal 9" in died.error


def test_arq(url, watching, python):
    site = watching(ArqSource(connected(url), is_secret=lambda name: False, queues=("high",)))
    assert python(site, ARQ, "application.py").wait(110) == 0

    runs = look_until(site, lambda runs: len(runs) >= 3 and all(has_been_told(run) for run in runs))
    for _ in range(3):
        site.watch.step("queue")

    counts = dict(site.ledger.stats(1, site.clock.now_ms()).counts)
    assert counts == {Outcome.SUCCEEDED: 1, Outcome.RETRIED: 1, Outcome.FAILED: 1}
    first, last = has_retries(runs, Outcome.FAILED, is_named="KeyError: 'never'")
    # Of an attempt that will be made again arq leaves nothing to be seen.
    assert (first.origins, last.origins) == (Origin.HOOK, BOTH)
    (asked,) = by_kind(runs, "asks")
    assert (asked.tokens, asked.origins, asked.attempt) == (1_000, BOTH, 1) and asked.cost_usd > 0


def test_dramatiq(url, watching, python):
    site = watching(DramatiqSource(connected(url), is_secret=lambda name: False, queues=("high",)))
    assert python(site, DRAMATIQ, "application.py").wait(110) == 0

    runs = look_until(
        site, lambda runs: len(runs) >= 3 and BOTH in {run.origins for run in runs if run.outcome is Outcome.FAILED}
    )
    for _ in range(3):
        site.watch.step("queue")

    counts = dict(site.ledger.stats(1, site.clock.now_ms()).counts)
    assert counts == {Outcome.SUCCEEDED: 1, Outcome.RETRIED: 1, Outcome.FAILED: 1}
    _, last = has_retries(runs, Outcome.FAILED)
    assert last.origins == BOTH
    (asked,) = by_kind(runs, "asks")
    # A success leaves no trace in Redis: only the hook tells of it.
    assert (asked.tokens, asked.origins, asked.attempt) == (1_000, Origin.HOOK, 1) and asked.cost_usd > 0


@pytest.mark.parametrize("version", [pytest.param("", id="RQ 3"), pytest.param("rq-2.6", id="RQ 2.6")])
def test_the_worker_class_by_rqs_own_command(url, watching, python, library, version):
    libraries = [library(version)] if version else []
    site = watching(RqSource(connected(url), is_secret=lambda name: False))
    assert python(site, RQ, "application.py", libraries=libraries).wait(110) == 0
    command = "from trackside.sdk.push import background; background.EXIT_TIMEOUT_S = 60"
    command += "; from rq.cli import main; main()"
    worker = python(
        site,
        RQ,
        *("-c", command, "worker", "-w", "trackside.rq.Worker", "--burst", "--url", url, "high"),
        libraries=libraries,
    )

    look_until(site, lambda runs: worker.poll() is not None)
    assert worker.wait() == 0
    runs = look_until(site, lambda runs: len(runs) >= 5)

    counts = dict(site.ledger.stats(1, site.clock.now_ms()).counts)
    assert counts == {Outcome.SUCCEEDED: 2, Outcome.RETRIED: 1, Outcome.FAILED: 1, Outcome.LOST: 1}
    has_retries(runs, Outcome.FAILED)
    (asked,) = by_kind(runs, "ask")
    assert asked.tokens == 1_000 and asked.cost_usd > 0
    (hungry,) = by_kind(runs, "hungry")
    assert hungry.cpu_s >= 0.2 and hungry.peak_memory_bytes > 96 * 1024 * 1024
    (died,) = by_kind(runs, "die")
    # It spent before it was killed, and that is known.
    assert died.tokens == 1_000


TABLE = (
    WORK
    + """
import sqlite3

rows = sqlite3.connect(sys.argv[1], isolation_level=None)
for id, attempt in rows.execute("SELECT id, attempts + 1 FROM jobs ORDER BY id").fetchall():
    rows.execute(
        "UPDATE jobs SET status = 'processing', attempts = ?, started_at = strftime('%Y-%m-%d %H:%M:%f', 'now')"
        " WHERE id = ?", (attempt, id)
    )
    status, error = "succeeded", None
    try:
        with monitor.job("render", queue="high", id=str(id), attempt=attempt, source="queue"):
            ask()
            hungry()
            if id == 2:
                raise ValueError("no: password=hunter2")
    except ValueError as raised:
        status, error = "failed", str(raised)
    rows.execute(
        "UPDATE jobs SET status = ?, error = ?, finished_at = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE id = ?",
        (status, error, id),
    )
monitor.flush(60)
"""
)


def test_blocks_of_a_teams_own_worker_and_its_table(watching, python, tmp_path):
    path = tmp_path / "jobs.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE jobs (id integer PRIMARY KEY, status text, kind text, queue text, attempts int,"
            " created_at text, started_at text, finished_at text, error text)"
        )
        connection.executemany(
            "INSERT INTO jobs VALUES (?, 'queued', 'render', 'high', 0, strftime('%Y-%m-%d %H:%M:%f', 'now'), NULL,"
            " NULL, NULL)",
            [(1,), (2,)],
        )
    site = watching(open_jobs(f"sqlite:///{path}", plain("jobs"), is_secret=lambda name: False))
    assert python(site, TABLE, "application.py", str(path)).wait(110) == 0

    runs = look_until(site, lambda runs: len(runs) >= 2 and all(run.origins == BOTH for run in runs))

    assert dict(site.ledger.stats(1, site.clock.now_ms()).counts) == {Outcome.SUCCEEDED: 1, Outcome.FAILED: 1}
    failed, succeeded = sorted(runs, key=lambda run: run.outcome.value)
    assert (succeeded.id, failed.id, failed.attempt) == ("1", "2", 1)
    assert (
        'raise ValueError("no: password=' in failed.traceback and "hunter2" not in f"{failed.traceback}{failed.error}"
    )
    for run in runs:
        assert run.tokens == 1_000 and run.cost_usd > 0 and run.cpu_s >= 0.2
