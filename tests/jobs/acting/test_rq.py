"""Actions on RQ, against the real library: what it makes of a job afterwards, and what is left behind."""

import json
import time

import pytest

from trackside.exceptions import SourceError
from trackside.jobs.acting.rights import rq_rights
from trackside.jobs.acting.rq import RqActor
from trackside.jobs.actor import GONE, Verb
from trackside.jobs.redis_store import connected
from trackside.model.jobs import JobState

READ_BACK = """
import json
from rq.job import Job
from rq import registry as r
def registries(name="default"):
    q = Queue(name, connection=connection)
    kinds = {"queued": q.get_job_ids, "started": r.StartedJobRegistry, "failed": r.FailedJobRegistry,
             "finished": r.FinishedJobRegistry, "canceled": r.CanceledJobRegistry,
             "deferred": r.DeferredJobRegistry, "scheduled": r.ScheduledJobRegistry}
    return {kind: (of() if kind == "queued" else of(name, connection=connection).get_job_ids())
            for kind, of in kinds.items()}
(folder and open(folder + "/answer.json", "w").write(json.dumps(registries())))
"""


@pytest.fixture
def actor(application, allowed):
    one = RqActor(allowed(application.redis, application.url, rq_rights()))
    yield one
    one.close()


@pytest.fixture
def registries(application, tmp_path):
    def read():
        application.run(READ_BACK)
        found = json.loads((tmp_path / "answer.json").read_text())
        return {kind: ids for kind, ids in found.items() if ids}

    return read


def state_of(application, id):
    detail = application.source.get(id)
    return None if detail is None else detail.job.state


def keys_of(application, id):
    return [key for key in application.redis.scan_iter() if id.encode() in key]


def until(true, within_s=60):
    by = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < by
        time.sleep(0.05)


class TestRetry:
    def test_a_real_worker_runs_it_and_nothing_is_left_of_the_failure(self, application, actor, registries, tmp_path):
        application.run(f"""
            queue.enqueue(rq_tasks.flaky, {str(tmp_path / "once")!r}, job_id="one")
            work()
        """)
        assert registries() == {"failed": ["one"]}

        assert actor.act(Verb.RETRY, ["one"]) == {"one": ""}

        assert registries() == {"queued": ["one"]}
        assert state_of(application, "one") is JobState.QUEUED
        application.run("work()")
        assert registries() == {"finished": ["one"]}
        assert state_of(application, "one") is JobState.SUCCEEDED

    def test_it_writes_what_the_library_writes(self, application, actor):
        """Two jobs that failed alike, one requeued by RQ, one by us: their hashes differ in names and times only."""
        began_s = time.monotonic()
        application.run("""
            for id in ("one", "two"):
                queue.enqueue(rq_tasks.boom, job_id=id, ttl=600, description="the same")
            work()
            from rq.registry import FailedJobRegistry
            FailedJobRegistry("default", connection=connection).requeue("one")
        """)

        actor.act(Verb.RETRY, ["two"])

        one, two = (application.redis.hgetall(f"rq:job:{id}") for id in ("one", "two"))
        times = {b"created_at", b"enqueued_at", b"last_heartbeat", b"data", b"worker_name"}
        assert {k: v for k, v in one.items() if k not in times} == {k: v for k, v in two.items() if k not in times}
        assert one.keys() == two.keys()
        assert len(one[b"enqueued_at"]) == len(two[b"enqueued_at"])
        assert application.redis.lrange("rq:queue:default", 0, -1) == [b"one", b"two"]
        # Each is kept for as long from its own requeueing on.
        apart_ms = application.redis.pexpiretime("rq:job:two") - application.redis.pexpiretime("rq:job:one")
        assert 0 <= apart_ms <= (time.monotonic() - began_s) * 1000 + 10

    def test_one_whose_failure_would_soon_be_forgotten_is_kept_for_its_run(self, application, actor):
        application.run('queue.enqueue(rq_tasks.boom, job_id="one", failure_ttl=3600)\nwork()')

        actor.act(Verb.RETRY, ["one"])

        assert application.redis.ttl("rq:job:one") == -1

    def test_one_that_was_cancelled(self, application, actor, registries):
        application.run('queue.enqueue(rq_tasks.add, 1, 2, job_id="one").cancel()')

        assert actor.act(Verb.RETRY, ["one"]) == {"one": ""}
        application.run("work()")
        assert registries() == {"finished": ["one"]}

    def test_what_cannot_be_retried_stays_as_it_is(self, application, actor):
        application.run('queue.enqueue(rq_tasks.add, 1, 2, job_id="one")')
        before = application.everything()

        outcomes = actor.act(Verb.RETRY, ["one", "none", "\x00 *"])

        assert outcomes == {"one": "it is queued now", "none": GONE, "\x00 *": GONE}
        assert application.everything() == before

    def test_twice_at_once_requeues_once(self, application, actor, registries):
        application.run('queue.enqueue(rq_tasks.boom, job_id="one")\nwork()')

        first, second = actor.act(Verb.RETRY, ["one"]), actor.act(Verb.RETRY, ["one"])

        assert (first, second) == ({"one": ""}, {"one": "it is queued now"})
        assert application.redis.lrange("rq:queue:default", 0, -1) == [b"one"]

    def test_of_a_registry_that_has_forgotten_it(self, application, actor):
        application.job("one", status="failed")

        assert actor.act(Verb.RETRY, ["one"]) == {"one": "it is not in RQ's registry of failed jobs (any more)"}

    @pytest.mark.parametrize("verb", [Verb.RETRY, Verb.CANCEL, Verb.DELETE])
    def test_a_key_that_is_something_else_does_not_stop_the_others(self, rq, verb):
        rq.redis.set("rq:job:bad", "no hash")
        rq.job("good", status={Verb.RETRY: "failed"}.get(verb, "queued"))
        rq.redis.zadd("rq:failed:default", {"good": 1}) if verb is Verb.RETRY else rq.redis.rpush(
            "rq:queue:default", "good"
        )
        actor = RqActor(connected(rq.url))

        outcomes = actor.act(verb, ["bad", "good"])

        assert outcomes["bad"].startswith("Redis refused: WRONGTYPE") and outcomes["good"] == ""
        assert rq.redis.get("rq:job:bad") == b"no hash"
        actor.close()


class TestCancel:
    def test_one_that_waits(self, application, actor, registries):
        application.run("""
            queue.enqueue(rq_tasks.add, 1, 2, job_id="one")
            from datetime import timedelta
            queue.enqueue_in(timedelta(hours=1), rq_tasks.add, 1, 2, job_id="later")
            parent = queue.enqueue(rq_tasks.slow, 0, job_id="parent")
            queue.enqueue(rq_tasks.add, 1, 2, job_id="child", depends_on=parent)
        """)

        outcomes = actor.act(Verb.CANCEL, ["one", "later", "child"])

        assert set(outcomes.values()) == {""}
        assert {kind: sorted(ids) for kind, ids in registries().items()} == {
            "queued": ["parent"],
            "canceled": ["child", "later", "one"],
        }
        application.run("work()")
        found = registries()
        assert found["finished"] == ["parent"] and sorted(found["canceled"]) == ["child", "later", "one"]

    def test_one_that_runs_is_stopped_by_its_worker(self, application, actor, registries):
        application.run('queue.enqueue(rq_tasks.slow, 60, job_id="one")')
        # The horse says that the job has started, perhaps before its worker knows which process it is.
        worker = application.start("""
            class Watched(Worker):
                def monitor_work_horse(self, *about):
                    self.connection.set("watched", self.horse_pid)
                    return super().monitor_work_horse(*about)
            work(Watched)
        """)
        until(lambda: application.redis.hget("rq:job:one", "status") == b"started")
        until(lambda: application.redis.exists("watched") and application.redis.pubsub_channels("rq:pubsub:*"))

        assert actor.act(Verb.CANCEL, ["one"]) == {"one": ""}

        assert worker.wait(60) == 0
        assert state_of(application, "one") is JobState.CANCELLED
        assert registries() == {"failed": ["one"]}
        assert actor.act(Verb.RETRY, ["one"]) == {"one": ""}
        assert registries() == {"queued": ["one"]}

    def test_of_a_worker_that_is_gone_it_says_so(self, application, actor):
        application.job("one", status="started", worker_name="w-3")

        (reason,) = actor.act(Verb.CANCEL, ["one"]).values()

        assert reason.startswith("its worker w-3 does not listen")

    def test_one_that_a_worker_has_just_taken(self, application, actor):
        application.job("one")
        before = application.everything()

        assert actor.act(Verb.CANCEL, ["one"]) == {"one": "a worker has just taken it"}
        assert application.everything() == before


class TestDelete:
    @pytest.mark.parametrize(
        "fill",
        [
            pytest.param('queue.enqueue(rq_tasks.add, 1, 2, job_id="the-one")', id="queued"),
            pytest.param('queue.enqueue(rq_tasks.boom, job_id="the-one")\nwork()', id="failed"),
            pytest.param('queue.enqueue(rq_tasks.add, 1, 2, job_id="the-one")\nwork()', id="finished"),
            pytest.param('queue.enqueue(rq_tasks.add, 1, 2, job_id="the-one").cancel()', id="cancelled"),
            pytest.param(
                "from datetime import timedelta\n"
                'queue.enqueue_in(timedelta(hours=1), rq_tasks.add, 1, 2, job_id="the-one")',
                id="scheduled",
            ),
            pytest.param(
                'parent = queue.enqueue(rq_tasks.slow, 0, job_id="parent")\n'
                'queue.enqueue(rq_tasks.add, 1, 2, job_id="the-one", depends_on=parent)',
                id="deferred",
            ),
        ],
    )
    def test_leaves_nothing(self, application, actor, registries, fill):
        application.run(fill)

        assert actor.act(Verb.DELETE, ["the-one"]) == {"the-one": ""}

        assert keys_of(application, "the-one") == []
        assert all("the-one" not in ids for ids in registries().values())
        dumped = [dump for dump, _ in application.everything().values()]
        assert not any(b"the-one" in dump for dump in dumped)
        application.run("work()")

    def test_one_that_others_wait_for_is_left_alone(self, application, actor):
        application.run("""
            parent = queue.enqueue(rq_tasks.boom, job_id="parent")
            queue.enqueue(rq_tasks.add, 1, 2, job_id="child", depends_on=parent)
            work()
        """)
        before = application.everything()

        (reason,) = actor.act(Verb.DELETE, ["parent"]).values()
        assert reason == "1 more wait for it, and would wait for ever: cancel them first"
        assert application.everything() == before
        assert actor.act(Verb.DELETE, ["child", "parent"]) == {"child": "", "parent": ""}

    def test_one_that_runs_is_left_alone_and_an_orphan_is_not(self, application, actor, kill_session):
        application.run('queue.enqueue(rq_tasks.slow, 60, job_id="one")')
        worker = application.start("work()")
        until(lambda: application.redis.hget("rq:job:one", "status") == b"started")

        assert actor.act(Verb.DELETE, ["one"]) == {"one": "it runs: cancel it first"}

        kill_session(worker)
        # As after its lease: nobody keeps it up any more.
        (member,) = application.redis.zrange("rq:wip:default", 0, -1)
        application.redis.zadd("rq:wip:default", {member: 1})
        assert actor.act(Verb.DELETE, ["one"]) == {"one": ""}
        assert [key for key in keys_of(application, "one") if b"rq:worker" not in key] == []
        assert application.redis.zcard("rq:wip:default") == 0


class TestPause:
    def test_stops_and_starts_all_workers(self, application, actor, registries):
        application.run('queue.enqueue(rq_tasks.add, 1, 2, job_id="one")')

        assert actor.act(Verb.PAUSE, ["default"]) == {"default": ""}
        assert application.queue().is_paused
        application.run("from rq.suspension import is_suspended\nassert is_suspended(connection)")

        assert actor.act(Verb.RESUME, ["default"]) == {"default": ""}
        application.run("work()")
        assert registries() == {"finished": ["one"]}

    def test_it_says_that_it_concerns_every_queue(self, actor):
        assert "every queue" in actor.abilities[Verb.PAUSE].note


@pytest.fixture
def limited(rq, allowed):
    """RQ 3: one of three jobs of a rate limit may run."""
    actor = RqActor(allowed(rq.redis, rq.url, rq_rights()))
    rq.run("""
        from rq.rate_limit import RateLimit
        for id in ("a", "b", "c"):
            queue.enqueue(rq_tasks.boom, job_id=id, rate_limit=RateLimit("mail", 1))
    """)
    yield rq, actor
    actor.close()


class TestRateLimits:
    def test_whoever_is_cancelled_or_deleted_makes_room(self, limited):
        rq, actor = limited
        assert rq.redis.lrange("rq:queue:default", 0, -1) == [b"a"]

        assert actor.act(Verb.CANCEL, ["a"]) == {"a": ""}
        assert rq.redis.lrange("rq:queue:default", 0, -1) == [b"b"]
        assert actor.act(Verb.DELETE, ["b"]) == {"b": ""}
        assert rq.redis.lrange("rq:queue:default", 0, -1) == [b"c"]
        assert rq.redis.zrange("rq:rl:mail:allowed", 0, -1) == [b"c"]

    def test_whoever_is_retried_waits_for_room(self, limited):
        rq, actor = limited
        rq.run("work()")
        assert rq.redis.zcard("rq:failed:default") == 3

        assert actor.act(Verb.RETRY, ["a", "b"]) == {"a": "", "b": ""}
        assert rq.redis.lrange("rq:queue:default", 0, -1) == [b"a"]
        assert rq.redis.zrange("rq:rl:mail:rate_limited", 0, -1) == [b"b"]
        rq.run("work()")
        assert rq.redis.zcard("rq:failed:default") == 3
        assert rq.redis.zcard("rq:rl:mail:allowed") == 0


def test_the_rights_end_where_the_keys_of_rq_do(application, actor, allowed):
    """All tests above act with them."""
    application.run('queue.enqueue(rq_tasks.add, 1, 2, job_id="two")')
    assert actor.act(Verb.PAUSE, ["default"]) == actor.act(Verb.RESUME, ["default"]) == {"default": ""}
    looking = RqActor(allowed(application.redis, application.url, "+@read +time +@connection ~*", "looks"))
    elsewhere = RqActor(allowed(application.redis, application.url, rq_rights("app"), "elsewhere"))

    for other in (looking, elsewhere):
        assert rq_rights() in other.act(Verb.CANCEL, ["two"])["two"]
        other.close()
    assert application.redis.lrange("rq:queue:default", 0, -1) == [b"two"]


def test_a_server_that_is_away_has_done_nothing():
    actor = RqActor(connected("redis://127.0.0.1:1/0"))

    with pytest.raises(SourceError):
        actor.act(Verb.RETRY, ["one"])
    actor.close()
