"""Actions on dramatiq, and then its own worker."""

import json

import pytest

from trackside.jobs.acting.dramatiq import DramatiqActor
from trackside.jobs.acting.rights import dramatiq_rights
from trackside.jobs.actor import GONE, Verb
from trackside.jobs.dramatiq.source import DramatiqSource
from trackside.jobs.redis_store import connected
from trackside.model.jobs import JobQuery, JobState

HEAD = """
import os, sys, time
from pathlib import Path
import dramatiq
from dramatiq.brokers.redis import RedisBroker
broker = RedisBroker(url=sys.argv[1])
dramatiq.set_broker(broker)
@dramatiq.actor(max_retries=1, min_backoff=1, max_backoff=1)
def twice(path):
    with open(path, "a") as file: file.write("x")
    if len(Path(path).read_text()) < 4: raise ValueError("not yet")
@dramatiq.actor
def slow(seconds): time.sleep(seconds)
@dramatiq.actor
def add(a, b): return a + b
def work():
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=50)
    worker.start()
    broker.join("default", timeout=50_000)
    worker.join()
    worker.stop()
"""


@pytest.fixture
def dramatiq(script):
    return script(HEAD)


@pytest.fixture
def actor(dramatiq, allowed):
    one = DramatiqActor(allowed(dramatiq.redis, dramatiq.url, dramatiq_rights()))
    yield one
    one.close()


def jobs(dramatiq, *states):
    source = DramatiqSource(connected(dramatiq.url), is_secret=lambda name: False)
    found = source.find(JobQuery(frozenset(states))).jobs
    source.close()
    return {job.id: job.state for job in found}


def test_a_dead_letter_goes_back_and_has_all_its_attempts_again(dramatiq, actor, tmp_path):
    """Two attempts make it a dead letter; of the next two the second works out."""
    path = tmp_path / "runs"
    dramatiq.run(f"twice.send({str(path)!r})\nwork()")
    ((id, state),) = jobs(dramatiq).items()
    assert (state, path.read_text()) == (JobState.FAILED, "xx")

    assert actor.act(Verb.RETRY, [id, "none"]) == {id: "", "none": GONE}

    assert jobs(dramatiq) == {id: JobState.QUEUED}
    assert not dramatiq.redis.exists("dramatiq:default.XQ", "dramatiq:default.XQ.msgs")
    dramatiq.run("work()")
    assert path.read_text() == "xxxx"
    assert jobs(dramatiq) == {}
    assert not dramatiq.redis.exists("dramatiq:default", "dramatiq:default.msgs", "dramatiq:default.DQ.msgs")


def test_what_waits_and_what_is_delayed_is_deleted(dramatiq, actor):
    dramatiq.run("add.send(1, 2)\nadd.send(3, 4)\nadd.send_with_options(args=(5, 6), delay=3_600_000)")
    found = jobs(dramatiq)
    assert sorted(state.value for state in found.values()) == ["queued", "queued", "scheduled"]
    assert set(actor.act(Verb.RETRY, list(found)).values()) == {"it is queued now", "it is scheduled now"}

    assert set(actor.act(Verb.DELETE, list(found)).values()) == {""}

    assert [key for key in dramatiq.redis.scan_iter() if b"__" not in key] == []
    dramatiq.run("work()")


def test_a_dead_letter_is_deleted(dramatiq, actor, tmp_path):
    dramatiq.run(f"twice.send({str(tmp_path / 'runs')!r})\nwork()")
    (id,) = jobs(dramatiq)

    assert actor.act(Verb.DELETE, [id]) == {id: ""}
    assert [key for key in dramatiq.redis.scan_iter() if b"__" not in key] == []


def test_what_a_worker_has_fetched_is_left_alone(dramatiq, actor, until):
    dramatiq.run("slow.send(60)\nadd.send(1, 2)")
    dramatiq.start("work()")
    until(lambda: not dramatiq.redis.exists("dramatiq:default"))
    ids = list(jobs(dramatiq))

    outcomes = actor.act(Verb.DELETE, ids)

    assert len(ids) == 2 and set(outcomes.values()) == {"a worker has fetched it"}
    assert dramatiq.redis.hlen("dramatiq:default.msgs") == 2


def test_a_message_of_another_encoder_goes_back_as_it_is(dramatiq, actor):
    """Nobody can find it by its id: it says none that we can read."""
    dramatiq.redis.hset("dramatiq:default.XQ.msgs", "field", b"\x80\x04pickled")
    dramatiq.redis.zadd("dramatiq:default.XQ", {"field": 1})
    before = dramatiq.everything()

    assert actor.act(Verb.RETRY, ["field"]) == {"field": GONE}
    assert dramatiq.everything() == before


def test_other_options_of_a_message_stay(dramatiq, actor):
    message = {
        "queue_name": "default",
        "actor_name": "add",
        "args": [1, 1e300, "ä"],
        "kwargs": {},
        "options": {"retries": 3, "traceback": "no", "redis_message_id": "field", "mine": [None, 2**70]},
        "message_id": "the-one",
        "message_timestamp": 1,
    }
    dramatiq.redis.hset("dramatiq:default.XQ.msgs", "field", json.dumps(message))
    dramatiq.redis.zadd("dramatiq:default.XQ", {"field": 1})

    assert actor.act(Verb.RETRY, ["the-one"]) == {"the-one": ""}

    message["options"]["retries"] = 0
    assert json.loads(dramatiq.redis.hget("dramatiq:default.msgs", "field")) == message
