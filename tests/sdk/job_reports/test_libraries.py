"""What each library's adapter reports, with the real library. RQ has a file of its own."""

import asyncio
import threading
import time
from datetime import UTC
from types import SimpleNamespace

import pytest


def by_attempt(hub, kind):
    return sorted((one for one in hub.reports if one.kind == kind), key=lambda one: one.attempt)


def wait_until(true):
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)


@pytest.fixture
def celery_app():
    celery = pytest.importorskip("celery")
    app = celery.Celery("reports", set_as_current=False, tasks=celery.app.registry.TaskRegistry())
    app.conf.update(
        task_default_queue="high",
        broker_connection_retry_on_startup=False,
        worker_hijack_root_logger=False,
        broker_url="memory://",
        broker_transport_options={"polling_interval": 0.01},
    )
    yield app
    app.close()


def leave_logging_alone(**about):
    pass


def test_celery(celery_app, monitor, hub):
    celery = pytest.importorskip("celery")
    start_worker = pytest.importorskip("celery.contrib.testing.worker").start_worker
    celery.signals.setup_logging.connect(leave_logging_alone)

    @celery_app.task(name="asks", shared=False)
    def asks():
        with monitor.ai("gpt-4o") as call:
            call.tokens(input=1_000)

    @celery_app.task(name="again", shared=False, bind=True, max_retries=1)
    def again(self):
        try:
            raise ValueError("not yet")
        except ValueError as error:
            raise self.retry(countdown=0, exc=error) from error

    monitor.watch(celery_app)
    with start_worker(celery_app, pool="solo", concurrency=1, perform_ping_check=False, loglevel="CRITICAL"):
        sent = asks.apply_async()
        again.apply_async()
        wait_until(lambda: monitor.flush_signals() and len(hub.reports) == 3)

    (report,) = by_attempt(hub, "asks")
    assert (report.id, report.queue, report.backend, report.outcome) == (sent.id, "high", "celery", "succeeded")
    assert (report.tokens, report.attempt) == (1_000, 1)
    assert report.cost_usd > 0
    assert report.enqueued_ms <= report.started_ms <= report.finished_ms
    assert report.worker
    first, last = by_attempt(hub, "again")
    assert (first.id, first.attempt, first.outcome) == (last.id, 1, "retried")
    assert (last.attempt, last.outcome) == (2, "failed")
    for one in (first, last):
        assert one.error == "ValueError: not yet"
        assert 'raise ValueError("not yet")' in one.traceback
        assert one.cost_usd is None


def test_arq(monitor, hub, redis_url):
    arq = pytest.importorskip("arq")
    from arq.connections import RedisSettings
    from arq.worker import Worker

    async def asks(ctx):
        await asyncio.sleep(0)
        with monitor.ai("gpt-4o") as call:
            call.tokens(input=1_000)

    async def again(ctx):
        raise arq.Retry() from ValueError("not yet")

    async def fails(ctx):
        raise ValueError("no")

    async def all_of_it():
        pool = await arq.create_pool(RedisSettings.from_dsn(redis_url), default_queue_name="high")
        await pool.flushdb()
        for name in ("asks", "again", "fails"):
            await pool.enqueue_job(name, _job_id=name)
        functions = [arq.func(one, name=one.__name__) for one in (asks, again, fails)]
        worker = Worker(functions, redis_pool=pool, queue_name="high", burst=True, poll_delay=0.01, max_tries=2)
        monitor.watch(worker)
        await worker.main()
        await worker.close()
        await pool.aclose()

    asyncio.run(all_of_it())
    assert 'job_worker_last_seen_timestamp_seconds{queue="high"} 1' in monitor.exposition().decode()
    assert monitor.flush_signals()
    (report,) = by_attempt(hub, "asks")
    assert (report.id, report.queue, report.backend, report.outcome) == ("asks", "high", "arq", "succeeded")
    assert (report.tokens, report.attempt, report.cpu_s) == (1_000, 1, None)
    assert report.enqueued_ms <= report.started_ms <= report.finished_ms
    first, last = by_attempt(hub, "again")
    assert [(one.attempt, one.outcome) for one in (first, last)] == [(1, "retried"), (2, "failed")]
    assert "ValueError: not yet" in first.traceback
    # Since when it waited for the second time nobody knows.
    assert last.enqueued_ms is None
    (failed,) = by_attempt(hub, "fails")
    assert (failed.outcome, failed.error) == ("failed", "ValueError: no")


def test_dramatiq(monitor, hub):
    dramatiq = pytest.importorskip("dramatiq")
    from dramatiq.brokers.stub import StubBroker
    from dramatiq.middleware import Retries

    broker = StubBroker(middleware=[Retries(min_backoff=1, max_backoff=1, max_retries=1)])

    def asks():
        with monitor.ai("gpt-4o") as call:
            call.tokens(input=1_000)

    def fails():
        raise ValueError("no")

    monitor.watch(broker)
    actors = [dramatiq.actor(one, broker=broker, queue_name="high", actor_name=one.__name__) for one in (asks, fails)]
    worker = dramatiq.Worker(broker, worker_timeout=10, worker_threads=2)
    worker.start()
    messages = [actor.send() for actor in actors]
    wait_until(lambda: monitor.flush_signals() and len(hub.reports) == 3)
    worker.stop()

    (report,) = by_attempt(hub, "asks")
    assert (report.id, report.queue, report.backend) == (messages[0].message_id, "high", "dramatiq")
    assert (report.tokens, report.attempt, report.outcome) == (1_000, 1, "succeeded")
    assert report.enqueued_ms <= report.started_ms <= report.finished_ms
    first, last = by_attempt(hub, "fails")
    assert [(one.attempt, one.outcome) for one in (first, last)] == [(1, "retried"), (2, "failed")]
    assert 'raise ValueError("no")' in first.traceback


def test_apscheduler(monitor, hub):
    background = pytest.importorskip("apscheduler.schedulers.background")

    def fine():
        pass

    def fails():
        raise ValueError("no")

    # However late: a busy machine may need more than the second that jobs have otherwise.
    scheduler = monitor.watch(background.BackgroundScheduler(timezone=UTC, job_defaults={"misfire_grace_time": None}))
    scheduler.start()
    scheduler.add_job(fine, id="tidy")
    scheduler.add_job(fails, id="break")
    wait_until(lambda: monitor.flush_signals() and len(hub.reports) == 2)
    scheduler.shutdown()
    reports = {one.id.partition("@")[0]: one for one in hub.reports}
    assert (reports["tidy"].outcome, reports["tidy"].backend) == ("succeeded", "apscheduler")
    assert reports["tidy"].due_ms <= reports["tidy"].finished_ms
    assert (reports["break"].outcome, reports["break"].error) == ("failed", "ValueError: no")
    assert 'raise ValueError("no")' in reports["break"].traceback
    # It ran in a thread that we did not measure.
    assert reports["tidy"].cpu_s is None


def test_a_celery_process_that_dies_is_reported_by_the_one_that_found_out(celery_app, monitor, hub):
    pytest.importorskip("celery")
    from trackside.sdk.watch import celery as adapter

    @celery_app.task(name="dies", shared=False)
    def dies():
        pass

    class Request:
        id = "17"
        delivery_info = {"routing_key": "high"}
        request_dict = {"retries": 1}

    class WorkerLostError(Exception):
        pass

    monitor.watch(celery_app)
    watching = adapter._Watching(celery_app, monitor.context)
    heart = SimpleNamespace(eventer=SimpleNamespace(app=celery_app))
    watching.heartbeat_sent(heart)
    watching.heartbeat_sent(SimpleNamespace(eventer=None))
    assert 'job_worker_last_seen_timestamp_seconds{queue="high"} 1' in monitor.exposition().decode()
    watching.task_received(Request())
    watching.task_failure(celery_app.tasks["dies"], "17", WorkerLostError("signal 9"))
    watching.task_revoked(celery_app.tasks["dies"], Request())
    assert monitor.flush_signals()
    lost, revoked = hub.reports
    assert (lost.id, lost.kind, lost.queue, lost.attempt, lost.outcome) == ("17", "dies", "high", 2, "lost")
    assert "signal 9" in lost.error
    assert (lost.started_ms, lost.run_s) == (None, None)
    assert (revoked.outcome, revoked.attempt) == ("cancelled", 2)


def test_threads_of_dramatiq_and_others_leave_nothing_behind(monitor, hub):
    from trackside.sdk.job_reports.current import current_spending

    seen = []

    def work():
        with monitor.job("one"):
            pass
        seen.append(current_spending())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [None] * 3
