"""Actions on Celery, and then its own worker."""

import json
import time

import pytest

from trackside.jobs.acting.celery import CeleryActor
from trackside.jobs.acting.rights import celery_rights
from trackside.jobs.actor import Verb
from trackside.jobs.celery.broker import Settings
from trackside.jobs.redis_store import connected


@pytest.fixture
def actor(celery):
    celery.redis.execute_command("ACL", "SETUSER", "acts", "reset", "on", ">secret", *celery_rights().split())
    one = CeleryActor(connected(celery.url.replace("redis://", "redis://acts:secret@")))
    yield one
    one.close()


def result_of(celery, id):
    kept = celery.redis.get(f"celery-task-meta-{id}")
    return None if kept is None else json.loads(kept)["status"]


def test_what_waits_is_deleted_and_the_rest_is_run(celery, actor, until):
    celery.run("""
        for id in ("one", "two", "three"):
            app.add.apply_async((1, 2), task_id=id)
        app.add.apply_async((1, 2), task_id="urgent", priority=6)
    """)

    outcomes = actor.act(Verb.DELETE, ["two", "urgent", "none"])

    assert (outcomes["two"], outcomes["urgent"]) == ("", "")
    assert outcomes["none"].startswith("it is not among the newest 100,000 that wait")
    celery.start_worker("--pool", "solo")
    until(lambda: result_of(celery, "three"))
    assert [result_of(celery, id) for id in ("one", "two", "urgent")] == ["SUCCESS", None, None]


def test_what_a_worker_has_fetched_is_revoked(celery, actor, until):
    celery.start_worker("--pool", "solo")
    # Until it has worked it is not there, and what it finds due when it comes it does at once.
    celery.run('app.add.apply_async((1, 2), task_id="first")')
    until(lambda: result_of(celery, "first"))
    # The sooner it is due the sooner we know, unless it was due before anybody was told.
    for id, countdown_s in (("later", 8), ("much later", 40)):
        began_s = time.monotonic()
        celery.run(f'app.add.apply_async((1, 2), task_id="{id}", countdown={countdown_s})')
        until(lambda: celery.redis.hlen("unacked"))
        assert actor.act(Verb.CANCEL, [id]) == {id: ""}
        if time.monotonic() - began_s < countdown_s / 2:
            break

    until(lambda: result_of(celery, id))
    assert result_of(celery, id) == "REVOKED"


def test_without_a_worker_nobody_remembers_what_is_revoked(celery, actor):
    celery.send("one")

    (reason,) = actor.act(Verb.CANCEL, ["one"]).values()

    assert reason.startswith("no worker listens")
    assert celery.redis.llen("celery") == 1


def test_a_message_that_only_mentions_the_id_is_not_deleted(celery, actor):
    celery.send("other", args=("one",))
    celery.send("one")

    assert actor.act(Verb.DELETE, ["one"]) == {"one": ""}
    assert celery.redis.llen("celery") == 1
    assert b"other" in celery.redis.lindex("celery", 0)


def test_among_many_and_in_many_queues(celery, actor):
    for at in range(2_500):
        celery.redis.rpush("celery", b"no message" if at % 2 else b"\xff\x00")
    celery.send("one")
    celery.redis.rpush("celery", celery.redis.lpop("celery"))
    celery.send("two", queue="mail")
    actor = CeleryActor(connected(celery.url), Settings(queues=("celery", "mail")))
    began_s = time.thread_time()

    assert actor.act(Verb.DELETE, ["one", "two"]) == {"one": "", "two": ""}
    assert time.thread_time() - began_s < 5
    actor.close()


def test_there_are_no_verbs_that_are_not_sound(actor):
    assert actor.verbs == {Verb.CANCEL, Verb.DELETE}
