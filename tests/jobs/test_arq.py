"""arq on a real Redis: its workers run in processes of their own, and are looked at."""

import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from trackside.exceptions import SourceError
from trackside.jobs.arq.source import ArqSource
from trackside.jobs.arq.wire import ended_job, fields_of
from trackside.jobs.packing import packed
from trackside.jobs.redis_store import READ_ONLY_RULES, connected
from trackside.jobs.source import Measure
from trackside.model.jobs import JobQuery, JobState

HEAD = """
import asyncio, os, sys, uuid
from datetime import timedelta
from arq import Retry, Worker, create_pool
from arq.connections import RedisSettings
settings = RedisSettings.from_dsn(sys.argv[1])

async def add(ctx, a, b=0, **more): return a + b
async def boom(ctx, password=None): raise ValueError("no such thing")
async def flaky(ctx, defer=0):
    if ctx["job_try"] < 2: raise Retry(defer=defer)
async def slow(ctx, seconds):
    await ctx["redis"].set("begun", 1)
    await asyncio.sleep(seconds)

def worker(**options):
    return Worker([add, boom, flaky, slow], redis_settings=settings, poll_delay=0.05, **options)
def work(**options):
    asyncio.get_event_loop_policy().set_event_loop(asyncio.new_event_loop())
    worker(**options).run()
def fill(fill):
    async def filled():
        pool = await create_pool(settings)
        await fill(pool.enqueue_job, pool)
    asyncio.run(filled())
"""


def is_secret(key):
    return "password" in key


class Arq:
    def __init__(self, url):
        self.url = url
        self.redis = Redis.from_url(url)
        self.redis.flushall()
        self.source = ArqSource(connected(url), is_secret=is_secret)
        self._running = []

    def start(self, code):
        command = [sys.executable, "-c", HEAD + textwrap.dedent(code), self.url]
        self._running.append(subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL))
        return self._running[-1]

    def run(self, code):
        assert self.start(code).wait(60) == 0

    def has_begun(self, *keys):
        """It has a lease first; a moment later its attempt is counted, and then it is called."""
        return self.redis.exists("begun", *keys) == 1 + len(keys)

    def counts(self, name="arq:queue"):
        queue = next(one for one in self.source.sample().queues if one.name == name)
        return {state.value: count for state, count in queue.counts.items() if count}

    def job(self, id, due_ms, **fields):
        """As arq writes it."""
        plain = {"t": None, "f": "add", "a": (1, 2), "k": {}, "et": now_ms()}
        self.redis.set(f"arq:job:{id}", pickle.dumps({**plain, **fields}), px=86_400_000)
        self.redis.zadd("arq:queue", {id: due_ms})

    def result(self, id, ended_ms=None, keep_ms=3_600_000, **fields):
        ended_ms = ended_ms or now_ms()
        times = {"et": ended_ms - 2_000, "st": ended_ms - 1_000, "ft": ended_ms}
        plain = {"t": 1, "f": "add", "a": (1,), "k": {}, "s": True, "r": 3, "q": "arq:queue", "id": id}
        self.redis.set(f"arq:result:{id}", pickle.dumps({**plain, **times, **fields}), px=keep_ms)

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
def arq(redis_url):
    one = Arq(redis_url)
    yield one
    one.close()


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


FILLED = """
async def some(enqueue, pool):
    await enqueue("slow", 60, _job_id="slow")
    await asyncio.sleep(0.01)
    await enqueue("add", 1, b=2, password="hush", tag=uuid.UUID(int=7), _job_id="next")
    await enqueue("add", 1, _job_id="later", _defer_by=3600)
fill(some)
"""


def test_what_waits_and_what_runs(arq):
    arq.run(FILLED)

    assert arq.counts() == {"queued": 2, "scheduled": 1}
    assert arq.source.sample().workers == ()

    began_ms = now_ms()
    arq.start("work(max_jobs=1, health_check_interval=30)")
    until(lambda: arq.has_begun("arq:queue:health-check"))
    first = arq.source.sample()
    second = arq.source.sample(first.cursor)
    passed_ms = now_ms() - began_ms + 1
    (job,) = second.running
    (worker,) = second.workers

    # What runs stays in the sorted set, and does not wait.
    assert arq.counts() == {"queued": 1, "running": 1, "scheduled": 1}
    assert (job.id, job.kind, job.attempt, job.started_ms) == ("slow", "slow", 1, first.running[0].started_ms)
    assert 309_990 - passed_ms <= job.lease_until_ms - second.at_ms <= 310_010
    assert (worker.queues, worker.state, worker.is_inferred) == (("arq:queue",), "busy", True)
    assert worker.jobs == ("slow",)
    # It is kept for a second longer than the interval, and says when it was written, to the second.
    assert 30_990 - passed_ms <= worker.expected_ms - second.at_ms <= 31_010
    assert began_ms - 1_000 < worker.beat_ms <= second.at_ms + 10
    said = arq.redis.get("arq:queue:health-check").decode()
    assert time.strftime("%b-%d %H:%M:%S ", time.localtime(worker.beat_ms // 1000)) in said
    assert second.queues[0].oldest_ready_ms == arq.source.get("next").job.enqueued_ms


def test_a_job_tells_its_arguments(arq):
    arq.run(FILLED)
    detail = arq.source.get("next")

    assert (detail.job.kind, detail.job.state, detail.args) == ("add", JobState.QUEUED, (1,))
    assert detail.kwargs == {"b": 2, "password": "[redacted]", "tag": str(UUID(int=7))}
    assert arq.source.get("later").job.due_ms - detail.job.enqueued_ms == pytest.approx(3_600_000, abs=60_000)
    assert arq.source.get("none") is None


def test_what_ends_is_told_once(arq):
    began_s = time.time()
    arq.run("""
    async def some(enqueue, pool):
        await enqueue("add", 1, b=2, _job_id="good")
        await enqueue("boom", password="hush", _job_id="bad")
        await enqueue("flaky", _job_id="twice")
        await enqueue("gone", _job_id="unknown")
    fill(some)
    """)
    cursor = arq.source.sample().cursor
    arq.start("work(burst=True)").wait(60)
    passed_s = time.time() - began_s
    sample = arq.source.sample(json.loads(json.dumps(cursor)))
    found = {job.id: job for job in sample.finished}

    assert {id: job.state.value for id, job in found.items()} == {
        "good": "succeeded",
        "bad": "failed",
        "twice": "succeeded",
        "unknown": "failed",
    }
    assert found["bad"].error == "ValueError: no such thing"
    assert found["unknown"].error == "JobExecutionFailed: function 'gone' not found"
    assert found["twice"].attempt == 2
    assert all(job.run_s >= 0 and job.wait_s >= 0 for job in found.values())
    assert all(job.run_s + job.wait_s <= passed_s for job in found.values())
    assert arq.source.sample(sample.cursor).finished == ()
    # Nor by another process, that knows no more than the cursor.
    other = ArqSource(connected(arq.url), is_secret=is_secret)
    assert other.sample(sample.cursor).finished == ()
    assert {job.id for job in other.sample(cursor).finished} == set(found)
    other.close()
    assert arq.source.get("good").result == 3
    assert arq.source.get("bad").kwargs == {"password": "[redacted]"}
    assert [(one.number, one.outcome) for one in arq.source.get("bad").attempts] == [(1, "failed")]


def test_a_retry_waits_for_its_time(arq):
    arq.run("fill(lambda enqueue, pool: enqueue('flaky', 3600, _job_id='one'))")
    arq.start("work()")
    until(lambda: arq.counts() == {"retrying": 1})

    assert arq.source.get("one").job.state is JobState.RETRYING
    assert arq.source.get("one").extra["attempts begun"] == "1"


def test_a_killed_worker_leaves_a_lease_and_then_a_queued_job(arq):
    arq.run("fill(lambda enqueue, pool: enqueue('slow', 60, _job_id='one'))")
    worker = arq.start("work()")
    until(arq.has_begun)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()

    assert arq.counts() == {"running": 1}
    arq.redis.pexpire("arq:in-progress:one", 1)
    until(lambda: arq.counts() == {"queued": 1})
    assert arq.source.get("one").job.attempt == 1


def test_an_abort_is_shown_and_ends_as_cancelled(arq):
    arq.run("fill(lambda enqueue, pool: enqueue('slow', 60, _job_id='one'))")
    cursor = arq.source.sample().cursor
    arq.start("work(allow_abort_jobs=True)")
    until(lambda: arq.counts() == {"running": 1})
    arq.redis.zadd("arq:abort", {"other": now_ms()})
    arq.job("other", now_ms() + 60_000)
    assert arq.source.get("other").job.raw_state == "deferred, to be aborted"
    arq.redis.zadd("arq:abort", {"one": now_ms()})
    until(lambda: "running" not in arq.counts())

    (job,) = arq.source.sample(cursor).finished
    assert (job.id, job.state) == ("one", JobState.CANCELLED)


def test_nothing_changes_under_read_only_credentials(arq):
    arq.run(FILLED)
    arq.start("work(max_jobs=1)")
    # From here on the worker writes nothing for an hour.
    until(lambda: arq.has_begun("arq:queue:health-check"))
    arq.result("kept")
    arq.redis.execute_command("ACL", "SETUSER", "looker", "reset", "on", ">secret", *READ_ONLY_RULES.split())
    source = ArqSource(connected(arq.url.replace("://", "://looker:secret@")), is_secret=is_secret)
    before = arq.everything()
    cursor = None
    for _ in range(20):
        cursor = source.sample(cursor).cursor
    assert {job.id for job in source.find(JobQuery()).jobs} == {"slow", "next", "later", "kept"}
    assert source.get("slow").job.state is JobState.RUNNING
    assert source.get("kept").result == 3

    assert arq.everything() == before
    source.close()
    arq.redis.execute_command("ACL", "DELUSER", "looker")


def test_all_pages_have_each_job_once_and_newest_first(arq):
    now = now_ms()
    for at in range(130):
        arq.job(f"w{at}", now - at * 1_000)
        arq.result(f"r{at}", now - at * 1_000 - 500)
    found, after = [], ""
    while True:
        page = arq.source.find(JobQuery(), after, 50)
        found += page.jobs
        after = page.next
        if not after:
            break

    assert [job.id for job in found] == [f"{kind}{at}" for at in range(130) for kind in "wr"]
    assert not page.is_cut


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(JobQuery(states=frozenset({JobState.QUEUED})), {"due"}, id="state"),
        pytest.param(JobQuery(states=frozenset({JobState.SUCCEEDED})), {"good", "elsewhere"}, id="final state"),
        pytest.param(JobQuery(states=frozenset({JobState.RUNNING})), {"held"}, id="running"),
        pytest.param(JobQuery(queue="arq:queue", kind="slow"), {"held"}, id="kind of what runs"),
        pytest.param(JobQuery(kind="boom"), {"bad"}, id="kind"),
        pytest.param(JobQuery(queue="other"), {"elsewhere"}, id="queue"),
        pytest.param(JobQuery(text="needle"), {"due", "good"}, id="arguments"),
        pytest.param(JobQuery(text="no such"), {"bad"}, id="error"),
        pytest.param(JobQuery(text="hush"), set(), id="secrets are not found"),
    ],
)
def test_jobs_are_found_by(arq, query, expected):
    arq.job("due", now_ms(), k={"what": "Needle", "password": "hush"})
    arq.job("held", now_ms(), f="slow")
    arq.redis.set("arq:in-progress:held", 1, px=60_000)
    arq.job("later", now_ms() + 60_000)
    arq.result("good", a=("needle",))
    arq.result("bad", f="boom", s=False, r=ValueError("no such"))
    arq.result("elsewhere", q="other", f="other")

    assert {job.id for job in arq.source.find(query).jobs} == expected


@pytest.mark.parametrize(
    "after",
    [
        "x",
        "[]",
        "[" * 9_999,
        '{"queue arq:queue":[1e999,"\\ud800"]}',
        '{"":[NaN,"a"]}',
        '{"queue arq:queue":[5,"\\ud800"]}',
    ],
)
def test_a_page_that_makes_no_sense_harms_nobody(arq, after):
    arq.job("one", now_ms())

    assert {job.id for job in arq.source.find(JobQuery(), after).jobs} <= {"one"}
    assert arq.source.get("\ud800") is None


@pytest.mark.parametrize(
    "cursor", [1, "x", [], {}, {"version": 1}, {"version": 1, "mark": "", "round_ms": "x"}, {"version": 99}]
)
def test_a_cursor_that_makes_no_sense_begins_anew(arq, cursor):
    arq.result("one")

    assert arq.source.sample(cursor).finished == ()


def test_a_clock_behind_loses_no_job(arq):
    cursor = arq.source.sample().cursor
    arq.result("one", now_ms() - 600_000)
    sample = arq.source.sample(cursor)

    assert [job.id for job in sample.finished] == ["one"]
    assert arq.source.sample(sample.cursor).finished == ()


def test_an_id_that_is_used_again_ends_again(arq):
    arq.result("one")
    cursor = arq.source.sample().cursor
    arq.redis.delete("arq:result:one")
    arq.result("one", keep_ms=1_800_000)

    assert [job.id for job in arq.source.sample(cursor).finished] == ["one"]


def test_a_deferred_job_waits_since_it_was_due(arq):
    now = now_ms()
    arq.job("one", now + 120_000, et=now - 60_000)
    cursor = arq.source.sample().cursor
    arq.redis.delete("arq:job:one", "arq:queue")
    arq.result("one", now + 121_500, et=now - 60_000, st=now + 120_500)

    assert arq.source.sample(cursor).finished[0].wait_s == 0.5


def test_hostile_payloads_are_shown_and_harmless(arq, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    now = now_ms()
    arq.job("evil", now, a=(Evil(),), k={"password": "hush"})
    arq.job("odd", now, f=7, a=Evil(), k=[1], et="x", t="y")
    cursor = arq.source.sample().cursor
    arq.result("bad", s=False, r=Evil(), q=["x"], t=1 << 99)
    payloads = {"noise": b"\x80\x04\xff", "json": b'{"f": 1}', "list": b"[]", "empty": b"", "huge": b"\x80" * (2 << 20)}
    for id, data in payloads.items():
        arq.redis.zadd("arq:queue", {id: now})
        arq.redis.set(f"arq:job:{id}", data)
        arq.redis.set(f"arq:result:r-{id}", data)
        arq.redis.set(f"arq:retry:{id}", b"9" * 5_000)
    arq.redis.zadd("arq:queue", {b"\xff": now, "inf": "inf", "-inf": "-inf", "vanished": 1})
    arq.redis.set("arq:queue:health-check", b"\xff j_complete=" + b"9" * 9_000)
    sample = arq.source.sample(cursor)
    page = arq.source.find(JobQuery(), limit=100)

    assert arq.source.get("evil").args == (f'posix.system("touch {tmp_path}/ran")',)
    assert arq.source.get("noise").args == ("<cannot be shown>",)
    assert arq.source.get("r-noise").args[0].startswith("<cannot be shown")
    assert arq.source.get("r-huge").args == ("<cannot be shown: too large>",)
    assert any("3 results are of another serializer" in note for note in sample.notes)
    assert {"bad", "evil", "odd", "noise"} <= {job.id for job in page.jobs}
    json.dumps([str(arq.source.get(job.id)) for job in page.jobs])
    assert sample.workers == ()
    assert not (tmp_path / "ran").exists()


@given(
    st.dictionaries(
        st.sampled_from(["f", "a", "k", "t", "et", "s", "r", "st", "ft", "q"]),
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.just([{}])),
    )
)
def test_any_result_is_taken(fields):
    job = ended_job("one", fields_of(pickle.dumps(fields)), is_secret)

    json.dumps(packed(job)).encode()
    assert job.state.is_final


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(ValueError("no such thing"), "ValueError: no such thing", id="a message"),
        pytest.param(KeyError(), "KeyError", id="without one"),
        pytest.param(RuntimeError("first\nsecond"), "RuntimeError: first", id="several lines"),
        pytest.param(OSError(2, "No such file"), "FileNotFoundError: 2, No such file", id="several arguments"),
        pytest.param("unable to serialize result", "unable to serialize result", id="text"),
        pytest.param(ValueError({"password": "hush"}), "ValueError: {'password': '[Filtered]'}", id="a secret"),
    ],
)
def test_an_error_is_one_line(error, expected):
    assert ended_job("one", fields_of(pickle.dumps({"s": False, "r": error})), is_secret).error == expected


def test_more_results_than_one_look_reads_are_told_in_turns(arq):
    cursor = arq.source.sample().cursor
    for at in range(2_500):
        arq.result(str(at))
    told = []
    for _ in range(6):
        sample = arq.source.sample(cursor)
        cursor = sample.cursor
        told += [job.id for job in sample.finished]

    assert len(told) == len(set(told)) == 2_500


def test_what_ended_before_the_first_look_is_not_told(arq):
    for at in range(2_500):
        arq.result(str(at), now_ms() - 100)
    cursor = None
    for _ in range(6):
        sample = arq.source.sample(cursor)
        cursor = sample.cursor
        assert sample.finished == ()


def test_keys_of_other_types_are_as_if_they_were_not_there(arq):
    for key in ("arq:queue", "arq:abort"):
        arq.redis.set(key, "text")
    for key in ("arq:job:one", "arq:result:one", "arq:retry:one", "arq:queue:health-check"):
        arq.redis.rpush(key, "text")
    sample = arq.source.sample(arq.source.sample().cursor)

    assert sample.queues[0].counts[JobState.QUEUED] == 0
    assert arq.source.find(JobQuery()).jobs == ()
    assert arq.source.get("one") is None


def test_jobs_that_vanish_while_they_are_read_do_no_harm(arq):
    stop = threading.Event()

    def churn():
        other = Redis.from_url(arq.url)
        at = 0
        while not stop.is_set():
            at += 1
            id = str(at % 50)
            arq.job(id, now_ms())
            arq.result(id, keep_ms=at % 20 + 1)
            other.set(f"arq:in-progress:{id}", 1, px=at % 5 + 1)
            other.delete(f"arq:job:{at * 7 % 50}", "arq:queue" if at % 20 == 0 else "none")
        other.close()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        cursor = None
        for _ in range(40):
            cursor = arq.source.sample(cursor).cursor
            for job in arq.source.find(JobQuery(), limit=20).jobs[:3]:
                arq.source.get(job.id)
    finally:
        stop.set()
        thread.join()


def test_a_look_at_50_000_queued_jobs_is_bounded(arq):
    now = now_ms()
    data = pickle.dumps({"t": None, "f": "add", "a": (1, 2), "k": {}, "et": now})
    pipeline = arq.redis.pipeline(transaction=False)
    for at in range(50_000):
        pipeline.set(f"arq:job:{at}", data)
    pipeline.zadd("arq:queue", {str(at): now - at for at in range(50_000)})
    pipeline.execute()
    cursor = arq.source.sample().cursor
    arq.result("new")
    took, found = [], []
    for _ in range(7):
        commands = arq.redis.info("stats")["total_commands_processed"]
        before_s = cost_s(arq.redis)
        sample = arq.source.sample(cursor)
        took.append(cost_s(arq.redis) - before_s)
        cursor = sample.cursor
        found += sample.finished
        assert arq.redis.info("stats")["total_commands_processed"] - commands < 2_500

    assert sample.queues[0].counts[JobState.QUEUED] == 50_000
    assert sample.queues[0].oldest_ready_ms == now
    assert [job.id for job in found] == ["new"]
    assert len(json.dumps(cursor)) < 1_000
    assert sorted(took)[3] < 0.25
    arq.redis.set("arq:in-progress:49999", 1, px=60_000)
    (running,) = arq.source.find(JobQuery(states=frozenset({JobState.RUNNING}))).jobs
    assert running.id == "49999"
    page = arq.source.find(JobQuery(text="nowhere"))
    assert page.is_cut
    assert page.next


def test_what_is_wrong_is_said_in_a_sentence():
    source = ArqSource(connected("redis://127.0.0.1:1"), is_secret=is_secret)

    with pytest.raises(SourceError, match="cannot be read"):
        source.sample()


def test_every_measure_says_how_far_it_can_be_trusted(arq):
    assert set(arq.source.fidelity) == set(Measure)


def test_a_worker_that_is_stopped_puts_its_job_back(arq):
    arq.run("fill(lambda enqueue, pool: enqueue('slow', 60, _job_id='one'))")
    worker = arq.start("work()")
    until(arq.has_begun)
    cursor = arq.source.sample().cursor
    worker.terminate()
    worker.wait(60)
    sample = arq.source.sample(cursor)

    assert arq.counts() == {"queued": 1}
    assert (sample.finished, sample.workers) == ((), ())
    assert arq.source.get("one").job.attempt == 1


def test_the_newest_client_answers_the_same(arq, library):
    arq.job("due", now_ms(), et=1_700_000_000_000)
    arq.redis.zadd("arq:queue", {"due": 1_700_000_000_000})
    arq.redis.persist("arq:job:due")
    arq.result("bad", s=False, r=ValueError("no such thing"))
    code = """
import json, sys
from trackside.jobs.redis_store import connected
from trackside.jobs.arq.source import ArqSource
from trackside.model.jobs import JobQuery
source = ArqSource(connected(sys.argv[1]), is_secret=lambda key: False)
sample = source.sample(source.sample().cursor)
jobs = source.find(JobQuery()).jobs
details = [source.get(job.id) for job in jobs]
print(json.dumps([[str(queue) for queue in sample.queues], [one.id for one in sample.workers],
    [[one.job.id, one.job.state.value, one.job.due_ms, one.job.error, one.args] for one in details]]))
"""
    command = [sys.executable, "-c", code, arq.url]
    newest = {**os.environ, "PYTHONPATH": os.pathsep.join([str(library("celery")), os.environ.get("PYTHONPATH", "")])}
    answers = {subprocess.check_output(command, env=environ) for environ in (dict(os.environ), newest)}

    assert len(answers) == 1
    assert b"no such thing" in answers.pop()


def test_the_source_imports_no_job_library():
    code = "import sys, trackside.jobs.arq.source; sys.exit('arq' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_secrets_in_errors_are_neither_shown_nor_found(arq):
    arq.source.sample()
    arq.result("one", s=False, r=OSError("redis://:hunter2@cache refused"))

    assert not arq.source.find(JobQuery(text="hunter2")).jobs
    (found,) = arq.source.find(JobQuery(text="cache refused")).jobs
    assert found.error == "OSError: redis://:[Filtered]@cache refused"
    assert "hunter2" not in repr(arq.source.get("one").attempts)
