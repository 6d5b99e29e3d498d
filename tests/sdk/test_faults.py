"""Whatever breaks in the monitoring, the application answers as if nobody watched."""

import asyncio
import errno
import json
import time
from threading import Event, Thread

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from fastapi.responses import PlainTextResponse, StreamingResponse
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY, Counter
from werkzeug.test import Client

from trackside import Monitor
from trackside.instruments.registry import Registry
from trackside.model.metrics import MetricFamily, MetricType
from trackside.sdk.request_metrics import RequestMetrics, RequestMetricsOptions
from trackside.sdk.surroundings import Layer, Surroundings


@pytest.fixture(autouse=True)
def their_registry_as_it_was():
    """Watching joins prometheus_client's registry, which is one for the process: what breaks here stays here."""
    before = set(REGISTRY._collector_to_names)
    yield
    for collector in set(REGISTRY._collector_to_names) - before:
        REGISTRY.unregister(collector)


def new_fastapi():
    app = FastAPI(openapi_url=None)

    @app.get("/items/{item}")
    async def item(item: int):
        return {"item": item}

    @app.post("/items")
    async def create(body: dict):
        return body

    @app.get("/broken")
    async def broken():
        raise RuntimeError("broken")

    @app.get("/teapot")
    async def teapot():
        raise HTTPException(418, headers={"x-tea": "green"})

    @app.get("/stream")
    async def stream():
        async def parts():
            yield b"a"
            yield b"b"

        return StreamingResponse(parts())

    return app


def new_flask():
    app = Flask("shop")
    app.add_url_rule("/items/<int:item>", "item", lambda item: {"item": item})
    app.add_url_rule("/stream", "stream", lambda: app.response_class(iter([b"a", b"b"])))

    @app.get("/broken")
    def broken():
        raise RuntimeError("broken")

    return app


ASKED = [
    ("GET", "/items/1"),
    ("GET", "/items/x"),
    ("POST", "/items"),
    ("PUT", "/items"),
    ("BREW", "/items/1"),
    ("GET", "/broken"),
    ("GET", "/teapot"),
    ("GET", "/stream"),
    ("GET", "/nowhere"),
    ("HEAD", "/stream"),
]


def answers(app, asked=ASKED):
    async def ask():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            found = []
            for method, path, *rest in asked:
                response = await client.request(
                    method, path, json={"a": 1} if method == "POST" else None, **dict(*rest)
                )
                found.append((response.status_code, response.content, sorted(response.headers.items())))
            return found

    return asyncio.run(ask())


def answers_wsgi(app, asked=ASKED):
    client, found = Client(app), []
    for method, path, *_ in asked:
        response = client.open(path, method=method)
        found.append((response.status_code, response.get_data(), sorted(response.headers.items())))
    return found


def errors(monitor):
    return {
        sample.labels.get("where"): sample.value
        for family in monitor.registry.collect()
        for sample in family.samples
        if sample.name == "trackside_sdk_errors_total"
    }


# --- what is injected ------------------------------------------------------------------------------------------------


class BrokenLock:
    def __enter__(self):
        raise RuntimeError("no lock")

    def __exit__(self, *error):
        return None


def broken_collector(monitor):
    def collect():
        raise RuntimeError("broken collector")

    monitor.registry.add_collector(collect)


def collector_of_nonsense(monitor):
    monitor.registry.add_collector(lambda: [None, 1, "text"])
    monitor.registry.add_collector(lambda: 5)
    monitor.registry.add_collector(lambda: [MetricFamily("odd name", MetricType.GAUGE, "\udc80", [])])


def broken_gauge(monitor):
    monitor.gauge("broken").set_function(lambda: 1 / 0)


def broken_health_check(monitor):
    def check():
        raise OSError(errno.ENOSPC, "No space left on device")

    monitor.health.check("disk", check)


def broken_lock(monitor):
    monitor.context.requests.lock = BrokenLock()


def broken_cells(monitor):
    def cell(*labels):
        raise OSError(errno.ENOSPC, "No space left on device")

    monitor.context.requests.cell = cell


def broken_layer(monitor):
    def wrap(app):
        raise RuntimeError("broken layer")

    Surroundings.of(monitor.context).add(Layer(wrap, wrap))


def broken_endpoints(monitor):
    def broken(*anything, **more):
        raise RuntimeError("broken endpoints")

    monitor.context.endpoints.answer = broken
    monitor.context.endpoints.answer_sync = broken


FAULTS = {
    "a broken collector": broken_collector,
    "a collector that gives nonsense": collector_of_nonsense,
    "a gauge that raises": broken_gauge,
    "a health check without a disk": broken_health_check,
    "a lock that raises": broken_lock,
    "no space for another cell": broken_cells,
    "a layer that raises": broken_layer,
    "endpoints that raise": broken_endpoints,
}
each_fault = pytest.mark.parametrize("break_it", FAULTS.values(), ids=FAULTS)


@each_fault
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_fastapi_application_answers_as_ever(break_it, when):
    monitor, app = Monitor("shop", environ={}), new_fastapi()
    if when == "before":
        break_it(monitor)
    monitor.watch(app)
    if when == "after":
        answers(app, [("GET", "/items/1")])
        break_it(monitor)
    assert answers(app) == answers(new_fastapi())


@each_fault
def test_a_flask_application_answers_as_ever(break_it):
    monitor, app = Monitor("shop", environ={}), new_flask()
    break_it(monitor)
    monitor.watch(app)
    assert answers_wsgi(app) == answers_wsgi(new_flask())


@pytest.mark.parametrize("break_it", [broken_collector, collector_of_nonsense, broken_gauge])
def test_the_scrape_shows_what_is_left(break_it):
    monitor, app = Monitor("shop", environ={}), new_fastapi()
    monitor.watch(app)
    monitor.counter("orders_total").inc()
    break_it(monitor)
    ((status, body, _),) = answers(app, [("GET", "/metrics")])
    assert status == 200
    assert b"\norders_total 1\n" in body


def test_a_collector_that_hangs_holds_up_no_request():
    monitor, app = Monitor("shop", environ={}), new_flask()
    let_go, asked = Event(), Event()

    def hang():
        asked.set()
        let_go.wait(60)
        return []

    monitor.registry.add_collector(hang)
    monitor.watch(app)
    scrape = Thread(target=lambda: Client(app).get("/metrics"))
    scrape.start()
    try:
        assert asked.wait(60)
        began = time.monotonic()
        assert answers_wsgi(app) == answers_wsgi(new_flask())
        monitor.counter("orders_total").inc()
        assert time.monotonic() - began < 30
        assert scrape.is_alive()
    finally:
        let_go.set()
        scrape.join()


def test_a_health_check_that_hangs_is_said_in_time_and_holds_up_no_request():
    let_go = Event()
    monitor, app = Monitor("shop", environ={}), new_fastapi()
    monitor.health.check("db", lambda: let_go.wait(60), timeout_s=0.2)
    monitor.watch(app)
    try:
        began = time.monotonic()
        assert answers(app) == answers(new_fastapi())
        ((status, body, _),) = answers(app, [("GET", "/health/ready")])
        assert answers(app) == answers(new_fastapi())
        assert time.monotonic() - began < 30
    finally:
        let_go.set()
    assert (status, json.loads(body)) == (
        503,
        {"status": "not_ready", "db": False, "errors": {"db": "no answer within 0.2 s"}},
    )


def test_a_server_that_cannot_be_reached_holds_up_nothing():
    environ = {"PROMETHEUS_REMOTE_WRITE_URL": "http://127.0.0.1:9/api/v1/write", "TRACKSIDE_URL": "http://127.0.0.1:9"}
    monitor, app = Monitor("shop", environ=environ), new_fastapi()
    monitor.watch(app)
    began = time.monotonic()
    assert answers(app) == answers(new_fastapi())
    monitor.flush(0.5)
    assert time.monotonic() - began < 30
    assert answers(app) == answers(new_fastapi())
    monitor._stop_pushing()


def test_an_address_to_push_to_that_is_none_is_not_the_applications_problem():
    app = new_fastapi()
    Monitor("shop", environ={"PROMETHEUS_REMOTE_WRITE_URL": "::no address::"}).watch(app)
    assert answers(app) == answers(new_fastapi())


def test_a_template_hook_that_raises_costs_nothing_but_the_count():
    def hook(scope):
        raise KeyError("tenant")

    monitor = Monitor("shop", requests=RequestMetricsOptions(path_template=hook), environ={})
    app = new_fastapi()
    monitor.watch(app)
    assert answers(app) == answers(new_fastapi())
    assert errors(monitor)["request"] > 0


def test_a_taken_name_is_said_where_it_is_asked_for_and_breaks_nothing():
    registry = Registry()
    registry.gauge("http_requests_total_of_mine")
    monitor, app = Monitor("shop", registry=registry, environ={}), new_fastapi()
    monitor.counter("orders_total")
    with pytest.raises(ValueError, match="name is taken"):
        monitor.gauge("orders_total")
    monitor.watch(app)
    assert answers(app) == answers(new_fastapi())


def test_the_names_of_requests_may_be_taken_by_prometheus_client():
    theirs = Counter("http_requests_total", "Theirs.", ["route"])
    try:
        theirs.labels("/").inc(7)
        monitor, app = Monitor("shop", environ={}), new_fastapi()
        monitor.watch(app)
        assert answers(app) == answers(new_fastapi())
        ((status, body, _),) = answers(app, [("GET", "/metrics")])
        assert status == 200
        assert body.count(b"# TYPE http_requests_total counter") == 1
    finally:
        REGISTRY.unregister(theirs)


# --- what a router may leave in the scope ----------------------------------------------------------------------------


class Raising:
    """Every attribute raises, each in its own way."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    @property
    def path(self):
        raise ZeroDivisionError

    def __eq__(self, other):
        raise RuntimeError("compared")

    def __hash__(self):
        raise RuntimeError("hashed")

    def __bool__(self):
        raise RuntimeError("asked for truth")


class OddPath:
    path = 5


class PathOfBytes:
    path = b"/\xff"


ODD = [Raising(), OddPath(), PathOfBytes(), object(), 5, b"x", "", "\udc80", {"a": 1}, [], lambda: None]


@pytest.mark.parametrize(
    "key", ["route", "fastapi", "endpoint", "path_template", "router", "app_root_path", "root_path"]
)
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
def test_odd_things_in_the_scope_are_none_of_the_applications_business(key, odd):
    async def app(scope, receive, send):
        scope[key] = odd
        await PlainTextResponse("served")(scope, receive, send)

    monitor = Monitor("shop", environ={})
    watched = monitor.watch(app)
    assert answers(watched, [("GET", "/a"), ("GET", "/b")]) == answers(app, [("GET", "/a"), ("GET", "/b")])
    monitor.exposition()


TOKEN = st.text(st.sampled_from("!#$%&'*+-.^_`|~09azAZ"), min_size=1, max_size=12)
VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20)
PATH = st.text(st.characters(exclude_categories=("Cs",)), max_size=30).map(lambda text: f"/{text}")


async def asked_raw(app, method, path, headers, query):
    sent, waiting = [], [{"type": "http.request", "body": b"abc", "more_body": False}]

    async def receive():
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": headers,
        "client": None,
        "server": None,
    }
    await app(scope, receive, send)
    return sent


BARE, WATCHED = new_fastapi(), new_fastapi()
Monitor("shop", environ={}, metrics_path="", health_path="").watch(WATCHED)


@settings(max_examples=150, deadline=None)
@given(
    TOKEN | st.sampled_from(["GET", "HEAD", "POST"]),
    PATH | st.sampled_from([path for _, path in ASKED if path != "/broken"]),
    st.lists(st.tuples(TOKEN, VALUE), max_size=4),
    st.binary(max_size=20),
)
def test_whatever_is_asked_the_answer_is_that_of_the_unwatched_application(method, path, headers, query):
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]

    async def both():
        return [await asked_raw(app, method, path, list(raw), query) for app in (BARE, WATCHED)]

    bare, watched = asyncio.run(both())
    assert watched == bare


def test_without_room_for_another_series_requests_share_one():
    registry = Registry()
    metrics = RequestMetrics(registry, RequestMetricsOptions(max_series=2))
    labels = {
        tuple(key) for number in range(50) if metrics.cell("GET", f"/{number}", 200) for key, _ in metrics.cells()
    }
    assert len(labels) == 3
