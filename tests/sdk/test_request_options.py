"""The families that the documents of five services ask for, and those of the libraries that services come from."""

import asyncio
import json
import os
import subprocess
import sys
from io import BytesIO, StringIO
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from fastapi import FastAPI
from flask import Flask, abort
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

from trackside import Monitor
from trackside.instruments.measured import family_of
from trackside.instruments.registry import Registry
from trackside.sdk.middleware.asgi import AsgiMiddleware
from trackside.sdk.middleware.wsgi import WsgiMiddleware
from trackside.sdk.request_metrics import RequestFamily, RequestMetrics, RequestMetricsOptions
from trackside.sdk.watch import django as watch_django
from trackside.sdk.watch import flask as watch_flask

preset = RequestMetricsOptions.preset


def series(families):
    """{name of the samples: their label sets}"""
    found = {}
    for family in families:
        for sample in family.samples:
            labels = sample.labels if isinstance(sample.labels, dict) else dict(sample.labels.pairs)
            if not sample.name.endswith("_created"):
                found.setdefault(sample.name, set()).add(frozenset(labels.items()))
    return found


def totals(families):
    """{(name, labels): value} of what is counted, without what takes a different time each time."""
    found = {}
    for family in families:
        for sample in family.samples:
            labels = sample.labels if isinstance(sample.labels, dict) else dict(sample.labels.pairs)
            if sample.name.endswith(("_total", "_count")):
                found[sample.name, frozenset(labels.items())] = sample.value
    return found


def label_names(families):
    return {
        name: {tuple(sorted(dict(labels).keys() - {"le"})) for labels in all_of_them}
        for name, all_of_them in series(families).items()
    }


def bounds(families, name):
    return sorted({float(dict(labels)["le"]) for labels in series(families)[f"{name}_bucket"]})


# --- the documents -----------------------------------------------------------------------------------------------


async def item(request):
    return PlainTextResponse("an item")


async def broken(request):
    raise RuntimeError("broken")


async def talk(socket):
    await socket.accept()
    await socket.close()


def a_service(options):
    registry = Registry()
    routes = [Route("/items/{item}", item), Route("/broken", broken), WebSocketRoute("/ws", talk)]
    app = AsgiMiddleware(Starlette(routes=routes), RequestMetrics(registry, options))
    client = TestClient(app, raise_server_exceptions=False)
    for path in ("/items/1", "/broken"):
        client.get(path)
    with client.websocket_connect("/ws"):
        pass
    return list(registry.collect())


BY_STATUS = ("method", "path", "status")


@pytest.mark.parametrize(
    ("options", "families"),
    [
        # The document has metrics of jobs alone, on the page where requests are counted as for everyone.
        pytest.param(
            RequestMetricsOptions(),
            {"http_requests_total": BY_STATUS, "http_request_duration_seconds_bucket": BY_STATUS},
            id="prompt-backend",
        ),
        pytest.param(
            preset("endpoint"),
            {
                "http_requests_total": ("endpoint", "method", "status_code"),
                "http_request_duration_seconds_bucket": ("endpoint", "method", "status_code"),
                "http_requests_in_progress": ("endpoint", "method"),
            },
            id="e-commerce API",
        ),
        pytest.param(
            preset("instrumentator"),
            {
                "http_requests_total": ("handler", "method", "status"),
                "http_request_duration_seconds_bucket": ("handler", "method"),
                "http_requests_in_progress": (),
            },
            id="ingestion server",
        ),
        # Its alerts: the share of requests that fail, and how long the slowest twentieth takes.
        pytest.param(
            RequestMetricsOptions(),
            {"http_requests_total": BY_STATUS, "http_request_duration_seconds_bucket": BY_STATUS},
            id="Luster AI",
        ),
        pytest.param(
            preset("railgun"),
            {
                "railgun_http_requests_total": BY_STATUS,
                "railgun_http_request_duration_seconds_bucket": ("method", "path"),
                "railgun_http_request_duration_seconds_count": ("method", "path"),
                "railgun_websocket_connections": ("path",),
            },
            id="Rail Gun",
        ),
    ],
)
def test_the_families_of_the_documents(options, families):
    found = label_names(a_service(options))
    assert {name: found.get(name) for name in families} == {name: {labels} for name, labels in families.items()}


def test_the_buckets_of_rail_gun():
    families = a_service(preset("railgun"))
    assert bounds(families, "railgun_http_request_duration_seconds") == [0.01, 0.05, 0.1, 0.5, 1, 5, float("inf")]


def test_everything_of_ours_has_the_prefix():
    families = a_service(RequestMetricsOptions(prefix="railgun_", first_byte=True))
    assert {name for name in series(families) if not name.startswith("railgun_")} == set()


# --- other libraries, the real ones ------------------------------------------------------------------------------

REQUESTS = (("GET", "/items/1"), ("GET", "/items/2"), ("POST", "/items/1"), ("GET", "/nowhere"), ("GET", "/broken"))


def ask(app, *requests):
    async def all_of_them():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            for method, path in requests:
                await client.request(method, path)

    asyncio.run(all_of_them())


def ask_wsgi(app, *requests):
    for method, path in requests:
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "SCRIPT_NAME": "",
            "QUERY_STRING": "",
            "SERVER_NAME": "shop",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.input": BytesIO(),
            "wsgi.url_scheme": "http",
            "wsgi.errors": StringIO(),
            "wsgi.version": (1, 0),
        }
        body = app(environ, lambda status, headers, exc_info=None: None)
        b"".join(body)
        if hasattr(body, "close"):
            body.close()


def fastapi_app(**options):
    app = FastAPI(openapi_url=None, **options)
    app.add_api_route("/items/{item}", lambda item: {"item": item}, methods=["GET", "POST"])
    app.add_api_route("/broken", lambda: 1 / 0)
    return app


def ours(app, name, **changes):
    registry = Registry()
    metrics = RequestMetrics(registry, preset(name, **changes))
    ask(AsgiMiddleware(app, metrics), *REQUESTS)
    return [family for family in registry.collect() if family.name != "trackside_sdk_errors"]


def requests_of(monitor):
    names = monitor.context.requests.names
    return [family_of(one) for one in monitor.registry.measured() if one.description.name in names]


def without(families, name):
    return [family for family in families if not family.name.startswith(name)]


def test_prometheus_fastapi_instrumentator():
    registry, app = CollectorRegistry(), fastapi_app()
    options = {"should_instrument_requests_inprogress": True, "inprogress_name": "http_requests_in_progress"}
    Instrumentator(registry=registry, **options).instrument(app)
    ask(app, *REQUESTS)
    # Theirs in progress are in the registry of the process, whichever it was given.
    theirs = [*registry.collect(), *(one for one in REGISTRY.collect() if one.name == "http_requests_in_progress")]
    mine = without(ours(fastapi_app(), "instrumentator"), "trackside_")
    assert series(mine) == series(theirs)
    assert totals(mine) == totals(theirs)


def test_starlette_exporter():
    exporter = pytest.importorskip("starlette_exporter")
    from starlette_exporter.optional_metrics import request_body_size, response_body_size

    app = fastapi_app()
    app.add_middleware(
        exporter.PrometheusMiddleware,
        app_name="shop",
        prefix="exported",
        group_unhandled_paths=True,
        filter_unhandled_paths=False,
        optional_metrics=[request_body_size, response_body_size],
    )
    ask(app, *REQUESTS)
    theirs = [family for family in REGISTRY.collect() if family.name.startswith("exported_")]
    changes = {"prefix": "exported_", "constant_labels": (("app_name", "shop"),)}
    mine = without(ours(fastapi_app(), "starlette_exporter", **changes), "trackside_")
    assert label_names(mine) == label_names(theirs)
    assert series(mine) == series(theirs)
    requests = "exported_requests_total"
    assert {key: value for key, value in totals(mine).items() if key[0] == requests} == {
        key: value for key, value in totals(theirs).items() if key[0] == requests
    }


def test_prometheus_flask_exporter():
    exporter = pytest.importorskip("prometheus_flask_exporter")

    def flask_app():
        app = Flask("shop")
        app.add_url_rule("/items", "items", lambda: "items", methods=["GET", "POST"])
        app.add_url_rule("/broken", "broken", lambda: 1 / 0)
        app.add_url_rule("/gone", "gone", lambda: abort(410))
        app.add_url_rule("/handled", "handled", lambda: {}["absent"])
        app.register_error_handler(KeyError, lambda error: ("absent", 404))
        return app

    requests = (("GET", "/items"), ("POST", "/items"), ("GET", "/broken"), ("GET", "/gone"), ("GET", "/handled"))
    requests += (("GET", "/broken"),)
    registry, app = CollectorRegistry(), flask_app()
    exporter.PrometheusMetrics(app, registry=registry, path=None)
    ask_wsgi(app, *requests)
    # The version of their library.
    theirs = without(registry.collect(), "flask_exporter_info")
    monitor = Monitor("shop", environ={}, requests=preset("flask_exporter"))
    ask_wsgi(watch_flask.watch(flask_app(), monitor.context), *requests)
    mine = requests_of(monitor)
    assert series(mine) == series(theirs)
    assert totals(mine) == totals(theirs)
    assert totals(mine)["flask_http_request_exceptions_total", frozenset({("method", "GET"), ("status", "500")})] == 2


@pytest.fixture
def django_urls(monkeypatch):
    import django
    from django.conf import settings
    from django.http import Http404, HttpResponse
    from django.test.utils import override_settings
    from django.urls import path

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="shop")
        django.setup(set_prefix=False)

    def absent(request):
        raise Http404

    urls = ModuleType("urls_of_request_options")
    urls.urlpatterns = [
        # A name that is the route, for theirs is the name of the view.
        path("items", lambda request: HttpResponse("items"), name="/items"),
        path("broken", lambda request: 1 / 0, name="/broken"),
        path("absent", absent, name="/absent"),
    ]
    monkeypatch.setitem(sys.modules, urls.__name__, urls)
    with override_settings(ROOT_URLCONF=urls.__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[]):
        yield


def sizes(families):
    """{name of a sample: value} of what is in bytes."""
    found = {}
    for family in families:
        for sample in family.samples:
            if "_body_" in sample.name and not sample.name.endswith("_created"):
                found[sample.name, dict(getattr(sample.labels, "pairs", sample.labels)).get("le")] = sample.value
    return found


def test_django_prometheus(django_urls):
    middleware = pytest.importorskip("django_prometheus.middleware")
    from django.core.handlers.wsgi import WSGIHandler
    from django.test.utils import override_settings

    requests = (("GET", "/items"), ("POST", "/items"), ("GET", "/broken"), ("GET", "/nowhere"), ("GET", "/absent"))
    both = [f"django_prometheus.middleware.Prometheus{where}Middleware" for where in ("Before", "After")]
    with override_settings(MIDDLEWARE=both):
        ask_wsgi(WSGIHandler(), *requests)
    kept = vars(middleware.Metrics.get_instance()).values()
    theirs = [family for one in kept for family in one.collect()]
    monitor = Monitor("shop", environ={}, requests=preset("django_prometheus"))
    ask_wsgi(watch_django.watch(WSGIHandler(), monitor.context), *requests)
    mine = requests_of(monitor)
    names, known = label_names(mine), label_names(theirs)
    assert names == {name: known[name] for name in names}
    assert len(mine) == 13
    for name in (
        "responses_total_by_status_view_method_total",
        "requests_latency_seconds_by_view_method_count",
        "requests_body_total_bytes_bucket",
        "responses_body_total_bytes_bucket",
        "exceptions_total_by_type_total",
        "exceptions_total_by_view_total",
    ):
        name = f"django_http_{name}"
        assert series(mine)[name] == series(theirs)[name]
    counted = {key: value for key, value in totals(theirs).items() if "exceptions" in key[0] or "_body_" in key[0]}
    assert {key: value for key, value in totals(mine).items() if key in counted} == counted
    assert sizes(mine) == sizes(theirs)
    assert bounds(mine, "django_http_requests_latency_seconds_by_view_method") == bounds(
        theirs, "django_http_requests_latency_seconds_by_view_method"
    )


# --- the conventions of OpenTelemetry ----------------------------------------------------------------------------

# The version of HTTP is of no use to a query, and with it each client would have series of its own.
NOT_OURS = {"network_protocol_version"}


def test_fastapis_own_telemetry():
    pytest.importorskip("fastapi.telemetry", reason="this FastAPI is older than its telemetry")
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    ask(fastapi_app(telemetry={"meter_provider": provider, "tracing": False, "logs": False}), *REQUESTS)
    theirs = {}
    for resource in reader.get_metrics_data().resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                name = metric.name.replace(".", "_") + ("_seconds_count" if metric.unit == "s" else "")
                theirs[name] = {
                    tuple(sorted({key.replace(".", "_") for key in point.attributes} - NOT_OURS))
                    for point in metric.data.data_points
                }
    provider.shutdown()
    mine = label_names(ours(fastapi_app(), "otel"))
    assert {name: mine.get(name) for name in theirs} == theirs


CONTRIB = """
import json, sys
sys.path.insert(0, sys.argv[1])
import test_request_options as here
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

reader = here.InMemoryMetricReader()
app = here.fastapi_app()
FastAPIInstrumentor.instrument_app(app, meter_provider=here.MeterProvider(metric_readers=[reader]))
here.ask(app, *here.REQUESTS)
print(json.dumps([
    [metric.name, metric.unit, sorted(point.attributes), list(getattr(point, "explicit_bounds", ()))]
    for resource in reader.get_metrics_data().resource_metrics
    for scope in resource.scope_metrics
    for metric in scope.metrics
    for point in metric.data.data_points
]))
"""


def test_opentelemetrys_instrumentation():
    """In a process of its own, where it is told to use the names of today."""
    pytest.importorskip("opentelemetry.instrumentation.fastapi", reason="not installed")
    done = subprocess.run(
        [sys.executable, "-c", CONTRIB, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "OTEL_SEMCONV_STABILITY_OPT_IN": "http"},
    )
    theirs, bounds_of = {}, {}
    for name, unit, attributes, explicit in json.loads(done.stdout.splitlines()[-1]):
        name = name.replace(".", "_") + {"s": "_seconds", "By": "_bytes"}.get(unit, "")
        labels = tuple(sorted({key.replace(".", "_") for key in attributes} - NOT_OURS))
        theirs.setdefault(name + ("_count" if explicit else ""), set()).add(labels)
        if explicit:
            bounds_of[name] = [*explicit, float("inf")]
    families = ours(fastapi_app(), "otel")
    mine = label_names(families)
    sizes = {f"http_server_{body}_body_size_bytes" for body in ("request", "response")}
    assert sizes <= bounds_of.keys()
    for name, labels in theirs.items():
        assert mine[name] >= labels
    for name, explicit in bounds_of.items():
        assert bounds(families, name) == explicit


def test_sizes_are_counted_by_bucket_whoever_serves():
    options = preset("otel", families=tuple(one for one in preset("otel").families if "size" in one.name))

    async def receives(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 60, "more_body": True})
        await send({"type": "http.response.body", "body": b"x" * 60})

    def reads(environ, start_response):
        start_response("200 OK", [])
        return [b"x" * 60, b"x" * 60]

    expected = {("request", "5.0"): 0, ("request", "10.0"): 1, ("response", "100.0"): 0, ("response", "250.0"): 1}
    for wrapped in (AsgiMiddleware, WsgiMiddleware):
        registry = Registry()
        metrics = RequestMetrics(registry, options)
        if wrapped is AsgiMiddleware:
            TestClient(AsgiMiddleware(receives, metrics)).post("/", content=b"x" * 7)
        else:
            body = {"CONTENT_LENGTH": "7", "wsgi.input": BytesIO(b"x" * 7), "REQUEST_METHOD": "POST", "PATH_INFO": "/"}
            list(WsgiMiddleware(reads, metrics)(body, lambda status, headers, exc_info=None: None))
        found = {}
        for family in registry.collect():
            for sample in family.samples:
                kind = sample.name.split("_")[2]
                found[kind, sample.labels.get("le")] = sample.value
        assert {key: found[key] for key in expected} == expected
        sums = {s.name: s.value for f in registry.collect() for s in f.samples if s.name.endswith("_sum")}
        assert list(sums.values()) == [7, 120]


@pytest.mark.parametrize(
    ("families", "reason"),
    [
        pytest.param([("response_size_histogram", "a", (), ())], "at least one bucket", id="sizes without buckets"),
        pytest.param(
            [("response_size_histogram", "a", (), (1, 2)), ("response_size_histogram", "b", (), (3,))],
            "must be some of",
            id="two with other buckets",
        ),
        pytest.param([("exceptions", "a b", ("exception",), ())], "not a metric name", id="a bad name"),
    ],
)
def test_families_that_make_no_sense_are_refused(families, reason):
    options = RequestMetricsOptions(families=tuple(RequestFamily(*family) for family in families))
    with pytest.raises(ValueError, match=reason):
        RequestMetrics(Registry(), options)


def test_the_scheme_and_the_fault_are_labels_where_a_family_has_them():
    registry = Registry()
    app = AsgiMiddleware(fastapi_app(), RequestMetrics(registry, preset("otel")))

    def behind(scheme):
        """A server of this scheme."""

        async def serve(scope, receive, send):
            await app({**scope, "scheme": scheme}, receive, send)

        return serve

    for scheme in ("http", "https", "gopher", "https"):
        ask(behind(scheme), ("GET", "/items/1"))
    ask(behind("https"), ("GET", "/broken"))
    counted = totals(registry.collect())
    found = {
        (dict(labels).get("http_route"), dict(labels)["url_scheme"], dict(labels).get("error_type")): value
        for (name, labels), value in counted.items()
        if name == "http_server_request_duration_seconds_count"
    }
    assert found == {
        ("/items/{item}", "http", None): 1,
        ("/items/{item}", "https", None): 2,
        ("/items/{item}", "other", None): 1,
        ("/broken", "https", "500"): 1,
    }


def test_requests_in_progress_are_told_apart_by_scheme():
    class Slow:
        def labels(self):
            return "GET", "/slow", "https"

    registry = Registry()
    metrics = RequestMetrics(registry, preset("otel"))
    metrics.in_flight.add(Slow())
    metrics.cell("GET", "/", 500)
    values = {
        labels["url_scheme"]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "http_server_active_requests" and (labels := dict(sample.labels.pairs))
    }
    assert values == {"http": 0, "https": 1}
