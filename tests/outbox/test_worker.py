import threading
import time
from contextlib import closing

import pytest

from trackside import Monitor
from trackside.outbox.backoff import Backoff
from trackside.outbox.dialects import transaction
from trackside.outbox.work_queue import Push, WorkQueue
from trackside.outbox.worker import Worker


@pytest.fixture
def queue(connect):
    queue = WorkQueue(connect, "outbox", backoff=Backoff(first_s=0, jitter=0))
    queue.create()
    return queue


def push(queue, connection, *works):
    with transaction(connection):
        for work in works:
            queue.push(connection, work)


def statuses(connection):
    found = [row[0] for row in connection.execute("select status from trackside_work order by id").fetchall()]
    connection.rollback()
    return found


def until(true, timeout_s=60):
    end_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_each_kind_goes_to_its_handler(queue, connection):
    push(queue, connection, Push("a", 1), Push("b", 2), Push("a", 3))
    seen = []
    worker = Worker(queue, {kind: lambda work: seen.append((work.kind, work.payload)) for kind in "ab"})

    assert worker.work_off() == 3
    assert seen == [("a", 1), ("b", 2), ("a", 3)]
    assert statuses(connection) == ["succeeded"] * 3


def test_a_failure_is_an_attempt_and_the_next_one_may_succeed(queue, connection):
    push(queue, connection, Push("flaky"))
    monitor = Monitor("t", shared=False, environ={})
    outcomes = iter([ValueError("not yet"), None])

    def flaky(work):
        outcome = next(outcomes)
        if outcome:
            raise outcome

    worker = Worker(queue, {"flaky": flaky}, monitor=monitor)

    assert worker.work_off() == 2
    assert statuses(connection) == ["succeeded"]
    page = monitor.exposition().decode()
    assert 'outbox_published_total{queue="outbox"} 1' in page
    assert 'outbox_publish_errors_total{queue="outbox",reason="retried"} 1' in page
    assert 'attempts_sum{queue="outbox"} 2' in page
    assert 'jobs_total{job_name="flaky",queue="outbox",status="succeeded"} 1' in page
    assert 'jobs_total{job_name="flaky",queue="outbox",status="failed"} 0' in page
    assert 'job_retries_total{job_name="flaky",queue="outbox"} 1' in page


def test_the_last_attempt_that_fails_is_a_failed_job(queue, connection):
    push(queue, connection, Push("broken", max_attempts=1))
    monitor = Monitor("t", shared=False, environ={})
    Worker(queue, {"broken": lambda work: 1 / 0}, monitor=monitor).work_off()

    page = monitor.exposition().decode()
    assert 'jobs_total{job_name="broken",queue="outbox",status="failed"} 1' in page
    assert 'dead_total{queue="outbox"} 1' in page
    assert 'job_wait_seconds_count{queue="outbox"} 1' in page


def test_what_a_worker_counts_is_0_before_it_did_anything(queue):
    monitor = Monitor("t", shared=False, environ={})
    Worker(queue, {}, monitor=monitor)

    page = monitor.exposition().decode()
    for series in ("outbox_published_total", "dead_total", "leases_expired_total", "stale_completions_total"):
        assert f'{series}{{queue="outbox"}} 0' in page


def test_without_metrics_it_works_all_the_same(queue, connection):
    push(queue, connection, Push("a"))
    seen = []
    worker = Worker(queue, {"a": seen.append}, monitor=Monitor("t", enabled=False, shared=False, environ={}))

    assert worker.work_off() == 1
    assert len(seen) == 1


def test_work_that_nobody_handles_says_what_is_handled(queue, connection):
    push(queue, connection, Push("unknown", max_attempts=1))
    Worker(queue, {"known": print}).work_off()

    (error,) = connection.execute("select error from trackside_work").fetchone()
    assert error == "LookupError: no handler for 'unknown' here; there are: known"
    connection.rollback()
    assert statuses(connection) == ["dead"]


def test_a_lease_is_renewed_while_the_work_lasts(queue, connect, connection):
    push(queue, connection, Push("long"))
    stolen = []

    def long(work):
        with closing(connect()) as other:

            def lease_until_ms():
                ((until_ms,),) = other.execute("select lease_until_ms from trackside_work").fetchall()
                other.rollback()
                return until_ms

            for _ in range(2):
                # As if most of it were over.
                other.execute("update trackside_work set lease_until_ms = lease_until_ms - 30000")
                other.commit()
                until(lambda: lease_until_ms() > work.lease_until_ms)
                stolen.extend(queue.claim(other, "thief"))

    worker = Worker(queue, {"long": long}, lease_s=60)
    # A third of this is how often it is renewed.
    worker.presence.patience_s = 1
    worker.work_off(limit=1)

    assert stolen == []
    assert statuses(connection) == ["succeeded"]


def test_it_works_in_the_background_until_it_is_stopped(queue, connection):
    seen = []
    worker = Worker(queue, {"a": lambda work: seen.append(work.payload)}, every_s=0.05)
    worker.start()
    try:
        push(queue, connection, Push("a", 1))
        until(lambda: seen == [1])
        push(queue, connection, Push("a", 2))
        until(lambda: seen == [1, 2])
    finally:
        assert worker.stop(60)
    push(queue, connection, Push("a", 3))
    assert statuses(connection) == ["succeeded", "succeeded", "queued"]


def test_a_push_wakes_a_worker_that_would_sleep_long(queue, connection, request):
    if "sqlite" in request.node.name:
        return  # nobody notifies there: how often it looks is how soon it comes
    seen = threading.Event()
    worker = Worker(queue, {"a": lambda work: seen.set()}, every_s=20)
    worker.start()
    try:
        until(lambda: queue.live_workers(connection) + (connection.rollback() or 0))
        # Before it looks of itself. A push between a look and the sleep after it may be slept over.
        end_s = time.monotonic() + 15
        while not seen.wait(0.5):
            assert time.monotonic() < end_s
            push(queue, connection, Push("a"))
    finally:
        assert worker.stop(60)


def test_a_database_that_goes_away_and_comes_back_is_found_again(queue, connection, connect, caplog):
    broken = threading.Event()

    def sometimes():
        if not broken.is_set():
            raise OSError("connection refused")
        return connect()

    seen = []
    flaky = WorkQueue(sometimes, "outbox")
    push(queue, connection, Push("a", 1))
    worker = Worker(flaky, {"a": lambda work: seen.append(work.payload)}, every_s=0.05)
    worker.start()
    try:
        until(lambda: "connection refused" in caplog.text)
        broken.set()
        until(lambda: seen == [1])
    finally:
        assert worker.stop(60)
    assert "connection refused" in caplog.text


def test_who_works_is_known_and_who_ended_is_gone(queue, connection):
    workers = [Worker(queue, {}, every_s=0.05) for _ in range(2)]

    def live():
        count = queue.live_workers(connection)
        connection.rollback()
        return count

    assert live() == 0
    for worker in workers:
        worker.start()
    until(lambda: live() == 2)
    rows = connection.execute("select id, queue from trackside_work_workers order by id").fetchall()
    connection.rollback()
    assert [tuple(row) for row in rows] == sorted((worker.id, "outbox") for worker in workers)
    for worker in workers:
        assert worker.stop(60)
    assert live() == 0


def test_who_was_killed_is_missed_when_its_word_is_over(queue, connection):
    killed = Worker(queue, {}, lease_s=30)
    killed.is_alive(connection)
    assert queue.live_workers(connection) == 1
    # As if so much time had passed.
    connection.execute("update trackside_work_workers set late_ms = late_ms - 30000")
    connection.commit()
    assert queue.live_workers(connection) == 0
    connection.rollback()


def test_who_is_busy_for_long_is_alive_all_the_same(queue, connect, connection):
    push(queue, connection, Push("long"))
    monitor = Monitor("t", shared=False, environ={})

    def long(work):
        with closing(connect()) as other:

            def live():
                return (queue.live_workers(other), other.rollback())[0]

            for _ in range(2):
                # As if its last word were long ago.
                other.execute("update trackside_work_workers set late_ms = late_ms - 60000")
                other.commit()
                until(live)

    worker = Worker(queue, {"long": long}, monitor=monitor)
    # A third of this is how often it says so.
    worker.presence.patience_s = 1

    assert worker.work_off(limit=1) == 1
    assert statuses(connection) == ["succeeded"]


def test_a_connection_that_breaks_while_it_waits_is_made_anew(queue, connection, connect, caplog):
    made = []

    def remembered():
        made.append(connect())
        return made[-1]

    seen = []
    worker = Worker(WorkQueue(remembered, "outbox"), {"a": lambda work: seen.append(work.payload)}, every_s=0.05)
    worker.start()
    try:
        until(lambda: made)
        time.sleep(0.2)
        made[0].close()
        push(queue, connection, Push("a", 1))
        until(lambda: seen == [1])
    finally:
        assert worker.stop(60)
    assert len(made) >= 2


def test_what_is_done_long_ago_is_deleted_where_that_was_asked_for(connect, connection):
    keeping, forgetting = WorkQueue(connect, "keeping"), WorkQueue(connect, "forgetting", keep_s=60)
    keeping.create()
    for queue in (keeping, forgetting):
        push(queue, connection, Push("old"), Push("new"))
        Worker(queue, {"old": print, "new": print}).work_off()
    connection.execute("update trackside_work set finished_ms = finished_ms - 61000 where kind = 'old'")
    connection.commit()
    for queue in (keeping, forgetting):
        Worker(queue, {}).work_off()

    left = connection.execute("select queue, kind from trackside_work order by id").fetchall()
    connection.rollback()
    assert [tuple(row) for row in left] == [("keeping", "old"), ("keeping", "new"), ("forgetting", "new")]
