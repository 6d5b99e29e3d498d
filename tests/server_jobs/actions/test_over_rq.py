"""A bulk retry from the filter to the audit, on a real Redis and with the real library."""

import subprocess
import sys
import time
from collections import Counter

import pytest
from redis import Redis

from trackside.jobs.acting.rq import RqActor
from trackside.jobs.actor import Verb
from trackside.jobs.redis_store import connected
from trackside.jobs.rq.source import RqSource
from trackside.model.jobs import JobQuery, JobState
from trackside.server.db.database import Database
from trackside.server.jobs.actions.actions import JobActions, Place, Throttle
from trackside.server.jobs.actions.plan import Asked, Person

APPLICATION = """
import os, sys
import redis, rq
sys.modules["tasks"] = sys.modules["__main__"]
connection = redis.Redis.from_url(sys.argv[1])
queue = rq.Queue("default", connection=connection)
def send(number):
    if len(sys.argv) < 3: raise ValueError("no such address")
if len(sys.argv) < 3:
    for number in range(230): queue.enqueue("tasks.send", number, job_id=f"job-{number}")
rq.SimpleWorker([queue], connection=connection).work(burst=True, logging_level="CRITICAL")
"""
ANN = Person("1:ann", "ann")


class SystemClock:
    def now_ms(self):
        return time.time_ns() // 1_000_000

    def monotonic_s(self):
        return time.perf_counter()


@pytest.fixture
def redis(redis_url):
    client = Redis.from_url(redis_url)
    client.flushall()
    yield client
    client.close()


def test_a_bulk_retry_from_the_filter_to_the_audit(redis, redis_url, tmp_path):
    def run(*more):
        subprocess.run([sys.executable, "-c", APPLICATION, redis_url, *more], check=True, stderr=subprocess.DEVNULL)

    run()
    source = RqSource(connected(redis_url), is_secret=lambda name: False)
    db = Database(tmp_path / "trackside.db")
    places = {"rq": Place(source, RqActor(connected(redis_url)))}
    actions = JobActions(places, db, SystemClock(), Throttle(pause_s=0.05))
    failed = JobQuery(frozenset((JobState.FAILED,)), kind="tasks.send")

    plan = actions.plan(ANN, Asked(Verb.RETRY, "rq", query=failed))
    assert (plan.matched, plan.will_change) == (230, 230)
    assert redis.zcard("rq:failed:default") == 230
    # While somebody reads the plan, one of them is retried by hand.
    actions_of_another = RqActor(connected(redis_url))
    actions_of_another.act(Verb.RETRY, ["job-7"])

    id = actions.confirm(ANN, plan.token)
    by = time.monotonic() + 60
    while actions.action(id).state != "done":
        assert time.monotonic() < by
        time.sleep(0.01)
    told = actions.action(id)

    assert (told.action.done, told.action.left_alone) == (229, 1)
    assert Counter(one.outcome for one in told.targets) == {"": 229, "it is queued now": 1}
    assert told.action.filter == "state:failed kind:tasks.send"
    assert (redis.llen("rq:queue:default"), redis.zcard("rq:failed:default")) == (230, 0)
    run("now it works")
    assert (redis.llen("rq:queue:default"), redis.zcard("rq:finished:default")) == (0, 230)
    assert [one.targets[0].outcome for one in actions.of_job("rq", "job-7")] == ["it is queued now"]
    actions.close()
    actions_of_another.close()
    source.close()
    db.close()
