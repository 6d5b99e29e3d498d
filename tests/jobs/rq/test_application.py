"""What is said of a real RQ, of two major versions, with real workers."""

import json
import time

import pytest

from trackside.jobs.redis_store import READ_ONLY_RULES, connected
from trackside.jobs.rq.source import RqSource
from trackside.model.jobs import JobQuery, JobState


def is_secret(key):
    return "password" in key


def test_what_waits_runs_and_ended_is_seen(application):
    began_ms = time.time() * 1000
    application.source.sample()
    cursor = application.source.sample().cursor
    application.run(
        """
        queue.enqueue(rq_tasks.add, 1, 2, result_ttl=86400)
        queue.enqueue(rq_tasks.boom, description="Sends mail to Ada")
        queue.enqueue(rq_tasks.add, 3, 4)
        work()
        queue.enqueue(rq_tasks.add, 5, 6)
        queue.enqueue(rq_tasks.add, 7, 8, at_front=True)
        queue.enqueue_in(__import__("datetime").timedelta(hours=1), rq_tasks.add, 9, 10)
        first = queue.enqueue(rq_tasks.slow, 0)
        queue.enqueue(rq_tasks.add, 11, 12, depends_on=first)
        """
    )
    sample = application.source.sample(json.loads(json.dumps(cursor)))
    (queue,) = sample.queues

    assert {state.value: count for state, count in queue.counts.items() if count} == {
        "queued": 3,
        "scheduled": 1,
        "blocked": 1,
        "succeeded": 2,
        "failed": 1,
    }
    assert began_ms < queue.oldest_ready_ms <= sample.at_ms
    assert [(job.kind, job.state.value, job.error) for job in sample.finished] == [
        ("rq_tasks.add", "succeeded", None),
        ("rq_tasks.boom", "failed", "ValueError: no such thing"),
        ("rq_tasks.add", "succeeded", None),
    ]
    assert all(job.wait_s >= 0 and job.run_s >= 0 and job.worker for job in sample.finished)
    assert [(one.queue, one.succeeded, one.failed_attempts) for one in sample.ended] == [("default", 2, 1)]
    again = application.source.sample(json.loads(json.dumps(sample.cursor)))
    assert (again.finished, again.ended) == ((), ())


def test_nothing_changes_under_read_only_credentials(application):
    application.run(
        """
        for at in range(5):
            queue.enqueue(rq_tasks.add, at, at, result_ttl=0 if at % 2 else 500)
        queue.enqueue(rq_tasks.boom, on_failure=rq.Callback(rq_tasks.cleanup))
        queue.enqueue(rq_tasks.boom, retry=Retry(2, interval=60))
        work()
        queue.enqueue(rq_tasks.add, 1, 2)
        Worker([queue], name="idle", connection=connection).register_birth()
        """
    )
    application.called.unlink()
    application.redis.zadd("rq:wip:default", {"gone:execution": time.time() - 60})
    application.redis.acl_setuser("trackside", enabled=True, reset=True, passwords=["+secret"])
    application.redis.execute_command("ACL", "SETUSER", "trackside", *READ_ONLY_RULES.split())
    reader = RqSource(connected(application.url.replace("//", "//trackside:secret@")), is_secret=is_secret)
    before = application.everything()

    cursor = None
    for _ in range(100):
        cursor = reader.sample(cursor).cursor
    for state in JobState:
        reader.find(JobQuery(frozenset([state])))
    page = reader.find(JobQuery(text="1"), limit=2)
    while page.next:
        page = reader.find(JobQuery(text="1"), page.next, limit=2)
    found = reader.find(JobQuery(), limit=100).jobs
    assert len(found) == 6
    assert all(reader.get(job.id) for job in found)
    reader.close()

    assert application.everything() == before
    assert not application.called.exists()


def test_an_abandoned_job_is_shown_and_left_alone(application):
    application.run(
        """
        job = queue.enqueue(rq_tasks.add, 1, 2, job_id="orphan", on_failure=rq.Callback(rq_tasks.cleanup))
        job.set_status("started")
        connection.lrem("rq:queue:default", 0, "orphan")
        done = queue.enqueue(rq_tasks.add, 1, 2, job_id="done")
        work()
        """
    )
    late = time.time() - 120
    application.redis.zadd("rq:wip:default", {"orphan:1": late, "done:2": late, "vanished:3": late})
    before = application.everything()

    sample = application.source.sample()

    assert [(job.id, job.state.value) for job in sample.running] == [("orphan", "running")]
    assert sample.running[0].lease_until_ms == pytest.approx(late * 1000, abs=2)
    assert sample.queues[0].counts[JobState.RUNNING] == 1
    assert [job.id for job in application.source.find(JobQuery(frozenset([JobState.RUNNING]))).jobs] == ["orphan"]
    assert application.source.get("done").job.state is JobState.SUCCEEDED
    assert application.everything() == before
    assert not application.called.exists()


def test_everything_that_ended_is_counted_and_counted_once(application):
    """60 successes, half of which leave nothing behind; 15 attempts that are tried again; 3 that were killed."""
    cursor = application.source.sample().cursor
    process = application.start(
        """
        for at in range(45):
            queue.enqueue(rq_tasks.add, at, at, result_ttl=0 if at < 30 else 500)
        for at in range(15):
            queue.enqueue(rq_tasks.flaky, f"{folder}/{at}", retry=Retry(max=1), result_ttl=86400)
        work(SimpleWorker)
        for at in range(3):
            queue.enqueue(rq_tasks.killed)
        work()
        """
    )
    succeeded = failed = 0
    finished = []
    is_over = False
    while not is_over:
        is_over = process.poll() is not None
        sample = application.source.sample(json.loads(json.dumps(cursor)))
        cursor = sample.cursor
        succeeded += sum(one.succeeded for one in sample.ended)
        failed += sum(one.failed_attempts for one in sample.ended)
        finished += [(job.id, job.state) for job in sample.finished]
        time.sleep(0.1)

    assert (succeeded, failed) == (60, 18)
    assert len(finished) == len(set(finished)) == 30 + 3
    assert [state for _, state in finished].count(JobState.FAILED) == 3


def test_a_killed_worker_is_late_and_its_job_is_abandoned(application, kill_session):
    began_s = time.time()
    process = application.start("queue.enqueue(rq_tasks.slow, 600); work()")
    cursor = None
    until = time.monotonic() + 60
    while True:
        sample = application.source.sample(cursor)
        cursor = sample.cursor
        # A worker that has taken a job promises to say within 90 seconds that it lives; before, within eight minutes.
        promises = [one.expected_ms for one in sample.workers if one.jobs and one.state == "busy"]
        promises += [one.lease_until_ms for one in sample.running]
        if len(promises) == 2 and all(at_ms <= sample.at_ms + 90_500 for at_ms in promises):
            break
        assert time.monotonic() < until
        time.sleep(0.05)
    (worker,), (job,) = sample.workers, sample.running
    passed_s = time.time() - began_s
    kill_session(process)

    assert worker.state == "busy"
    assert worker.jobs == (job.id,)
    assert worker.queues == ("default",)
    assert worker.process == process.pid
    assert sample.at_ms < worker.expected_ms
    # It writes two moments, one of them in whole seconds; what it waits for between them is in its skew.
    assert abs(worker.skew_s) <= passed_s + 1
    assert job.worker == worker.id
    assert sample.at_ms < job.lease_until_ms <= sample.at_ms + 90_500

    # What 90 seconds do.
    member = application.redis.zrange("rq:wip:default", 0, -1)[0].decode()
    application.redis.zadd("rq:wip:default", {member: time.time() - 1})
    application.redis.delete(f"rq:worker:{worker.id}", f"rq:execution:{member}")
    later = application.source.sample(cursor)
    assert [(one.id, one.state) for one in later.workers] == [(worker.id, "gone")]
    assert later.workers[0].expected_ms == worker.expected_ms
    assert later.running[0].lease_until_ms < later.at_ms


def test_a_job_tells_its_arguments_attempts_and_relatives(application):
    application.run(
        """
        queue.enqueue(rq_tasks.boom, "a\\nb", job_id="failed", job_timeout=77)
        queue.enqueue(rq_tasks.add, 1, 2, job_id="fine", description="in words of its own")
        work()
        queue.enqueue(rq_tasks.slow, 1, password="hush", job_id="parent")
        queue.enqueue(rq_tasks.slow, 2, job_id="child", depends_on="parent")
        """
    )
    failed = application.source.get("failed")
    assert failed.job.error == "ValueError: a"
    assert failed.extra["time-out (s)"] == "77"
    assert [attempt.outcome for attempt in failed.attempts] == ["failed"]
    assert failed.attempts[0].traceback.startswith("Traceback (most recent call last)")
    assert failed.attempts[0].worker == failed.job.worker
    fine = application.source.get("fine")
    assert (fine.job.kind, fine.args, fine.result) == ("rq_tasks.add", (1, 2), 3)
    assert application.source.get("parent").kwargs == {"password": "[redacted]"}
    assert application.source.get("parent").children == ("child",)
    assert application.source.get("child").parents == ("parent",)
    assert application.source.get("none") is None
    assert application.source.get("parent:dependents") is None
