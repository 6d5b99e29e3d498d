"""The whole chain over a real RQ, most of whose runs leave no trace."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from redis import Redis

from trackside.jobs.ledger.runs import Outcome
from trackside.jobs.redis_store import connected
from trackside.jobs.rq.source import RqSource
from trackside.server.jobs.sampler import Sampler

TASKS = """
import os, signal
from pathlib import Path

def fine(): return 1
def flaky(path):
    if not Path(path).exists():
        Path(path).touch()
        raise ValueError("not yet")
def killed(): os.kill(os.getpid(), signal.SIGKILL)
"""
FILL = """
import sys
import redis, chain_tasks
from rq import Queue, Retry, SimpleWorker, Worker
connection = redis.Redis.from_url(sys.argv[1])
high, low = Queue("high", connection=connection), Queue("low", connection=connection)
for number in range(45):
    (high, low)[number % 2].enqueue(chain_tasks.fine, result_ttl=0 if number % 3 < 2 else 500)
for number in range(15):
    high.enqueue(chain_tasks.flaky, f"{sys.argv[2]}/{number}", retry=Retry(max=2))
SimpleWorker([high, low], connection=connection).work(burst=True, logging_level="CRITICAL")
for number in range(3):
    low.enqueue(chain_tasks.killed)
Worker([low], connection=connection).work(burst=True, logging_level="CRITICAL")
"""


class Later:
    """A source whose clock goes on by itself, so that nobody has to wait until counters have settled."""

    def __init__(self, source):
        self._source = source
        self.later_ms = 0

    def __getattr__(self, name):
        return getattr(self._source, name)

    def sample(self, cursor=None):
        sample = self._source.sample(cursor)
        self.later_ms += 5_000
        return replace(sample, at_ms=sample.at_ms + self.later_ms)


@pytest.fixture
def url(redis_url):
    own = redis_url.rsplit("/", 1)[0] + "/13"
    Redis.from_url(own).flushdb()
    return own


def test_sixty_successes_and_eighteen_failed_attempts(url, tmp_path, ports, clock, ledger):
    (tmp_path / "chain_tasks.py").write_text(TASKS)
    source = Later(RqSource(connected(url), is_secret=lambda name: False))
    sampler = Sampler("rq", source, ports())
    sampler.step()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", FILL, url, str(tmp_path)], env=environment, check=True, timeout=100)
    for _ in range(8):
        sampler.step()
        assert sampler.seen.view.error == ""
    sampler.close()

    now_ms = sampler.seen.view.sample.at_ms
    stats = ledger.stats(24, now_ms)
    assert dict(stats.counts) == {Outcome.SUCCEEDED: 60, Outcome.RETRIED: 15, Outcome.FAILED: 3}
    assert stats.success_rate == pytest.approx(60 / 63)
    killed = [run for run in ledger.recent(limit=100).runs if run.outcome is Outcome.FAILED]
    assert [run.kind for run in killed] == ["chain_tasks.killed"] * 3
