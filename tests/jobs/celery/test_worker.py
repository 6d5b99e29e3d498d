"""What is said of a real Celery with a real worker."""

import time

from trackside.jobs.source import Measure
from trackside.model.jobs import Fidelity, JobQuery, JobState

BUSY = "for at in range(14): app.slow.delay(600)"


def is_settled(sample):
    """Two run, eight are fetched, four wait. What is read of the queue and what of the workers is a moment apart."""
    (queue,) = sample.queues
    return (queue.counts[JobState.RUNNING], queue.prefetched, queue.counts[JobState.QUEUED]) == (2, 8, 12)


def skew_s(sample):
    return abs(sample.workers[0].skew_s)


def keys(application):
    """But the lock that a worker holds while it looks for what others have left."""
    return set(application.redis.keys()) - {b"unacked_mutex"}


def test_fourteen_outstanding_are_fourteen_though_the_queue_has_four(application, until):
    source = application.source()
    application.start_worker("-E", "-c", "2")
    application.run(BUSY)
    # What is heard late looks like a clock that is behind, until the next beat.
    sample = until(source, lambda sample: len(sample.running) == 2 and is_settled(sample) and skew_s(sample) < 1)
    (queue,) = sample.queues

    assert application.redis.llen("celery") == 4
    assert (queue.counts[JobState.QUEUED], queue.prefetched, queue.counts[JobState.RUNNING]) == (12, 8, 2)
    running = {job.id for job in sample.running}
    assert [(job.kind, job.worker) for job in sample.running] == [("app.slow", "w@here")] * 2
    assert sample.running[0].started_ms <= time.time() * 1000
    assert sample.at_ms < sample.running[0].lease_until_ms
    assert [(worker.id, worker.state, len(worker.jobs)) for worker in sample.workers] == [("w@here", "busy", 2)]
    assert sample.notes == ()
    assert source.fidelity[Measure.RUNNING] is Fidelity.EXACT

    before = keys(application)
    late = application.source(asks_by=application.asking())
    sample = until(late, lambda sample: len(sample.running) == 2 and is_settled(sample) and sample.workers[0].queues)
    assert {job.id for job in sample.running} == running
    assert sample.workers[0].queues == ("celery",)
    (queue,) = sample.queues
    assert (queue.counts[JobState.QUEUED], queue.prefetched, queue.counts[JobState.RUNNING]) == (12, 8, 2)
    late.close()
    assert keys(application) == before


def test_workers_without_events_of_tasks_still_say_how_many_they_run(application, until):
    source = application.source()
    application.start_worker("-c", "2")
    application.run(BUSY)
    sample = until(source, is_settled)

    assert sample.queues[0].counts[JobState.QUEUED] == 12
    assert [worker.is_inferred for worker in sample.workers] == [False]
    assert "-E" in sample.notes[0]
    assert source.fidelity[Measure.RUNNING] is Fidelity.INFERRED


def test_what_ends_is_told_once_with_its_attempts(application, until, monkeypatch, tmp_path):
    source = application.source()
    application.start_worker("-E", "-c", "1")
    cursor = until(source, lambda sample: sample.workers).cursor
    # A result waits for the event that knows more, once it is known that there are events; and not for ever.
    application.run("app.add.delay(0, 0)")
    cursor = until(
        source, lambda sample: sample.finished and source.fidelity[Measure.RUNNING] is Fidelity.EXACT, cursor
    ).cursor
    monkeypatch.setattr("trackside.jobs.celery.tasks.EVENT_FOLLOWS_MS", 60_000)
    application.run(
        f"""
        app.held.apply_async(({str(tmp_path / "go")!r},), task_id="first")
        app.add.apply_async((1, 2), {{"password": "hush"}}, task_id="add")
        app.flaky.apply_async(task_id="flaky")
        app.add.apply_async((1, 2), countdown=600, task_id="later")
        """
    )
    # Who sends a task says so after it has sent it: a worker may be faster, and does not know the queue.
    tasks = source._listener.tasks
    until(source, lambda _: all((known := tasks.known(id)) and known.queue for id in ("first", "add", "flaky")))
    (tmp_path / "go").touch()
    sample = until(
        source, lambda sample: len(sample.finished) == 3 and JobState.SCHEDULED in sample.queues[0].counts, cursor
    )
    _, added, failed = sample.finished

    assert (added.id, added.kind, added.queue, added.state) == ("add", "app.add", "celery", JobState.SUCCEEDED)
    assert added.wait_s >= 0
    assert added.run_s >= 0
    assert (failed.id, failed.state, failed.error) == ("flaky", JobState.FAILED, "ValueError('not yet')")
    assert [(one.queue, one.succeeded, one.failed_attempts) for one in sample.ended] == [("celery", 2, 2)]
    assert sample.queues[0].counts[JobState.SCHEDULED] == 1
    assert source.sample(sample.cursor).finished == ()

    detail = source.get("add")
    assert (detail.args, detail.kwargs, detail.result) == ((1, 2), {"password": "[redacted]"}, 3)
    attempts = source.get("flaky").attempts
    assert [attempt.outcome for attempt in attempts] == ["retried", "failed"]
    assert all("Traceback" in attempt.traceback for attempt in attempts)
    (later,) = source.find(JobQuery(frozenset([JobState.SCHEDULED]))).jobs
    assert later.id == "later"
    assert later.due_ms > sample.at_ms + 500_000
