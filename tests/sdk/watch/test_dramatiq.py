import time

import pytest

from trackside import Monitor

pytest.importorskip("dramatiq")
pytest.importorskip("opentelemetry.propagate")
import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import AgeLimit, Middleware, Retries, SkipMessage
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider


@pytest.fixture
def monitor():
    return Monitor("shop", environ={})


@pytest.fixture
def broker(redis_url):
    broker = RedisBroker(url=redis_url, middleware=[AgeLimit(), Retries(min_backoff=1, max_backoff=1, max_retries=2)])
    broker.client.flushdb()
    yield broker
    broker.close()


@pytest.fixture
def run(broker, monitor):
    """Work everything off, and say what is shown without the zeros."""

    def run(*sends, beginnings=("jobs_total", "job_retries"), on=broker):
        assert monitor.watch(on) is monitor.watch(on) is on
        actors = {}
        once = {"max_retries": 0} if "max_retries" in on.actor_options else {}
        for function, options in ((work, {}), (fail, {}), (at_last, {}), (never, once)):
            actors[function.__name__] = dramatiq.actor(
                function, broker=on, queue_name="high", actor_name=function.__name__, **options
            )
        for send in sends:
            send(actors)
        worker = dramatiq.Worker(on, worker_timeout=10, worker_threads=2)
        worker.start()
        until = time.monotonic() + 60
        while time.monotonic() < until:
            on.join("high")
            worker.join()
            if seen(monitor) >= len(sends):
                break
            time.sleep(0.01)
        worker.stop()
        return shown(monitor, *beginnings)

    return run


TRIES = []


def work():
    pass


def fail():
    raise ValueError("no")


def at_last():
    TRIES.append(1)
    if len(TRIES) < 3:
        raise ValueError("not yet")


def never():
    raise ValueError("no")


def shown(monitor, *beginnings):
    lines = monitor.exposition().decode().splitlines()
    return {line for line in lines if line.startswith(beginnings) and not line.endswith(" 0")}


def seen(monitor):
    return sum(float(line.split()[-1]) for line in shown(monitor, "jobs_total"))


def ended(name, status, count=1):
    return f'jobs_total{{job_name="{name}",queue="high",status="{status}"}} {count}'


def retried(name, count):
    return f'job_retries_total{{job_name="{name}",queue="high"}} {count}'


def test_jobs_are_counted_as_they_end(run, monitor):
    found = run(lambda actors: actors["work"].send(), lambda actors: actors["never"].send())
    assert found == {ended("work", "succeeded"), ended("never", "failed")}
    assert 'job_duration_seconds_count{job_name="work",queue="high"} 1' in shown(monitor, "job_duration")
    assert shown(monitor, "job_wait_seconds_count") == {'job_wait_seconds_count{queue="high"} 2'}
    assert shown(monitor, "jobs_in_progress", "trackside_sdk_errors") == set()


def test_a_retry_is_no_failure_until_it_was_the_last(run):
    TRIES.clear()
    found = run(lambda actors: actors["fail"].send(), lambda actors: actors["at_last"].send())
    assert found == {
        retried("fail", 2),
        ended("fail", "failed"),
        retried("at_last", 2),
        ended("at_last", "succeeded"),
    }


def test_a_message_that_is_skipped_is_cancelled(run):
    def send_an_old_one(actors):
        actors["work"].send_with_options(max_age=1)
        time.sleep(0.02)

    assert run(send_an_old_one) == {ended("work", "cancelled")}


def test_the_wait_counts_from_the_moment_it_was_due(run, monitor, monkeypatch):
    began = []

    def timed():
        began.append(time.time())

    monkeypatch.setitem(globals(), "work", timed)
    sending = time.time()
    run(lambda actors: actors["timed"].send_with_options(delay=300))
    (line,) = shown(monitor, "job_wait_seconds_sum")
    # It was due 0.3 s after it was sent at the earliest; Dramatiq knows milliseconds.
    assert float(line.split()[-1]) < began[0] - sending - 0.3 + 0.01


def test_without_retries_an_error_is_a_failure(run, monitor):
    found = run(
        lambda actors: actors["work"].send(), lambda actors: actors["never"].send(), on=StubBroker(middleware=[])
    )
    assert found == {ended("work", "succeeded"), ended("never", "failed")}


def test_another_middleware_may_refuse_a_message(run):
    class Refusing(Middleware):
        def before_process_message(self, broker, message):
            raise SkipMessage("no")

    assert run(lambda actors: actors["work"].send(), on=StubBroker(middleware=[Refusing()])) == {
        ended("work", "cancelled")
    }


def test_a_message_belongs_to_the_trace_that_sent_it(run, monkeypatch):
    ids = []

    def traced():
        ids.append(trace.get_current_span().get_span_context().trace_id)

    monkeypatch.setitem(globals(), "work", traced)

    def send_in_a_request(actors):
        with TracerProvider().get_tracer("shop").start_as_current_span("request") as span:
            actors["traced"].send()
        ids.append(span.get_span_context().trace_id)

    run(send_in_a_request)
    assert len(ids) == 2
    assert ids[0] == ids[1] != 0
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_off_is_untouched(broker):
    off = Monitor(environ={"ENABLE_PROMETHEUS_METRICS": "false"})
    before = list(broker.middleware)
    assert off.watch(broker) is broker
    assert broker.middleware == before
