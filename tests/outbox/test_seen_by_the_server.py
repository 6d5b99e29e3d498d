"""The queue as the server sees it: by its tables alone."""

import threading
import time
from contextlib import closing

import pytest

from trackside.jobs.source import Measure
from trackside.jobs.sql.outbox import outbox
from trackside.jobs.sql.source import open_jobs
from trackside.model.jobs import Fidelity, JobState
from trackside.outbox.backoff import Backoff
from trackside.outbox.dialects import transaction
from trackside.outbox.work_queue import Push, WorkQueue
from trackside.outbox.worker import Worker


@pytest.fixture
def queue(connect):
    queue = WorkQueue(connect, "mail", "my_work", Backoff(first_s=60, jitter=0))
    queue.create()
    return queue


@pytest.fixture
def source(queue, url):
    # Patient: a busy machine may make any question wait.
    with closing(open_jobs(url, outbox("my_work"), is_secret=lambda name: name == "token", time_out_s=60)) as source:
        yield source


def push(queue, connection, *works):
    with transaction(connection):
        for work in works:
            queue.push(connection, work)


def counts(sample):
    return {state.value: count for queue in sample.queues for state, count in queue.counts.items() if count}


def test_nobody_works_and_the_backlog_is_known(queue, source, connection):
    began_ms = int(time.time() * 1000)
    push(queue, connection, Push("send", {"token": "s3cret"}), Push("send", delay_s=600))

    sample = source.sample()

    assert counts(sample) == {"queued": 1, "scheduled": 1}
    assert sample.workers == ()
    (seen,) = sample.queues
    # SQLite reckons its milliseconds from days, and may be one off.
    assert began_ms - 2 <= seen.oldest_ready_ms <= sample.at_ms + 2
    assert "s3cret" not in repr(source.get("1"))
    assert {source.fidelity[one] for one in (Measure.DEPTH, Measure.WORKERS, Measure.LATENCY)} == {Fidelity.EXACT}


def test_work_is_followed_to_its_end(queue, source, connection):
    cursor = source.sample().cursor
    push(queue, connection, Push("good"), Push("bad", max_attempts=1), Push("again"))

    def fail(work):
        raise ValueError("no")

    Worker(queue, {"good": lambda work: None, "bad": fail, "again": fail}).work_off()
    sample = source.sample(cursor)

    assert counts(sample).get("retrying") == 1
    ended = {job.kind: (job.state, job.error) for job in sample.finished}
    assert ended == {"good": (JobState.SUCCEEDED, None), "bad": (JobState.FAILED, "ValueError: no")}


def test_a_worker_is_seen_idle_and_busy(queue, source, connection):
    begun, done = threading.Event(), threading.Event()

    def wait(work):
        begun.set()
        assert done.wait(100)

    worker = Worker(queue, {"long": wait}, every_s=0.05)
    worker.is_alive(connection)
    (idle,) = source.sample().workers
    assert (idle.id, idle.queues, idle.jobs) == (worker.id, ("mail",), ())
    assert idle.expected_ms - idle.beat_ms == 60_000

    push(queue, connection, Push("long"))
    worker.start()
    try:
        assert begun.wait(60)
        sample = source.sample()
        assert counts(sample) == {"running": 1}
        assert [(one.id, one.jobs) for one in sample.workers] == [(worker.id, ("1",))]
        assert sample.running[0].worker == worker.id
    finally:
        done.set()
        assert worker.stop(60)
    assert source.sample().workers == ()


def test_no_worker_is_silent_for_longer_than_the_server_waits(queue):
    for lease_s, every_s in ((1, 1), (60, 60), (3_600, 0.1), (3_600, 3_600)):
        assert Worker(queue, {}, lease_s=lease_s, every_s=every_s).presence.patience_s <= 60
