import asyncio
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from rq import Queue, SimpleWorker
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from trackside.sdk.logs.fields import current_fields
from trackside.sdk.traces.carriers import (
    KEY,
    arq_deserialized,
    arq_ran,
    arq_serialized,
    celery_published,
    celery_ran,
    continued,
    inject_into,
    rq_enqueued,
    rq_performed,
)

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
seen = []


def work(monitor_name="worker"):
    """Of a job: asks a model, and leaves what it knew of its request."""
    from trackside import Monitor

    seen.append(dict(current_fields()))
    with Monitor(monitor_name, environ={}).ai("claude-sonnet") as call:
        call.tokens(input=1, output=1)


def test_what_is_injected_is_extracted(monitor, spans):
    with monitor.span("request"), monitor.bind(request_id="req-abc"):
        carrier = monitor.inject()
    with monitor.extract(carrier, "job"):
        assert current_fields() == {"request_id": "req-abc"}
        with monitor.span("inner"):
            pass
    assert set(carrier) == {"traceparent", "x-request-id"}
    request, job, inner = spans.named("request"), spans.named("job"), spans.named("inner")
    assert job.parent.span_id == request.context.span_id
    assert job.kind.name == "CONSUMER"
    assert inner.parent.span_id == job.context.span_id
    assert len({span.context.trace_id for span in (request, job, inner)}) == 1
    assert current_fields() == {}


def test_without_a_name_what_is_inside_is_a_child_of_the_sender(monitor, spans):
    with continued({"traceparent": TRACEPARENT}), monitor.span("inner"):
        pass
    assert f"{spans.named('inner').parent.span_id:016x}" == "b7ad6b7169203331"


def test_a_worker_that_others_instrument_is_not_torn_from_their_span(monitor, spans):
    carrier = {"traceparent": TRACEPARENT}
    with continued(carrier), monitor.span("theirs"), continued(carrier), monitor.span("inner"):
        pass
    assert spans.named("inner").parent.span_id == spans.named("theirs").context.span_id


def test_a_job_that_fails_marks_its_span(monitor, spans):
    with pytest.raises(ValueError), continued({}, "job"):
        raise ValueError
    assert spans.named("job").events[0].name == "exception"


@given(
    st.dictionaries(
        st.sampled_from(["traceparent", "tracestate", "baggage", "x-request-id", "other"]),
        st.text() | st.binary() | st.integers() | st.none() | st.just("x" * 100_000),
    )
    | st.none()
    | st.text()
)
def test_whatever_comes_out_of_a_queue_the_job_runs(carrier):
    with continued(carrier):
        ran = True
    assert ran


def test_nothing_to_carry_is_nothing_in_the_job():
    job, headers, data = SimpleNamespace(meta={}), {}, {"k": {}}
    rq_enqueued(job)
    celery_published(headers)
    celery_published(None)
    inject_into(headers)
    assert (job.meta, headers, arq_serialized(data)) == ({}, {}, {"k": {}})


@pytest.fixture
def signals():
    """RQ's workers take the signals of their process."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_one_trace_from_the_request_through_the_queue_to_the_model(monitor, spans, signals, redis_url):
    seen.clear()
    queue = monitor.watch(Queue("carriers", connection=Redis.from_url(redis_url)))

    def resize(request):
        monitor.bind(request_id="req-abc")
        queue.enqueue(work)
        return PlainTextResponse("queued")

    client = TestClient(monitor.watch(Starlette(routes=[Route("/resize", resize)])))
    client.get("/resize", headers={"traceparent": TRACEPARENT})
    monitor.watch(SimpleWorker([queue], connection=queue.connection)).work(burst=True)
    request, job, model = spans.named("GET /resize"), spans.named(f"{__name__}.work"), spans.named("chat claude-sonnet")
    assert job.parent.span_id == request.context.span_id
    assert model.parent.span_id == job.context.span_id
    assert {f"{span.context.trace_id:032x}" for span in (request, job, model)} == {TRACEPARENT[3:35]}
    assert seen == [{"request_id": "req-abc"}]


def test_a_job_of_rq_without_a_trace_is_its_own(monitor, spans):
    with rq_performed(SimpleNamespace(meta={}, func_name="work")):
        pass
    assert spans.named("work").parent is None


@pytest.mark.parametrize("where", ["attribute", "headers"])
def test_celery_carries_it_in_headers(monitor, spans, where):
    headers = {}
    with monitor.span("request"):
        celery_published(headers)
    request = SimpleNamespace(headers=None, **headers) if where == "attribute" else SimpleNamespace(headers=headers)
    with celery_ran(SimpleNamespace(request=request, name="tasks.work")):
        pass
    assert KEY in headers
    assert spans.named("tasks.work").parent.span_id == spans.named("request").context.span_id


def test_a_task_of_celery_without_headers(monitor, spans):
    with celery_ran(SimpleNamespace(request=SimpleNamespace(), name="work")):
        pass
    assert spans.named("work").parent is None


def test_arq_carries_it_beside_the_arguments(monitor, spans):
    with monitor.span("request"):
        data = arq_serialized({"f": "resize", "k": {"size": 3}})
        result = arq_serialized({"r": "the result of a job"})
    assert data["k"] == {"size": 3}
    assert KEY not in result

    async def run():
        arq_deserialized(data)
        with arq_ran("resize"):
            pass

    asyncio.run(run())
    assert spans.named("resize").parent.span_id == spans.named("request").context.span_id


WORKER = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from trackside.sdk.traces.carriers import continued, inject
from trackside.sdk.traces.current import current_trace

assert "opentelemetry.propagate" not in sys.modules
with TracerProvider(shutdown_on_exit=False).get_tracer("shop").start_as_current_span("request"):
    carrier, own = inject(), current_trace()
sys.modules.pop("opentelemetry.propagate", None)
with continued(carrier):
    print(carrier.get("traceparent", "")[3:35] == own[0], current_trace() == own)
"""


@pytest.mark.parametrize(
    ("propagators", "expected"),
    [
        pytest.param("tracecontext,baggage", "True True", id="as usual"),
        pytest.param("nobody_has_it", "False False", id="one that is not installed"),
    ],
)
def test_who_traces_and_reads_no_headers_carries_the_trace_all_the_same(propagators, expected):
    environment = {**os.environ, "OTEL_PROPAGATORS": propagators}
    done = subprocess.run(
        [sys.executable, "-c", WORKER], capture_output=True, text=True, env=environment, timeout=100, check=False
    )
    assert done.stdout.strip() == expected, done.stderr
