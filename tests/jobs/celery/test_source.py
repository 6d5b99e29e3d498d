"""What is concluded from what workers say, and from what they do not."""

import json
import time

import pytest

from trackside.exceptions import SourceError
from trackside.jobs.celery.broker import Settings
from trackside.jobs.celery.source import EVENTS_RULES, CelerySource
from trackside.jobs.redis_store import READ_ONLY_RULES, connected
from trackside.jobs.source import Measure
from trackside.model.jobs import Fidelity, JobQuery, JobState

HEARTBEAT = {"freq": 2.0, "active": 0, "pid": 7, "sw_ver": "5.7.0"}


def counts(sample, name="celery"):
    return next(queue.counts for queue in sample.queues if queue.name == name)


def test_all_steps_of_priority_are_one_queue(celery):
    source = celery.source()
    celery.send("a")
    celery.send("b", queue="celery\x06\x163")
    celery.send("c", queue="celery\x06\x169")

    assert counts(source.sample())[JobState.QUEUED] == 3
    assert {job.id for job in source.find(JobQuery()).jobs} == {"a", "b", "c"}


def test_queues_are_found_by_their_bindings(celery):
    celery.redis.sadd("_kombu.binding.celery", "low\x06\x16\x06\x16low")
    celery.redis.sadd("_kombu.binding.images", "images\x06\x16\x06\x16images")
    celery.redis.sadd("_kombu.binding.celery.pidbox", "\x06\x16\x06\x16w@here.celery.pidbox")
    celery.redis.sadd("_kombu.binding.celeryev", "worker.#\x06\x16\x06\x16celeryev.1")

    assert [queue.name for queue in celery.source().sample().queues] == ["celery", "images", "low"]


def test_workers_that_are_not_heard_are_inferred_from_their_mailboxes(celery):
    celery.redis.sadd("_kombu.binding.celery.pidbox", "\x06\x16\x06\x16w@here.celery.pidbox")
    source = celery.source()
    (worker,) = source.sample().workers

    assert (worker.id, worker.host, worker.is_inferred) == ("w@here", "here", True)
    assert source.fidelity[Measure.WORKERS] is Fidelity.INFERRED


def test_nothing_changes_under_read_only_credentials(celery):
    celery.send("a")
    celery.fetch("b")
    celery.keep_result("c")
    celery.redis.execute_command(
        "ACL", "SETUSER", "trackside", "reset", "on", ">secret", *READ_ONLY_RULES.split(), *EVENTS_RULES.split()
    )
    source = CelerySource(connected(celery.url.replace("//", "//trackside:secret@")), is_secret=lambda key: False)
    celery.sources.append(source)
    before = {key: celery.redis.dump(key) for key in celery.redis.scan_iter()}

    cursor = None
    for _ in range(100):
        sample = source.sample(cursor)
        cursor = sample.cursor
    found = source.find(JobQuery()).jobs
    assert {job.id for job in found} == {"a", "b"}
    assert all(source.get(id) for id in "abc")

    assert not any("not heard" in note for note in sample.notes)
    assert {key: celery.redis.dump(key) for key in celery.redis.scan_iter()} == before


def test_a_task_acknowledged_late_is_not_counted_twice(celery, until):
    source = celery.source()
    celery.fetch("a")
    celery.fetch("b")
    celery.say("worker-heartbeat", **HEARTBEAT | {"active": 1})
    celery.say("task-received", uuid="a", name="app.add")
    celery.say("task-started", uuid="a")
    sample = until(source, lambda sample: sample.running)

    assert counts(sample) == {JobState.QUEUED: 1, JobState.RUNNING: 1}
    assert sample.queues[0].prefetched == 1


def test_a_countdown_is_not_waiting(celery):
    source = celery.source()
    soon = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 600))
    celery.fetch("later", eta=soon)
    celery.fetch("again", eta=soon, retries=1)
    celery.fetch("due", eta="2020-01-01T00:00:00+00:00", age_s=30)
    sample = source.sample()

    found = counts(sample)
    assert (found[JobState.SCHEDULED], found[JobState.RETRYING], found[JobState.QUEUED]) == (1, 1, 1)
    assert {job.id for job in source.find(JobQuery(frozenset([JobState.RETRYING]))).jobs} == {"again"}


def test_the_oldest_waits_since_it_was_sent(celery, until):
    source = celery.source()

    def has_right_clock(sample):
        """What is heard late looks like a clock that is behind."""
        celery.say("task-sent", host="gen1@web", uuid="other", name="app.add", queue="celery")
        skew_ms = source._listener.tasks.skew_ms("gen1@web")
        return skew_ms is not None and abs(skew_ms) < 300

    until(source, has_right_clock)
    celery.send("old")
    celery.send("new")
    sent_ms = round(time.time() * 1000) - 500
    celery.say("task-sent", host="gen1@web", at=sent_ms / 1000, uuid="old", name="app.add", queue="celery")
    # Until that is heard, it waits since it was seen.
    until(source, lambda sample: source.get("old").job.enqueued_ms <= sent_ms)

    assert source.sample().queues[0].oldest_ready_ms == sent_ms


def test_an_end_that_was_not_heard_is_found_by_its_result(celery, until):
    source = celery.source()
    celery.say("worker-heartbeat", **HEARTBEAT | {"active": 1})
    celery.say("task-started", uuid="a", at=time.time() - 60)
    cursor = until(source, lambda sample: sample.running).cursor
    celery.redis.set("celery-task-meta-a", json.dumps({"status": "FAILURE", "result": {"exc_type": "KeyError"}}))
    # Only what was not heard of for a while is asked for.
    sample = until(source, lambda sample: sample.finished, cursor)

    assert [(job.id, job.state, job.error) for job in sample.finished] == [("a", JobState.FAILED, "KeyError")]
    assert sample.running == ()


def test_an_end_that_leaves_nothing_is_found_by_the_worker_running_less(celery, until):
    source = celery.source()
    celery.say("worker-heartbeat", **HEARTBEAT | {"active": 1})
    celery.say("task-started", uuid="a")
    until(source, lambda sample: sample.running)

    def beats(sample):
        """As long as it does, it is believed."""
        celery.say("worker-heartbeat", **HEARTBEAT)
        return not sample.running

    assert until(source, beats).finished == ()


def test_a_lost_worker_leaves_its_tasks_without_a_lease(celery, until):
    began_s = time.monotonic()
    source = celery.source()
    celery.say("worker-heartbeat", **HEARTBEAT | {"active": 1})
    celery.say("task-started", uuid="a")
    sample = until(source, lambda sample: sample.running)

    assert sample.running[0].lease_until_ms == sample.workers[0].expected_ms
    passed_ms = (time.monotonic() - began_s) * 1000 + 1
    assert sample.workers[0].expected_ms - sample.at_ms == pytest.approx(10_000, abs=passed_ms)


def test_a_result_and_its_event_are_one_end(celery, until):
    source = celery.source()
    cursor = source.sample().cursor
    celery.say("task-started", uuid="a", name="app.add")
    celery.keep_result("a", result=3)
    celery.say("task-succeeded", uuid="a", result="3", runtime=1.5)
    sample = until(source, lambda sample: sample.finished, cursor)
    source._listener.tasks.settle(sample.at_ms + 60_000)

    assert len(sample.finished) == 1
    assert source.sample(sample.cursor).finished == ()


def test_an_end_knows_what_only_its_result_says(celery, until):
    source = celery.source()
    cursor = source.sample().cursor
    celery.say("task-started", uuid="a")
    celery.keep_result("a", result=3, name="app.add", queue="low")
    celery.say("task-succeeded", uuid="a", result="3", runtime=1.5)
    (job,) = until(source, lambda sample: sample.finished, cursor).finished

    assert (job.kind, job.queue) == ("app.add", "low")


def test_results_alone_tell_ends(celery, until):
    source = celery.source()
    cursor = source.sample().cursor
    celery.fetch("a", "app.mail")
    source.sample(cursor)
    celery.keep_result("a", "FAILURE", result={"exc_type": "KeyError", "exc_message": ["x"]}, traceback="Traceback…")
    sample = until(source, lambda sample: sample.finished, cursor)

    assert [(job.kind, job.state, job.error) for job in sample.finished] == [
        ("app.mail", JobState.FAILED, "KeyError: x")
    ]
    assert source.get("a").attempts[0].traceback == "Traceback…"


def test_a_clock_that_is_ahead_is_put_right(celery, until):
    source = celery.source()
    cursor = source.sample().cursor
    now = time.time()
    celery.say("worker-heartbeat", at=now + 600, **HEARTBEAT)
    celery.say("task-sent", host="gen1@web", at=now - 1, uuid="a", name="app.add", queue="celery")
    celery.say("task-started", at=now + 600, uuid="a")
    celery.say("task-succeeded", at=now + 602, uuid="a", runtime=2.0)
    sample = until(source, lambda sample: sample.finished, cursor)
    passed_s = time.time() - now

    # It was sent a second before, and took two.
    assert sample.workers[0].skew_s == pytest.approx(600, abs=2 + passed_s)
    assert sample.finished[0].finished_ms <= sample.at_ms + passed_s * 1000
    assert 0 <= sample.finished[0].wait_s <= 1.01 + passed_s


def test_a_cursor_of_another_process_begins_anew(celery, until):
    source = celery.source()
    celery.say("task-succeeded", uuid="a")
    until(source, lambda sample: source.get("a"))

    for cursor in (
        None,
        1,
        [],
        {},
        {"run": "x"},
        {"run": source._run},
        {"run": source._run, "number": "x", "counted": 1},
    ):
        assert source.sample(cursor).finished == ()


def test_hostile_messages_do_no_harm(celery, until):
    source = celery.source()
    deep = "[" * 50_000
    for raw in (b"", b"\xff", b"1", b"[]", b"{}", deep.encode(), b'{"body": 1}', b'{"body": "!", "properties": 1}'):
        celery.redis.lpush("celery", raw)
        celery.redis.hset("unacked", raw, raw)
        celery.redis.publish("/0.celeryev/task.multi", raw)
        celery.redis.publish("celery-task-meta-x", raw)
    for body in (None, [1], {"type": 1}, {"type": "task-started"}, {"type": "task-started", "uuid": 1}, deep):
        celery.publish("/0.celeryev/task.multi", body)
    odd = {"timestamp": "x", "hostname": 3, "uuid": "odd", "args": deep, "retries": "x", "runtime": None, "eta": 5}
    celery.publish("/0.celeryev/task.multi", [{"type": "task-received", **odd}, {"type": "task-succeeded", **odd}])
    celery.publish(
        "/0.celeryev/worker.heartbeat", {"type": "worker-heartbeat", "hostname": "w", "active": "x", "freq": {}}
    )
    celery.redis.set("_kombu.binding.celery", "text")
    celery.redis.set("celery-task-meta-x", "x" * (2 << 20))
    celery.redis.set("unacked_index", "text")
    sample = until(source, lambda sample: sample.workers and source.get("odd"))

    assert counts(sample)[JobState.QUEUED] >= 8
    json.dumps([job.id for job in source.find(JobQuery(text="x")).jobs])
    assert source.get("x") is None


def test_keys_of_other_types_are_as_if_they_were_not_there(celery):
    celery.redis.set("celery", "text")
    celery.redis.set("unacked", "text")

    assert counts(celery.source().sample()) == {JobState.QUEUED: 0, JobState.RUNNING: 0}


def test_all_pages_have_each_task_once(celery, until):
    source = celery.source()
    for at in range(30):
        celery.send(f"a{at}")
        celery.send(f"b{at}", queue="low")
        celery.say("task-succeeded", uuid=f"c{at}", name="app.add")
    celery.redis.sadd("_kombu.binding.celery", "low\x06\x16\x06\x16low")
    until(source, lambda sample: source.get("c29"))
    pages = [source.find(JobQuery(), limit=7)]
    while pages[-1].next:
        celery.send(f"later{len(pages)}")
        pages.append(source.find(JobQuery(), pages[-1].next, limit=7))
    ids = [job.id for page in pages for job in page.jobs if not job.id.startswith("later")]

    assert len(ids) == len(set(ids)) == 90
    assert [id for id in ids if id[0] == "a"] == [f"a{at}" for at in range(29, -1, -1)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(JobQuery(queue="low"), {"b"}, id="of a queue"),
        pytest.param(JobQuery(kind="app.mail"), {"b", "d"}, id="of a kind"),
        pytest.param(JobQuery(worker="w@here"), {"c", "d"}, id="of a worker"),
        pytest.param(JobQuery(text="ADA"), {"b"}, id="by its arguments"),
        pytest.param(JobQuery(text="hush"), set(), id="not by its secrets"),
        pytest.param(JobQuery(text="no such"), {"d"}, id="by its error"),
        pytest.param(JobQuery(states=frozenset([JobState.QUEUED])), {"a", "b"}, id="waiting"),
        pytest.param(JobQuery(states=frozenset([JobState.FAILED])), {"d"}, id="failed"),
    ],
)
def test_tasks_are_found_by(celery, until, query, expected):
    source = celery.source()
    celery.redis.sadd("_kombu.binding.celery", "low\x06\x16\x06\x16low")
    celery.send("a", kwargs={"password": "hush"})
    celery.send("b", "app.mail", ("ada",), queue="low")
    celery.say("task-succeeded", uuid="c", name="app.add")
    celery.say("task-failed", uuid="d", name="app.mail", exception="KeyError('no such')")
    until(source, lambda sample: source.get("d"))

    assert {job.id for job in source.find(query).jobs} == expected


def test_the_last_of_many_is_found_by_its_id(celery):
    source = celery.source()
    celery.send("old", kwargs={"user": "ada"})
    pipeline = celery.redis.pipeline()
    for at in range(12_000):
        pipeline.lpush("celery", json.dumps({"headers": {"id": str(at), "task": "app.add"}}))
    pipeline.execute()

    assert source.get("old").kwargs == {"user": "ada"}
    assert source.get("older") is None


@pytest.mark.parametrize("after", ["x", "[]", "{}", '["celery", 1]', "[1, 2, 3]", '["none", 7, "x"]', "[" * 9_999])
def test_a_page_that_makes_no_sense_harms_nobody(celery, after):
    celery.send("a")

    assert [job.id for job in celery.source().find(JobQuery(), after).jobs] == ["a"]


def test_settings_of_an_application(celery, until):
    settings = Settings(
        queues=("x",), prefix="shop:", result_prefix="shop_", priority_steps=(0, 5), fanout_prefix="/f/"
    )
    source = celery.source(settings=settings)
    celery.send("a", queue="shop:x\x06\x165")
    celery.redis.publish("shop_celery-task-meta-b", json.dumps({"task_id": "b", "status": "SUCCESS"}))
    celery.publish("shop:/f/celeryev/worker.heartbeat", {"type": "worker-heartbeat", "hostname": "w", **HEARTBEAT})
    cursor = source.sample().cursor
    sample = until(source, lambda sample: sample.workers and source.get("b"), cursor)

    assert counts(sample, "x")[JobState.QUEUED] == 1


def test_a_server_that_is_gone_is_said_in_a_sentence():
    source = CelerySource(connected("redis://127.0.0.1:1/0"), is_secret=lambda key: False)
    with pytest.raises(SourceError, match="cannot be read"):
        source.sample()
    source.close()


def test_a_lost_connection_is_taken_up_again(celery, until):
    source = celery.source()
    celery.redis.client_kill_filter(_type="pubsub")
    sample = until(source, lambda sample: any("connection was lost" in note for note in sample.notes))
    until(source, lambda sample: not source._listener.error and source._listener.wait_until_listening(0))
    celery.say("worker-heartbeat", **HEARTBEAT)

    assert until(source, lambda sample: sample.workers)
    assert sample.queues


def test_secrets_in_errors_are_neither_shown_nor_found(celery, until):
    trace = "Traceback (most recent call last):\n  File x\nOSError: redis://:hunter2@cache refused"
    source = celery.source()
    celery.say("task-retried", uuid="a", name="app.add", exception="OSError('Bearer hunter2')", traceback=trace)
    celery.say("task-failed", uuid="a", exception="OSError('redis://:hunter2@cache refused')", traceback=trace)
    kept = {"exc_type": "OSError", "exc_message": ["redis://:hunter2@cache refused"], "exc_module": "builtins"}
    celery.keep_result("b", "FAILURE", result=kept, traceback=trace, name="app.add")
    sample = until(source, lambda sample: len(source.find(JobQuery(states=frozenset({JobState.FAILED}))).jobs) == 2)

    assert not source.find(JobQuery(text="hunter2")).jobs
    assert {job.error for job in source.find(JobQuery(text="cache refused")).jobs} == {
        "OSError('redis://:[Filtered]@cache refused')",
        "OSError: redis://:[Filtered]@cache refused",
    }
    details = [source.get("a"), source.get("b")]
    assert [len(detail.attempts) for detail in details] == [2, 1]
    assert "hunter2" not in repr((sample, details))
    assert all("[Filtered]@cache" in attempt.traceback for detail in details for attempt in detail.attempts)
