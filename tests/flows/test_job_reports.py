"""Real RQ workers with our hooks, a real socket to the server, and a sampler that looks at the same Redis meanwhile."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from redis import Redis

from trackside.jobs.ledger.runs import Origin, Outcome
from trackside.jobs.redis_store import connected
from trackside.jobs.rq.source import RqSource
from trackside.server.jobs.ledger import Range

TASKS = """
import os, signal, threading
from pathlib import Path
from trackside import Monitor

monitor = Monitor("pictures", environ={})

def fine(): return 1

def flaky(path):
    if not Path(path).exists():
        Path(path).touch()
        raise ValueError("not yet: password=hunter2xyz")

def killed():
    with monitor.job("a part of it") as part:
        part.cost(usd=0.5)
    os.kill(os.getpid(), signal.SIGKILL)

def asks():
    def ask():
        with monitor.ai("claude-sonnet-4-5") as call:
            call.tokens(input=1_000_000, output=1_000)
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    ask()

def batch():
    for line in range(3):
        with Monitor("pictures").job("line", id=str(line)):
            pass

def hungry():
    held = bytearray(96 * 1024 * 1024)
    until = os.times().user + 0.2
    while os.times().user < until:
        pass
"""
FILL = """
import sys
import redis, report_tasks
from rq import Queue, Retry
connection = redis.Redis.from_url(sys.argv[1])
high, low = Queue("high", connection=connection), Queue("low", connection=connection)
for number in range(45):
    (high, low)[number % 2].enqueue(report_tasks.fine, result_ttl=0 if number % 3 < 2 else 500)
for number in range(15):
    high.enqueue(report_tasks.flaky, f"{sys.argv[2]}/{number}", retry=Retry(max=2))
for number in range(3):
    low.enqueue(report_tasks.killed)
"""
ENQUEUE = """
import sys, redis
from rq import Queue
queue = Queue("high", connection=redis.Redis.from_url(sys.argv[1]))
for name in sys.argv[2:]:
    queue.enqueue(f"report_tasks.{name}", result_ttl=0)
"""
WORK = """
import sys
import redis
import trackside.rq
from trackside.sdk.push import background
# So long may its last reports take here.
background.EXIT_TIMEOUT_S = 60
from rq import Queue
connection = redis.Redis.from_url(sys.argv[1])
queues = [Queue(name, connection=connection) for name in ("high", "low")]
worker = getattr(trackside.rq, sys.argv[2])(queues, connection=connection)
# The channel for commands: leaving it takes a second.
worker.subscribe = worker.unsubscribe = lambda: None
worker.work(burst=True, logging_level="CRITICAL")
"""


def runs_of(site, **wanted):
    return [
        run
        for run in site.ledger.recent(limit=200).runs
        if all(getattr(run, name) == value for name, value in wanted.items())
    ]


@pytest.fixture
def url(redis_url):
    own = redis_url.rsplit("/", 1)[0] + "/12"
    Redis.from_url(own).flushdb()
    return own


@pytest.fixture
def site(hook_site, url):
    return hook_site("pictures on rq", RqSource(connected(url), is_secret=lambda name: False))


@pytest.fixture
def python(tmp_path, site, library):
    """`python(code, *arguments)` with the tasks, an RQ of that version, and a server to report to."""
    (tmp_path / "report_tasks.py").write_text(TASKS)

    def start(code, *arguments, rq="", **environment):
        path = [str(tmp_path), str(Path(__file__).parents[2] / "src"), *([str(library(rq))] if rq else [])]
        given = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path),
            "TRACKSIDE_URL": site.url,
            "TRACKSIDE_KEY": site.key,
            **environment,
        }
        return subprocess.Popen([sys.executable, "-c", code, *arguments], env=given)

    return start


def done(process):
    assert process.wait(110) == 0


@pytest.mark.parametrize("rq", [pytest.param("", id="RQ 3"), pytest.param("rq-2.6", id="RQ 2.6")])
def test_sixty_successes_and_eighteen_failed_attempts_each_counted_once(python, site, url, tmp_path, rq):
    site.watch.step("pictures on rq")
    done(python(FILL, url, str(tmp_path), rq=rq))
    workers = [python(WORK, url, "Worker", rq=rq) for _ in range(2)]
    while any(worker.poll() is None for worker in workers):
        site.watch.step("pictures on rq")
        time.sleep(0.2)
    for worker in workers:
        done(worker)
    for _ in range(3):
        site.watch.step("pictures on rq")

    stats = site.ledger.stats(1, site.clock.now_ms())
    assert dict(stats.counts) == {Outcome.SUCCEEDED: 60, Outcome.RETRIED: 15, Outcome.LOST: 3}
    assert {run.source for run in runs_of(site)} == {"pictures on rq"}
    retried = runs_of(site, outcome=Outcome.RETRIED)
    assert {run.attempt for run in retried} == {1}
    for run in retried:
        assert run.kind == "report_tasks.flaky"
        assert 'raise ValueError("not yet: password=' in run.traceback
        assert "hunter2xyz" not in run.traceback
        assert run.error.startswith("ValueError: not yet: password=")
    assert {run.attempt for run in runs_of(site, kind="report_tasks.flaky", outcome=Outcome.SUCCEEDED)} == {2}
    for run in runs_of(site, outcome=Outcome.LOST):
        assert run.kind == "report_tasks.killed"
        assert "signal 9" in run.error
        assert run.cost_usd == 0.5
        assert run.peak_memory_bytes > 1_000_000
        assert run.origins == Origin.SAMPLE | Origin.HOOK


@pytest.fixture
def work_off(python, url):
    """Enqueue functions of the tasks, and have them done by a worker of that class."""

    def run(*names, kind="Worker", rq="", **environment):
        done(python(ENQUEUE, url, *names, rq=rq))
        done(python(WORK, url, kind, rq=rq, **environment))

    return run


@pytest.mark.parametrize("kind", ["Worker", "SimpleWorker", "SpawnWorker"])
def test_what_a_job_costs_is_known_whichever_worker_runs_it(work_off, site, kind):
    work_off("asks", kind=kind)
    (run,) = runs_of(site)
    assert (run.kind, run.outcome, run.attempt) == ("report_tasks.asks", Outcome.SUCCEEDED, 1)
    # A thread of a job belongs to it where the process does.
    asked = 1 if kind == "SimpleWorker" else 2
    assert run.tokens == asked * 1_001_000
    assert run.cost_usd == pytest.approx(asked * 3.015)
    assert run.worker
    (about,) = site.ledger.kinds(Range(0, site.clock.now_ms() + 1_000), site.clock.now_ms())
    assert about.cost_per_success == pytest.approx(asked * 3.015)


@pytest.mark.parametrize("rq", [pytest.param("", id="RQ 3"), pytest.param("rq-2.6", id="RQ 2.6")])
def test_what_a_work_horse_used_is_known_though_it_was_killed(work_off, site, rq):
    work_off("hungry", "killed", rq=rq)
    (hungry,) = runs_of(site, kind="report_tasks.hungry")
    assert hungry.peak_memory_bytes > 96 * 1024 * 1024
    assert hungry.cpu_s >= 0.2
    (killed,) = runs_of(site, kind="report_tasks.killed")
    assert (killed.outcome, killed.cost_usd) == (Outcome.LOST, 0.5)
    assert 0 < killed.cpu_s < hungry.cpu_s


def test_jobs_with_an_id_of_their_own_are_sent_before_a_work_horse_is_gone(work_off, site):
    work_off("batch")
    assert {(run.source, run.id) for run in runs_of(site, kind="line")} == {
        ("pictures", str(line)) for line in range(3)
    }
    assert len(runs_of(site, kind="report_tasks.batch")) == 1


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"TRACKSIDE_URL": ""}, id="no server"),
        pytest.param({"ENABLE_PROMETHEUS_METRICS": "false"}, id="switched off"),
        pytest.param({"TRACKSIDE_URL": "http://127.0.0.1:1"}, id="nobody listens"),
        pytest.param({"TRACKSIDE_KEY": "wrong"}, id="a wrong key"),
    ],
)
def test_a_worker_does_its_work_with_nobody_to_report_to(work_off, site, url, environment):
    work_off("fine", "asks", **environment)
    assert runs_of(site) == []
    counters = [
        Redis.from_url(url).hget(key, "successful_job_count") for key in Redis.from_url(url).keys("rq:worker:*")
    ]
    assert counters == [b"2"]


def test_who_may_only_look_may_not_report(work_off, site):
    work_off("fine", TRACKSIDE_KEY=site.looking_key)
    assert runs_of(site) == []
