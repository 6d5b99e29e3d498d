"""dramatiq on a real Redis: its workers run in processes of their own, and are looked at."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from trackside.exceptions import SourceError
from trackside.jobs.dramatiq.messages import attempts, dead_job, delayed_job, message_of, waiting_job
from trackside.jobs.dramatiq.source import DramatiqSource
from trackside.jobs.packing import packed
from trackside.jobs.redis_store import READ_ONLY_RULES, connected
from trackside.jobs.source import Measure
from trackside.model.jobs import Fidelity, JobQuery, JobState

HEAD = """
import os, sys, time
import dramatiq
from dramatiq.brokers.redis import RedisBroker
broker = RedisBroker(url=sys.argv[1], namespace=sys.argv[2], maintenance_chance=1)
dramatiq.set_broker(broker)

@dramatiq.actor
def add(a, b=0, password=None): return a + b
@dramatiq.actor(max_retries=1, min_backoff=1, max_backoff=1)
def boom(message="no such thing"): raise ValueError(message)
@dramatiq.actor(max_retries=0)
def once(): raise ValueError("only once")
@dramatiq.actor(max_retries=9, min_backoff=3600_000, max_backoff=7200_000)
def flaky(): raise ValueError("not yet")
@dramatiq.actor(queue_name="low")
def slow(seconds): time.sleep(seconds)

def work(seconds=None, threads=2):
    worker = dramatiq.Worker(broker, worker_threads=threads, worker_timeout=50)
    worker.start()
    if seconds is None: time.sleep(60)
    for name in ("default", "low"): broker.join(name, timeout=seconds * 1000)
    worker.join()
    worker.stop()
"""


def is_secret(key):
    return "password" in key


class Dramatiq:
    def __init__(self, url, namespace="dramatiq"):
        self.url = url
        self.namespace = namespace
        self.redis = Redis.from_url(url)
        self.redis.flushall()
        self.source = DramatiqSource(connected(url), is_secret=is_secret, namespace=namespace)
        self._running = []

    def start(self, code):
        command = [sys.executable, "-c", HEAD + textwrap.dedent(code), self.url, self.namespace]
        self._running.append(subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL))
        return self._running[-1]

    def run(self, code):
        assert self.start(code).wait(60) == 0

    def kill(self, worker):
        """And Redis has done all that it was told by it: first come, first served, and the rest in the same round."""
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        self.redis.ping()

    def counts(self, name="default"):
        queue = next((one for one in self.source.sample().queues if one.name == name), None)
        return {state.value: count for state, count in queue.counts.items() if count} if queue else {}

    def message(self, id, *, queue="default", ending="", field=None, sent_ms=None, options=None, **fields):
        """As dramatiq writes it."""
        field = field or f"redis-{id}"
        plain = {
            "queue_name": queue,
            "actor_name": "add",
            "args": [1],
            "kwargs": {},
            "options": {"redis_message_id": field, **(options or {})},
            "message_id": id,
            "message_timestamp": sent_ms or now_ms(),
        }
        self.redis.hset(f"dramatiq:{queue}{ending}.msgs", field, json.dumps({**plain, **fields}))
        return field

    def wait(self, id, **fields):
        self.redis.rpush("dramatiq:default", self.message(id, **fields))

    def die(self, id, at_ms, **fields):
        self.redis.zadd("dramatiq:default.XQ", {self.message(id, ending=".XQ", **fields): at_ms})

    def everything(self):
        """All that Redis has, to the byte, and when it ends."""
        pipeline = self.redis.pipeline()
        keys = sorted(self.redis.scan_iter(count=1000))
        for key in keys:
            pipeline.dump(key)
            pipeline.execute_command("PEXPIRETIME", key)
        return dict(zip(keys, zip(*[iter(pipeline.execute())] * 2, strict=True), strict=True))

    def close(self):
        for one in self._running:
            if one.poll() is None:
                os.killpg(one.pid, signal.SIGKILL)
            one.wait()
        self.source.close()
        self.redis.close()


def now_ms():
    return int(time.time() * 1000)


def cost_s(redis):
    """Processor time, of Redis and of ours: on a busy machine the clock goes on while nobody works for us."""
    its = redis.info("cpu")
    return time.thread_time() + its["used_cpu_user"] + its["used_cpu_sys"]


@pytest.fixture
def dramatiq(redis_url):
    one = Dramatiq(redis_url)
    yield one
    one.close()


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


FILLED = """
add.send(1, b=2, password="hush")
add.send_with_options(args=(3,), delay=3600_000)
slow.send(60); slow.send(60); slow.send(60)
"""


def test_what_waits_is_counted_and_queues_are_found(dramatiq):
    dramatiq.run(FILLED)
    sample = dramatiq.source.sample()
    waiting = dramatiq.source.find(JobQuery(queue="default", states=frozenset({JobState.QUEUED}))).jobs

    assert {queue.name for queue in sample.queues} == {"default", "low"}
    assert dramatiq.counts() == {"queued": 1, "scheduled": 1}
    assert dramatiq.counts("low") == {"queued": 3}
    # The producer has said that it lives, and is no worker.
    assert dramatiq.redis.zcard("dramatiq:__heartbeats__") == 1
    assert sample.workers == ()
    assert min(queue.oldest_ready_ms for queue in sample.queues) == waiting[0].enqueued_ms
    detail = dramatiq.source.get(waiting[0].id)
    assert (detail.job.kind, detail.args, detail.kwargs) == ("add", (1,), {"b": 2, "password": "[redacted]"})


def test_what_is_fetched_runs_and_what_is_delayed_stays_so_in_the_memory_of_a_worker(dramatiq):
    dramatiq.run(FILLED)
    worker = dramatiq.start("work(threads=8)")
    until(lambda: dramatiq.counts() == {"scheduled": 1} and dramatiq.counts("low") == {"running": 3})
    until(lambda: dramatiq.redis.llen("dramatiq:default.DQ") == 0)
    first = dramatiq.source.sample()
    second = dramatiq.source.sample(json.loads(json.dumps(first.cursor)))
    (found,) = second.workers

    assert dramatiq.counts() == {"scheduled": 1}
    assert {job.kind for job in second.running} == {"slow"}
    assert {job.started_ms for job in second.running} == {job.started_ms for job in first.running}
    assert all(job.worker == found.id and job.attempt == 1 for job in second.running)
    assert (found.queues, found.state, found.is_inferred) == (("default", "low"), "busy", True)
    assert len(found.jobs) == 3
    assert 0 < found.expected_ms - second.at_ms <= 60_000
    assert dramatiq.source.get(found.jobs[0]).attempts[0].outcome == "running"
    (delayed,) = dramatiq.source.find(JobQuery(states=frozenset({JobState.SCHEDULED}))).jobs
    assert dramatiq.source.get(delayed.id).job.due_ms - delayed.enqueued_ms == pytest.approx(3_600_000, abs=60_000)

    dramatiq.kill(worker)
    dramatiq.redis.zadd("dramatiq:__heartbeats__", {found.id: now_ms() - 61_000})
    sample = dramatiq.source.sample(second.cursor)
    assert all(job.lease_until_ms < sample.at_ms for job in sample.running)
    assert len(sample.running) == 3


def test_dead_letters_are_told_once_with_their_tracebacks(dramatiq):
    cursor = dramatiq.source.sample().cursor
    dramatiq.run("boom.send(); once.send(); add.send(1); work(seconds=50)")
    sample = dramatiq.source.sample(cursor)
    found = {job.kind: job for job in sample.finished}

    assert set(found) == {"boom", "once"}
    assert found["boom"].error == "ValueError: no such thing"
    assert (found["boom"].attempt, found["boom"].state) == (2, JobState.FAILED)
    # What was not retried is dead without a word.
    assert (found["once"].attempt, found["once"].error) == (1, None)
    assert dramatiq.counts() == {"failed": 2}
    assert dramatiq.source.sample(sample.cursor).finished == ()
    other = DramatiqSource(connected(dramatiq.url), is_secret=is_secret)
    assert other.sample(json.loads(json.dumps(sample.cursor))).finished == ()
    other.close()
    retried, failed = dramatiq.source.get(found["boom"].id).attempts
    assert (retried.number, retried.outcome, failed.number, failed.outcome) == (1, "retried", 2, "failed")
    assert retried.traceback.startswith("Traceback ")
    assert retried.error == "ValueError: no such thing"


def test_a_retry_waits_for_its_time(dramatiq):
    dramatiq.run("flaky.send()")
    (job,) = dramatiq.source.find(JobQuery()).jobs
    dramatiq.start("work(threads=8)")
    until(lambda: dramatiq.counts() == {"retrying": 1})
    detail = dramatiq.source.get(job.id)

    assert (detail.job.state, detail.job.attempt, detail.job.error) == (JobState.RETRYING, 2, "ValueError: not yet")
    assert detail.job.due_ms - now_ms() > 1_000_000
    assert detail.attempts[0].traceback


def test_nothing_changes_under_read_only_credentials(dramatiq):
    dramatiq.run(FILLED)
    worker = dramatiq.start("work(threads=8)")
    until(lambda: dramatiq.counts("low") == {"running": 3} and dramatiq.counts() == {"scheduled": 1})
    # An idle worker beats; killed, it leaves all as it is.
    dramatiq.kill(worker)
    dramatiq.die("dead", now_ms())
    dramatiq.redis.execute_command("ACL", "SETUSER", "looker", "reset", "on", ">secret", *READ_ONLY_RULES.split())
    source = DramatiqSource(connected(dramatiq.url.replace("://", "://looker:secret@")), is_secret=is_secret)
    before = dramatiq.everything()
    cursor = None
    for _ in range(20):
        cursor = source.sample(cursor).cursor
    jobs = source.find(JobQuery()).jobs
    assert len(jobs) == 5
    assert all(source.get(job.id) for job in jobs)

    assert dramatiq.everything() == before
    source.close()
    dramatiq.redis.execute_command("ACL", "DELUSER", "looker")


def test_another_namespace_and_given_queues(redis_url):
    one = Dramatiq(redis_url, "app[1]*")
    one.run("add.send(1); slow.send(1)")
    given = DramatiqSource(connected(redis_url), is_secret=is_secret, namespace="app[1]*", queues=("low", "none"))

    assert {queue.name for queue in one.source.sample().queues} == {"default", "low"}
    assert [queue.name for queue in given.sample().queues] == ["low", "none"]
    given.close()
    one.close()


def test_a_queue_that_was_seen_is_remembered_when_it_is_empty(dramatiq):
    dramatiq.wait("one")
    cursor = dramatiq.source.sample().cursor
    dramatiq.redis.flushall()
    other = DramatiqSource(connected(dramatiq.url), is_secret=is_secret)

    assert [queue.name for queue in other.sample(cursor).queues] == ["default"]
    other.close()


def test_a_delayed_message_waits_since_it_was_due(dramatiq):
    now = now_ms()
    field = dramatiq.message("one", ending=".DQ", sent_ms=now - 60_000, options={"eta": now - 1_000})
    dramatiq.redis.rpush("dramatiq:default.DQ", field)

    assert dramatiq.counts() == {"queued": 1}
    assert dramatiq.source.sample().queues[0].oldest_ready_ms == now - 1_000
    # Moved to its queue it has lost its eta.
    dramatiq.redis.flushall()
    dramatiq.wait("one", sent_ms=now - 60_000)
    assert dramatiq.source.sample().queues[0].oldest_ready_ms == now - 1_000


def test_all_pages_have_each_message_once_and_newest_first(dramatiq):
    now = now_ms()
    for at in range(130):
        dramatiq.wait(f"w{129 - at}", sent_ms=now - (129 - at) * 1_000)
        dramatiq.die(f"d{at}", now - at * 1_000 - 500)
    found, after = [], ""
    while True:
        page = dramatiq.source.find(JobQuery(), after, 50)
        found += page.jobs
        after = page.next
        if not after:
            break
        # A worker takes one, and a new one comes.
        dramatiq.redis.lpop("dramatiq:default")
        dramatiq.wait(f"new{len(found)}")

    assert [job.id for job in found if not job.id.startswith("new")] == [
        f"{kind}{at}" for at in range(130) for kind in "wd" if (kind, at) < ("w", 125)
    ]
    assert len({job.id for job in found}) == len(found)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(JobQuery(states=frozenset({JobState.QUEUED})), {"due", "other"}, id="state"),
        pytest.param(JobQuery(states=frozenset({JobState.FAILED})), {"dead"}, id="dead"),
        pytest.param(JobQuery(states=frozenset({JobState.RETRYING})), {"again"}, id="retrying"),
        pytest.param(JobQuery(kind="boom"), {"dead"}, id="kind"),
        pytest.param(JobQuery(queue="default", text="needle"), {"due", "held"}, id="arguments"),
        pytest.param(JobQuery(text="no such"), {"dead"}, id="error"),
        pytest.param(JobQuery(worker="w"), {"held"}, id="worker"),
        pytest.param(JobQuery(text="hush"), set(), id="secrets are not found"),
    ],
)
def test_messages_are_found_by(dramatiq, query, expected):
    dramatiq.wait("due", kwargs={"what": "Needle", "password": "hush"})
    dramatiq.wait("other")
    dramatiq.die("dead", now_ms(), actor_name="boom", options={"traceback": "Traceback (m):\n  x\nE: no such\n"})
    field = dramatiq.message("again", ending=".DQ", options={"eta": now_ms() + 60_000, "retries": 2})
    dramatiq.redis.sadd("dramatiq:__acks__.w.default.DQ", field)
    dramatiq.redis.sadd("dramatiq:__acks__.w.default", dramatiq.message("held", args=["needle"]))
    dramatiq.redis.zadd("dramatiq:__heartbeats__", {"w": now_ms()})

    assert {job.id for job in dramatiq.source.find(query).jobs} == expected


@pytest.mark.parametrize(
    "after",
    [
        "x",
        "[" * 9_999,
        '{"dead default":[NaN,"a"]}',
        '{"waiting default":[1e200,"\\ud800"]}',
        '{"waiting default":[-5,"a"]}',
    ],
)
def test_a_page_that_makes_no_sense_harms_nobody(dramatiq, after):
    dramatiq.wait("one")

    assert {job.id for job in dramatiq.source.find(JobQuery(), after).jobs} <= {"one"}
    assert dramatiq.source.get("\ud800") is None


@pytest.mark.parametrize("cursor", [1, "x", [], {}, {"version": 1}, {"version": 1, "at_ms": "x"}, {"version": 99}])
def test_a_cursor_that_makes_no_sense_begins_anew(dramatiq, cursor):
    dramatiq.die("one", now_ms())

    assert dramatiq.source.sample(cursor).finished == ()


def test_hostile_messages_do_no_harm(dramatiq):
    cursor = dramatiq.source.sample().cursor
    now = now_ms()
    odd = {
        "noise": b"\x80\x04\xff",
        "list": b"[]",
        "deep": b"[" * 100_000,
        "huge": b"x" * (2 << 20),
        "empty": b"",
        "types": json.dumps({"message_id": "types", "options": [], "args": 3, "kwargs": [1], "actor_name": 7}),
        "numbers": '{"message_id": "numbers", "message_timestamp": 1e999, "options": {"eta": NaN, "retries": "x"}}',
        "surrogate": '{"message_id": "\\ud800", "actor_name": "\\ud800", "args": ["\\ud800"]}',
    }
    for field, raw in odd.items():
        for ending in ("", ".DQ", ".XQ"):
            dramatiq.redis.hset(f"dramatiq:default{ending}.msgs", field, raw)
        dramatiq.redis.rpush("dramatiq:default", field)
        dramatiq.redis.rpush("dramatiq:default.DQ", field)
        dramatiq.redis.zadd("dramatiq:default.XQ", {field: now})
        dramatiq.redis.sadd("dramatiq:__acks__.w.default", field)
    dramatiq.redis.rpush("dramatiq:default", "vanished", b"\xff")
    dramatiq.redis.zadd("dramatiq:default.XQ", {"inf": "inf", "-inf": "-inf"})
    dramatiq.redis.zadd("dramatiq:__heartbeats__", {"w": now, b"\xff": "inf"})
    sample = dramatiq.source.sample(cursor)
    sample = dramatiq.source.sample(json.loads(json.dumps(sample.cursor)))
    page = dramatiq.source.find(JobQuery(), limit=100)

    assert {job.id for job in page.jobs} >= {"types", "numbers"}
    for job in page.jobs:
        detail = dramatiq.source.get(job.id)
        json.dumps([detail.args, detail.kwargs])
    assert dramatiq.source.get("noise") is None


@given(
    st.one_of(
        st.binary(),
        st.dictionaries(
            st.sampled_from(["message_id", "actor_name", "args", "kwargs", "options", "message_timestamp"]),
            st.recursive(
                st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
                lambda inner: st.dictionaries(st.sampled_from(["retries", "eta", "traceback", "max_retries"]), inner),
                max_leaves=5,
            ),
        ).map(lambda fields: json.dumps({"message_id": "one", **fields}).encode()),
    )
)
def test_any_bytes_are_a_message_or_nothing(raw):
    message = message_of(raw, "default")
    if message is not None:
        for job in (delayed_job(message, 0), waiting_job(message, None), dead_job(message, 1)):
            json.dumps(packed([job, attempts(message, job)])).encode()


def test_keys_of_other_types_are_as_if_they_were_not_there(dramatiq):
    for key in ("default", "default.msgs", "default.DQ.msgs", "default.XQ", "__heartbeats__"):
        dramatiq.redis.set(f"dramatiq:{key}", "text")
    dramatiq.redis.hset("dramatiq:default.DQ", "a", "b")
    sample = dramatiq.source.sample(dramatiq.source.sample().cursor)

    assert [queue.name for queue in sample.queues] == ["default"]
    assert dramatiq.source.find(JobQuery()).jobs == ()
    assert dramatiq.source.get("one") is None


def test_messages_that_vanish_while_they_are_read_do_no_harm(dramatiq):
    stop = threading.Event()

    def churn():
        other = Redis.from_url(dramatiq.url)
        at = 0
        while not stop.is_set():
            at += 1
            dramatiq.wait(str(at % 50))
            dramatiq.die(str(at % 50), now_ms())
            other.sadd("dramatiq:__acks__.w.default", f"redis-{at % 50}")
            other.zadd("dramatiq:__heartbeats__", {"w": now_ms()})
            other.hdel("dramatiq:default.msgs", f"redis-{at * 7 % 50}")
            other.delete(f"dramatiq:__acks__.{'w' if at % 3 else 'v'}.default", "dramatiq:default" if at % 20 else "x")
        other.close()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        cursor = None
        for _ in range(40):
            cursor = dramatiq.source.sample(cursor).cursor
            for job in dramatiq.source.find(JobQuery(), limit=20).jobs[:3]:
                dramatiq.source.get(job.id)
    finally:
        stop.set()
        thread.join()


def test_a_look_at_50_000_waiting_and_delayed_messages_is_bounded(dramatiq):
    now = now_ms()
    pipeline = dramatiq.redis.pipeline(transaction=False)
    for ending, options in (("", {}), (".DQ", {"eta": now + 3_600_000})):
        messages = {}
        for at in range(50_000):
            id = str(uuid.UUID(int=at + 100_000 * len(ending)))
            fields = {"queue_name": "default", "actor_name": "add", "args": [], "kwargs": {}, "options": options}
            messages[id] = json.dumps({**fields, "message_id": id, "message_timestamp": now - 50_000 + at})
        pipeline.hset(f"dramatiq:default{ending}.msgs", mapping=messages)
        pipeline.rpush(f"dramatiq:default{ending}", *messages)
    pipeline.execute()
    cursor = dramatiq.source.sample().cursor
    took = []
    for _ in range(7):
        commands = dramatiq.redis.info("stats")["total_commands_processed"]
        before_s = cost_s(dramatiq.redis)
        sample = dramatiq.source.sample(cursor)
        took.append(cost_s(dramatiq.redis) - before_s)
        cursor = sample.cursor
        assert dramatiq.redis.info("stats")["total_commands_processed"] - commands < 600

    counts = sample.queues[0].counts
    assert (counts[JobState.QUEUED], counts[JobState.SCHEDULED]) == (50_000, 50_000)
    assert sample.queues[0].oldest_ready_ms == now - 50_000
    assert len(json.dumps(cursor)) < 1_000
    assert sorted(took)[3] < 0.15
    page = dramatiq.source.find(JobQuery(text="nowhere"))
    assert page.is_cut
    assert page.next


def test_what_is_wrong_is_said_in_a_sentence():
    source = DramatiqSource(connected("redis://127.0.0.1:1"), is_secret=is_secret)

    with pytest.raises(SourceError, match="cannot be read"):
        source.sample()


def test_every_measure_says_how_far_it_can_be_trusted(dramatiq):
    assert set(dramatiq.source.fidelity) == set(Measure)
    assert dramatiq.source.fidelity[Measure.THROUGHPUT] is Fidelity.NEEDS_HOOK


def test_the_newest_client_answers_the_same(dramatiq, library):
    dramatiq.wait("due")
    dramatiq.die("dead", now_ms(), options={"retries": 1, "traceback": "Traceback (m):\n  x\nE: no such thing\n"})
    dramatiq.redis.sadd("dramatiq:__acks__.w.default", dramatiq.message("held"))
    dramatiq.redis.zadd("dramatiq:__heartbeats__", {"w": 1_700_000_000_000})
    code = """
import json, sys
from trackside.jobs.redis_store import connected
from trackside.jobs.dramatiq.source import DramatiqSource
from trackside.model.jobs import JobQuery
source = DramatiqSource(connected(sys.argv[1]), is_secret=lambda key: False)
sample = source.sample(source.sample().cursor)
jobs = source.find(JobQuery()).jobs
details = [source.get(job.id) for job in jobs]
print(json.dumps([[str(queue) for queue in sample.queues], [one.id for one in sample.workers],
    [[one.job.id, one.job.state.value, one.job.due_ms, one.job.error, one.args] for one in details]]))
"""
    command = [sys.executable, "-c", code, dramatiq.url]
    newest = {**os.environ, "PYTHONPATH": os.pathsep.join([str(library("celery")), os.environ.get("PYTHONPATH", "")])}
    answers = {subprocess.check_output(command, env=environ) for environ in (dict(os.environ), newest)}

    assert len(answers) == 1
    assert b"no such thing" in answers.pop()


def test_the_source_imports_no_job_library():
    code = "import sys, trackside.jobs.dramatiq.source; sys.exit('dramatiq' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_secrets_in_errors_are_neither_shown_nor_found(dramatiq):
    trace = "Traceback (most recent call last):\n  File x\nOSError: redis://:hunter2@cache refused"
    cursor = dramatiq.source.sample().cursor
    dramatiq.die("one", now_ms() + 60_000, options={"retries": 2, "traceback": trace})

    assert not dramatiq.source.find(JobQuery(text="hunter2")).jobs
    (found,) = dramatiq.source.find(JobQuery(text="cache refused")).jobs
    assert found.error == "OSError: redis://:[Filtered]@cache refused"
    assert dramatiq.source.get("one").attempts[0].traceback == trace.replace("hunter2", "[Filtered]")
    assert "hunter2" not in repr(dramatiq.source.sample(cursor))
