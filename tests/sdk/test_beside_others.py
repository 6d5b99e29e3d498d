"""One application with every other instrumentation that it may have: each counts each request once."""

import asyncio
import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import sentry_sdk
from fastapi import APIRouter, FastAPI, HTTPException
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest
from prometheus_fastapi_instrumentator import Instrumentator
from sentry_sdk.transport import Transport
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from trackside import Monitor

REQUESTS = ("/items/1", "/items/2", "/inner/leaf/3", "/broken", "/nowhere")


@pytest.fixture(autouse=True)
def their_registry_as_it_was():
    """Watching joins prometheus_client's registry, which is one for the process: what breaks here stays here."""
    before = set(REGISTRY._collector_to_names)
    yield
    for collector in set(REGISTRY._collector_to_names) - before:
        REGISTRY.unregister(collector)


def new_app(**options):
    app = FastAPI(openapi_url=None, **options)
    router = APIRouter(prefix="/inner")

    @app.get("/items/{item}")
    async def item(item: int):
        return {"item": item}

    @router.get("/leaf/{leaf}")
    def leaf(leaf: int):
        return {"leaf": leaf}

    @app.get("/broken")
    async def broken():
        raise RuntimeError("broken")

    @app.get("/teapot")
    async def teapot():
        raise HTTPException(418)

    app.include_router(router)
    return app


def ask(app, *paths):
    async def all_of_them():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(all_of_them())


OURS = {
    ("/items/{item}", "200"): 2,
    ("/inner/leaf/{leaf}", "200"): 1,
    ("/broken", "500"): 1,
    ("(unmatched)", "404"): 1,
}


def ours(monitor):
    return {
        (sample.labels.get("path"), sample.labels.get("status")): sample.value
        for family in monitor.registry.collect()
        for sample in family.samples
        if sample.name == "http_requests_total"
    }


def by_label(registry, name, *labels):
    return {
        tuple(sample.labels[label] for label in labels): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == name
    }


def by_route(reader):
    """{(route, status): count} of the durations that OpenTelemetry recorded."""
    data = reader.get_metrics_data()
    found = {}
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name != "http.server.request.duration" and metric.name != "http.server.duration":
                    continue
                for point in metric.data.data_points:
                    route = point.attributes.get("http.route", point.attributes.get("http.target", ""))
                    status = point.attributes.get(
                        "http.response.status_code", point.attributes.get("http.status_code", "")
                    )
                    key = (metric.name, route, str(status))
                    found[key] = found.get(key, 0) + point.count
    return found


class Kept(Transport):
    def __init__(self, options=None):
        super().__init__(options)
        self.events = []
        self.transactions = []

    def capture_envelope(self, envelope):
        self.events.extend(event for item in envelope.items if (event := item.get_event()) is not None)
        self.transactions.extend(
            event["transaction"] for item in envelope.items if (event := item.get_transaction_event()) is not None
        )


@contextmanager
def sentry():
    kept = Kept()
    # Without what patches all applications of this process for good.
    alone = {"default_integrations": False, "auto_enabling_integrations": False}
    sentry_sdk.init(dsn="http://key@localhost/1", transport=kept, **alone)
    try:
        yield kept
    finally:
        # One without an address counts as set up, to whoever asks later in this process.
        sentry_sdk.get_client().close()
        sentry_sdk.get_global_scope().set_client(None)


@pytest.fixture
def provider():
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    yield provider, reader
    provider.shutdown()


def test_beside_fastapis_own_telemetry(provider):
    pytest.importorskip("fastapi.telemetry", reason="this FastAPI is older than its telemetry")
    meter_provider, reader = provider
    app = new_app(telemetry={"meter_provider": meter_provider, "tracing": False, "logs": False})
    monitor = Monitor("shop", environ={})
    monitor.watch(app)
    ask(app, *REQUESTS)
    assert ours(monitor) == OURS
    theirs = by_route(reader)
    assert theirs[("http.server.request.duration", "/items/{item}", "200")] == 2
    assert sum(theirs.values()) == len(REQUESTS)


@pytest.mark.parametrize("watched_first", [True, False], ids=["watched first", "watched last"])
def test_beside_opentelemetrys_instrumentation(provider, watched_first):
    instrumentation = pytest.importorskip("opentelemetry.instrumentation.fastapi", reason="not installed")
    meter_provider, reader = provider
    app, monitor = new_app(), Monitor("shop", environ={})
    if watched_first:
        monitor.watch(app)
    instrumentation.FastAPIInstrumentor.instrument_app(app, meter_provider=meter_provider)
    if not watched_first:
        monitor.watch(app)
    try:
        ask(app, *REQUESTS)
    finally:
        instrumentation.FastAPIInstrumentor.uninstrument_app(app)
    assert ours(monitor) == OURS
    theirs = by_route(reader)
    assert sum(theirs.values()) == len(REQUESTS)


@pytest.mark.parametrize("watched_first", [True, False], ids=["watched first", "watched last"])
def test_beside_opentelemetrys_instrumentation_mounts_keep_their_templates_and_pages_answer(watched_first):
    instrumentation = pytest.importorskip("opentelemetry.instrumentation.fastapi", reason="not installed")
    kept = InMemorySpanExporter()
    traces = TracerProvider(shutdown_on_exit=False)
    traces.add_span_processor(SimpleSpanProcessor(kept))
    app, sub, monitor = new_app(), new_app(), Monitor("shop", environ={})
    app.mount("/sub", sub)
    app.mount("/v1", Starlette(routes=[Route("/users/{user}", lambda request: PlainTextResponse("ok"))]))
    steps = [
        lambda: monitor.watch(app),
        lambda: instrumentation.FastAPIInstrumentor.instrument_app(app, tracer_provider=traces),
    ]
    for step in steps if watched_first else reversed(steps):
        step()
    try:
        answers = ask(app, "/items/1", "/sub/items/1", "/sub/inner/leaf/1", "/v1/users/1", "/metrics", "/health")
    finally:
        instrumentation.FastAPIInstrumentor.uninstrument_app(app)
        traces.shutdown()
    assert [answer.status_code for answer in answers] == [200] * 6
    paths = ("/items/{item}", "/sub/items/{item}", "/sub/inner/leaf/{leaf}", "/v1/users/{user}")
    assert ours(monitor) == {(path, "200"): 1 for path in paths}
    assert "http_requests_total" in answers[4].text
    theirs = [span.name for span in kept.get_finished_spans() if span.kind.name == "SERVER"]
    assert theirs[:4] == ["GET /items/{item}", "GET /sub", "GET /sub", "GET /v1"]


@pytest.mark.parametrize("watched_first", [True, False], ids=["watched first", "watched last"])
def test_beside_the_instrumentator(watched_first):
    app, monitor, registry = new_app(), Monitor("shop", environ={}), CollectorRegistry()
    if watched_first:
        monitor.watch(app)
    Instrumentator(registry=registry).instrument(app)
    if not watched_first:
        monitor.watch(app)
    ask(app, *REQUESTS)
    assert ours(monitor) == OURS
    theirs = by_label(registry, "http_requests_total", "handler", "status")
    assert theirs == {
        ("/items/{item}", "2xx"): 2,
        ("/inner/leaf/{leaf}", "2xx"): 1,
        ("/broken", "5xx"): 1,
        ("none", "4xx"): 1,
    }


def test_the_instrumentators_own_metrics_page_stays_its_own():
    app, monitor, registry = new_app(), Monitor("shop", environ={}), CollectorRegistry()
    Instrumentator(registry=registry).instrument(app).expose(app)
    monitor.watch(app)
    ask(app, *REQUESTS)
    (page,) = ask(app, "/metrics")
    assert 'http_requests_total{handler="/items/{item}"' in page.text
    assert page.text.count("# TYPE http_requests_total counter") == 1


@pytest.mark.parametrize("watched_first", [True, False], ids=["watched first", "watched last"])
def test_beside_starlette_exporter(watched_first):
    exporter = pytest.importorskip("starlette_exporter", reason="not installed")
    app, monitor = new_app(), Monitor("shop", environ={})
    if watched_first:
        monitor.watch(app)
    prefix = f"beside_{watched_first}".lower()
    app.add_middleware(exporter.PrometheusMiddleware, prefix=prefix, group_paths=True)
    if not watched_first:
        monitor.watch(app)
    ask(app, *REQUESTS)
    assert ours(monitor) == OURS
    theirs = by_label(REGISTRY, f"{prefix}_requests_total", "path", "status_code")
    assert theirs[("/items/{item}", "200")] == 2
    assert theirs[("/broken", "500")] == 1


def test_a_name_of_theirs_is_on_our_page_once():
    theirs = Counter("beside_orders_total", "Theirs.")
    try:
        theirs.inc(3)
        monitor = Monitor("shop", environ={})
        monitor.counter("beside_orders_total", "Ours.").inc(5)
        text = monitor.exposition().decode()
        assert text.count("# TYPE beside_orders_total counter") == 1
        assert "\nbeside_orders_total 5\n" in text
        assert generate_latest(REGISTRY).decode().count("# TYPE beside_orders_total counter") == 1
    finally:
        REGISTRY.unregister(theirs)


def wrapped_by_sentry(app):
    from sentry_sdk.integrations.asgi import SentryAsgiMiddleware

    app.add_middleware(SentryAsgiMiddleware)


def set_sentry_up(app):
    """As applications do. It patches the classes of the frameworks it finds, and so do they all from then on."""
    from sentry_sdk.integrations.fastapi import FastApiIntegration
    from sentry_sdk.integrations.starlette import StarletteIntegration

    sentry_sdk.init(
        dsn="http://key@localhost/1",
        transport=Kept,
        traces_sample_rate=1.0,
        integrations=[StarletteIntegration(), FastApiIntegration()],
        # It would import everything that is installed here.
        auto_enabling_integrations=False,
    )


def instrument_with_opentelemetry(app):
    """As its command does, for applications made from then on."""
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    FastAPIInstrumentor().instrument()


@pytest.mark.parametrize("watched_first", [True, False], ids=["watched first", "watched last"])
def test_beside_sentrys_middleware(watched_first):
    app, monitor = new_app(), Monitor("shop", environ={})
    if watched_first:
        monitor.watch(app)
    wrapped_by_sentry(app)
    if not watched_first:
        monitor.watch(app)
    with sentry() as kept:
        ask(app, *REQUESTS)
        sentry_sdk.flush()
    assert ours(monitor) == OURS
    assert [event["exception"]["values"][-1]["value"] for event in kept.events] == ["broken"]


PATCHING = """
import json, sys
import sentry_sdk
from sentry_sdk.transport import Transport
from fastapi import FastAPI
from trackside import Monitor
sys.path.insert(0, sys.argv[2])
import test_beside_others as here

order, monitor = sys.argv[1].split(), Monitor("shop", environ={})
for step in order:
    if step == "app":
        import fastapi
        here.FastAPI = fastapi.FastAPI
        app = here.new_app()
    elif step == "watch":
        monitor.watch(app)
    elif step == "sentry":
        here.set_sentry_up(None)
    else:
        here.instrument_with_opentelemetry(None)
answers = here.ask(app, *here.REQUESTS)
kept = getattr(sentry_sdk.get_client(), "transport", None)
errors = [event["exception"]["values"][-1]["value"] for event in getattr(kept, "events", ())]
transactions = getattr(kept, "transactions", ())
print(json.dumps([
    [answer.status_code for answer in answers],
    sorted([*key, value] for key, value in here.ours(monitor).items()),
    errors,
    sorted(transactions),
]))
"""


@pytest.mark.parametrize("order", ["sentry app watch", "app watch sentry", "otel app watch", "sentry otel app watch"])
def test_beside_those_that_patch_the_frameworks(order):
    """In a process of its own, which is patched for good."""
    if "otel" in order:
        pytest.importorskip("opentelemetry.instrumentation.fastapi", reason="not installed")
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", PATCHING, order, here], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    statuses, counted, errors, transactions = json.loads(done.stdout)
    assert statuses == [200, 200, 200, 500, 404]
    assert counted == sorted([*key, value] for key, value in OURS.items())
    if "sentry" in order:
        assert errors == ["broken"]
        assert len(transactions) == len(REQUESTS)


def test_all_of_them_at_once(provider):
    meter_provider, reader = provider
    app, monitor, registry = new_app(), Monitor("shop", environ={}), CollectorRegistry()
    Instrumentator(registry=registry).instrument(app)
    wrapped_by_sentry(app)
    try:
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    except ImportError:
        FastAPIInstrumentor = None
    monitor.watch(app)
    if FastAPIInstrumentor is not None:
        FastAPIInstrumentor.instrument_app(app, meter_provider=meter_provider)
    with sentry() as kept:
        answers = ask(app, *REQUESTS, "/teapot")
        sentry_sdk.flush()
    bare = ask(new_app(), *REQUESTS, "/teapot")
    assert [(answer.status_code, answer.content) for answer in answers] == [
        (answer.status_code, answer.content) for answer in bare
    ]
    assert ours(monitor) == OURS | {("/teapot", "418"): 1}
    assert sum(by_label(registry, "http_requests_total", "handler", "status").values()) == len(REQUESTS) + 1
    assert len(kept.events) == 1
    if FastAPIInstrumentor is not None:
        assert sum(by_route(reader).values()) == len(REQUESTS) + 1
