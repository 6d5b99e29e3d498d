"""Actions on arq, and then its own worker."""

import pytest

from trackside.exceptions import SourceError
from trackside.jobs.acting.arq import ArqActor
from trackside.jobs.acting.rights import arq_rights
from trackside.jobs.actor import GONE, Verb
from trackside.jobs.arq.source import ArqSource
from trackside.jobs.redis_store import connected
from trackside.model.jobs import JobState

HEAD = """
import asyncio, sys
from datetime import timedelta
from arq import Worker, create_pool
from arq.connections import RedisSettings
settings = RedisSettings.from_dsn(sys.argv[1])
async def add(ctx, a, b): return a + b
async def slow(ctx, seconds): await asyncio.sleep(seconds)
def work(**options):
    asyncio.set_event_loop(asyncio.new_event_loop())
    Worker([add, slow], redis_settings=settings, poll_delay=0.05, **options).run()
def fill(*jobs):
    async def filled():
        pool = await create_pool(settings)
        for name, args, options in jobs:
            await pool.enqueue_job(name, *args, **options)
    asyncio.run(filled())
"""
FILL = """
fill(("add", (1, 2), {"_job_id": "one"}), ("add", (1, 2), {"_job_id": "other"}),
     ("add", (1, 2), {"_job_id": "later", "_defer_by": timedelta(hours=1)}))
"""


@pytest.fixture
def arq(script):
    return script(HEAD)


@pytest.fixture
def actor(arq, allowed):
    one = ArqActor(allowed(arq.redis, arq.url, arq_rights()))
    yield one
    one.close()


def state_of(arq, id):
    source = ArqSource(connected(arq.url), is_secret=lambda name: False)
    detail = source.get(id)
    source.close()
    return None if detail is None else detail.job.state


@pytest.mark.parametrize("verb", [Verb.CANCEL, Verb.DELETE])
def test_what_waits_is_taken_out_and_never_run(arq, actor, verb):
    arq.run(FILL)

    assert actor.act(verb, ["one", "later", "none"]) == {"one": "", "later": "", "none": GONE}

    assert not [key for key in arq.redis.scan_iter() if b"one" in key or b"later" in key]
    arq.run("work(burst=True)")
    assert (state_of(arq, "one"), state_of(arq, "other")) == (None, JobState.SUCCEEDED)


def test_what_has_ended_is_deleted_with_its_result_and_not_cancelled(arq, actor):
    arq.run(FILL + "work(burst=True, max_burst_jobs=2)")

    assert actor.act(Verb.CANCEL, ["one"]) == {"one": "it has ended"}
    assert state_of(arq, "one") is JobState.SUCCEEDED
    assert actor.act(Verb.DELETE, ["one"]) == {"one": ""}
    assert not [key for key in arq.redis.scan_iter() if b"one" in key]


def test_what_runs_is_aborted_by_a_worker_that_listens(arq, actor, until):
    arq.run('fill(("slow", (60,), {"_job_id": "one"}))')
    worker = arq.start("work(burst=True, allow_abort_jobs=True)")
    until(lambda: arq.redis.exists("arq:in-progress:one"))

    assert actor.act(Verb.DELETE, ["one"]) == {"one": "it runs: cancel it first"}
    assert actor.act(Verb.CANCEL, ["one"]) == {"one": ""}

    assert worker.wait(60) == 0
    assert state_of(arq, "one") is JobState.CANCELLED
    assert not arq.redis.exists("arq:abort", "arq:queue")


def test_another_queue(arq, allowed):
    arq.run('fill(("add", (1, 2), {"_job_id": "one", "_queue_name": "mail"}))')
    queues = ("arq:queue", "mail")
    actor = ArqActor(allowed(arq.redis, arq.url, arq_rights(queues)), queues)

    assert actor.act(Verb.CANCEL, ["one"]) == {"one": ""}
    assert arq.everything() == {}
    actor.close()


def test_retry_is_no_verb_since_a_call_is_in_a_pickle(actor):
    assert actor.verbs == {Verb.CANCEL, Verb.DELETE}


def test_with_the_rights_that_are_printed_and_without(arq):
    arq.run(FILL)
    arq.redis.execute_command("ACL", "SETUSER", "acts", "reset", "on", ">secret", *arq_rights().split())
    arq.redis.execute_command("ACL", "SETUSER", "looks", "reset", "on", ">secret", "+@read", "+time", "~*")
    acting = ArqActor(connected(arq.url.replace("redis://", "redis://acts:secret@")))
    looking = ArqActor(connected(arq.url.replace("redis://", "redis://looks:secret@")))

    assert acting.act(Verb.CANCEL, ["one"]) == {"one": ""}
    (reason,) = looking.act(Verb.CANCEL, ["other"]).values()
    assert arq_rights() in reason
    assert state_of(arq, "other") is JobState.QUEUED
    acting.close()
    looking.close()


def test_a_server_that_is_away():
    actor = ArqActor(connected("redis://127.0.0.1:1/0"))
    with pytest.raises(SourceError):
        actor.act(Verb.CANCEL, ["one"])
    actor.close()
