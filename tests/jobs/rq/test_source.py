"""What is said of single facts, and of a Redis that does not answer."""

import os
import pickle
import subprocess
import sys
import time

import pytest

from trackside.exceptions import SourceError
from trackside.jobs.redis_store import connected
from trackside.jobs.rq.source import RqSource
from trackside.model.jobs import Fidelity, JobQuery, JobState


def is_secret(key):
    return "password" in key


def test_a_worker_that_came_and_went_between_two_looks_is_counted(rq):
    cursor = rq.source.sample().cursor
    rq.run("queue.enqueue(rq_tasks.add, 1, 2); queue.enqueue(rq_tasks.add, 1, 2, result_ttl=0); work()")

    assert [(one.succeeded, one.failed_attempts) for one in rq.source.sample(cursor).ended] == [(2, 0)]


def test_a_killed_horse_names_its_worker(rq):
    rq.run("queue.enqueue(rq_tasks.killed, job_id='one'); work()")
    detail = rq.source.get("one")

    assert detail.job.worker
    assert "terminated unexpectedly" in detail.job.error


def test_schedules_are_those_of_the_cron_scheduler(rq):
    rq.run(
        """
        from rq.cron import CronScheduler
        cron = CronScheduler(connection=connection, name="c")
        cron.register(rq_tasks.add, "default", args=(1, 2), interval=60)
        cron.register(rq_tasks.slow, "low", cron="0 3 * * *", name="nightly")
        cron.register_birth()
        cron.enqueue_jobs()
        cron.save()
        """
    )
    found = {one.name: one for one in rq.source.sample().schedules}

    assert (found["rq_tasks.add"].rule, found["rq_tasks.add"].queue) == ("every 60 s", "default")
    assert found["rq_tasks.add"].next_ms - found["rq_tasks.add"].last_ms == 60_000
    assert (found["nightly"].kind, found["nightly"].rule, found["nightly"].last_ms) == (
        "rq_tasks.slow",
        "0 3 * * *",
        None,
    )
    assert found["nightly"].next_ms > time.time() * 1000


def test_schedules_of_rq_scheduler_are_told_from_jobs_that_run_once(rq):
    rq.job("again", meta=pickle.dumps({"interval": 300}))
    rq.job("nightly", meta=pickle.dumps({"cron_string": "0 3 * * *"}))
    rq.job("once", meta=pickle.dumps({}))
    rq.redis.zadd("rq:scheduler:scheduled_jobs", {"again": 2e9, "nightly": 2e9, "once": 2e9, "gone": 2e9})

    assert [(one.name, one.kind, one.rule, one.next_ms) for one in rq.source.sample().schedules] == [
        ("again", "rq_tasks.add", "every 300 s", 2_000_000_000_000),
        ("nightly", "rq_tasks.add", "0 3 * * *", 2_000_000_000_000),
    ]


def test_a_suspended_queue_is_paused(rq):
    rq.redis.sadd("rq:queues", "rq:queue:default")
    rq.redis.set("rq:suspended", 1)

    assert rq.queue().is_paused


def test_a_job_that_was_taken_and_not_begun_still_waits(rq):
    rq.job("one", age_s=5)
    rq.redis.rpush("rq:queue:default:intermediate", "one")

    assert (rq.queue().counts[JobState.QUEUED], rq.queue().prefetched) == (1, 1)


def test_jobs_that_wait_for_a_rate_limit_are_blocked(rq):
    rq.run(
        """
        from rq.rate_limit import RateLimit
        for at in range(3):
            queue.enqueue(rq_tasks.add, at, at, rate_limit=RateLimit("mail", 1))
        Queue("other", connection=connection).enqueue(rq_tasks.add, 1, 2, rate_limit=RateLimit("mail", 1))
        """
    )
    queues = {queue.name: queue.counts for queue in rq.source.sample().queues}

    assert (queues["default"][JobState.QUEUED], queues["default"][JobState.BLOCKED]) == (1, 2)
    assert queues["other"][JobState.BLOCKED] == 1
    query = JobQuery(frozenset([JobState.BLOCKED]), queue="other")
    assert [job.raw_state for job in rq.source.find(query).jobs] == ["rate_limited"]


def test_a_scheduled_job_that_nobody_enqueues_waits(rq):
    rq.job("one", status="scheduled")
    due = time.time() - 300
    rq.redis.zadd("rq:scheduled:default", {"one": due, "two": due + 600})
    sample = rq.source.sample()

    assert sample.queues[0].oldest_ready_ms == pytest.approx(due * 1000, abs=1)
    assert any("--with-scheduler" in note for note in sample.notes)


def test_another_worker_of_the_same_name_counts_from_nothing(rq):
    rq.worker(successful_job_count=10)
    cursor = rq.source.sample().cursor
    time.sleep(0.002)
    rq.worker(successful_job_count=15)

    assert [one.succeeded for one in rq.source.sample(cursor).ended] == [15]


def test_a_worker_of_several_queues_counts_for_those_that_were_seen(rq):
    rq.worker(queues="high,low")
    cursor = rq.source.sample().cursor
    rq.hash("rq:worker:w", successful_job_count=3, failed_job_count=1)
    rq.job("one", status="finished", origin="high", ended_at=rq.iso(time.time()), worker_name="w")
    rq.redis.sadd("rq:queues", "rq:queue:high")
    rq.redis.zadd("rq:finished:high", {"one": time.time() + 500})

    assert [(one.queue, one.succeeded, one.failed_attempts) for one in rq.source.sample(cursor).ended] == [
        ("", 2, 1),
        ("high", 1, 0),
    ]


def test_a_lease_without_an_execution_is_its_score(rq):
    rq.job("one", status="started", started_at=rq.iso(time.time()))
    until = time.time() + 60
    rq.redis.zadd("rq:wip:default", {"one": until})

    assert rq.source.sample().running[0].lease_until_ms == pytest.approx(until * 1000, abs=1)


def test_another_prefix(rq):
    rq.redis.sadd("app:queues", "app:queue:x")
    rq.redis.rpush("app:queue:x", "1")

    (queue,) = RqSource(connected(rq.url), is_secret=is_secret, prefix="app").sample().queues
    assert (queue.name, queue.counts[JobState.QUEUED]) == ("x", 1)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        pytest.param("redis://127.0.0.1:1/0", "cannot be read", id="nobody listens"),
        pytest.param("nonsense://x", "must specify one of", id="no such protocol"),
        pytest.param("redis://user:hush@127.0.0.1:1/0", "127.0.0.1", id="the password is not told"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(url, reason):
    with pytest.raises(SourceError, match=reason) as error:
        RqSource(connected(url), is_secret=is_secret).sample()
    assert "hush" not in str(error.value)


def test_a_refused_command_is_named_with_what_the_user_needs(rq):
    rq.redis.execute_command("ACL", "SETUSER", "poor", "on", ">secret", "~*", "+get", "+time")
    source = RqSource(connected(rq.url.replace("//", "//poor:secret@")), is_secret=is_secret)

    with pytest.raises(SourceError, match=r"smembers.*Its user needs"):
        source.sample()


def test_the_source_imports_no_job_library():
    code = "import sys, trackside.jobs.rq.source; sys.exit('rq' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_every_measure_says_how_far_it_can_be_trusted(rq):
    assert {measure.value: fidelity for measure, fidelity in rq.source.fidelity.items()} == {
        "depth": Fidelity.EXACT,
        "oldest": Fidelity.EXACT,
        "running": Fidelity.EXACT,
        "workers": Fidelity.EXACT,
        "throughput": Fidelity.EXACT,
        "latency": Fidelity.SAMPLED,
        "traceback": Fidelity.SAMPLED,
    }


def test_the_newest_client_answers_the_same(rq, library):
    rq.run("queue.enqueue(rq_tasks.add, 1, 2); queue.enqueue(rq_tasks.boom); work(); queue.enqueue(rq_tasks.add, 3, 4)")
    rq.worker()
    code = """
import json, sys
from trackside.jobs.redis_store import connected
from trackside.jobs.rq.source import RqSource
from trackside.model.jobs import JobQuery
source = RqSource(connected(sys.argv[1]), is_secret=lambda key: False)
sample = source.sample(source.sample().cursor)
jobs = source.find(JobQuery()).jobs
errors = [source.get(job.id).job.error for job in jobs]
print(json.dumps([[sorted([state.value, count] for state, count in queue.counts.items()) for queue in sample.queues],
    [worker.id for worker in sample.workers], [[job.id, job.kind] for job in jobs], errors]))
"""
    command = [sys.executable, "-c", code, rq.url]
    newest = {**os.environ, "PYTHONPATH": os.pathsep.join([str(library("celery")), os.environ.get("PYTHONPATH", "")])}
    answers = {subprocess.check_output(command, env=environ) for environ in (dict(os.environ), newest)}

    assert len(answers) == 1
    assert b"ValueError: no such thing" in answers.pop()
