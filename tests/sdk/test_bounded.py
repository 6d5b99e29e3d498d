"""Whatever is asked for makes a bounded number of series, and whoever counts at once loses nothing."""

import asyncio
import sys
from io import BytesIO, StringIO
from threading import Barrier, Thread

import httpx
import pytest
from fastapi import FastAPI
from flask import Flask
from litestar import Litestar, asgi
from litestar import get as litestar_get
from litestar.response import Redirect
from litestar.types import Receive, Scope, Send
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Host, Mount, Route

from trackside import Monitor
from trackside.instruments.registry import Registry
from trackside.sdk.middleware.asgi import AsgiMiddleware
from trackside.sdk.request_metrics import RequestMetrics

MANY = 1_000


def ok(request):
    return PlainTextResponse("ok")


def away(request):
    return RedirectResponse("/items/1/")


def starlette_routes():
    return [
        Route("/items/{item}", ok),
        Route("/slash/{item}/", ok),
        Route("/away/{item}", away),
        Mount("/t/{tenant}", routes=[Route("/info", ok)]),
        Mount("/app/{tenant}", app=Starlette(routes=[Route("/info", ok)])),
        Host("{tenant}.shops.org", app=Starlette(routes=[Mount("/part/{part}", routes=[Route("/{info}", ok)])])),
    ]


def starlette_app():
    return Starlette(routes=starlette_routes())


def fastapi_app():
    app = FastAPI(openapi_url=None)
    app.router.routes.extend(starlette_routes())
    return app


def litestar_app():
    @litestar_get(["/items/{item:str}", "/t/{tenant:str}/info"])
    async def show() -> str:
        return "ok"

    @litestar_get("/away/{item:str}")
    async def redirect() -> Redirect:
        return Redirect("/items/1")

    @asgi("/app", is_mount=True, copy_scope=True)
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        await bare_asgi(scope, receive, send)

    return Litestar([show, redirect, mounted], logging_config=None, openapi_config=None)


async def bare_asgi(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def flask_app():
    app = Flask("shop")
    app.add_url_rule("/items/<item>", "item", lambda item: "ok", methods=["GET", "POST"])
    app.add_url_rule("/slash/<item>/", "slash", lambda item: "ok")
    app.add_url_rule("/t/<tenant>/info", "tenant", lambda tenant: "ok")
    return app


def bare_wsgi(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


PATHS = {
    "paths": lambda number: ("GET", f"/made/up/{number}.php", {}),
    "values": lambda number: ("GET", f"/items/{number}", {}),
    "methods": lambda number: (f"M{number}", "/items/1", {}),
    "tenants of a mount": lambda number: ("GET", f"/t/acme{number}/info", {}),
    "tenants of a mounted app": lambda number: ("GET", f"/app/acme{number}/info", {}),
    "what a mount has not": lambda number: ("GET", f"/t/acme{number}/nothing{number}", {}),
    "slashes put right": lambda number: ("GET", f"/slash/{number}", {}),
    "redirects": lambda number: ("GET", f"/away/{number}", {}),
    "tenants of a host name": lambda number: ("GET", f"/part/{number}/{number}", {"host": f"acme{number}.shops.org"}),
    "hosts": lambda number: ("GET", "/items/1", {"host": f"h{number}.example.org"}),
}
KINDS = pytest.mark.parametrize("kind", PATHS, ids=list(PATHS))


def series(monitor):
    return {
        sample.labels
        for family in monitor.registry.collect()
        if family.name == "http_requests_total"
        for sample in family.samples
    }


def requests_counted(monitor):
    return sum(
        sample.value
        for family in monitor.registry.collect()
        for sample in family.samples
        if sample.name == "http_requests_total"
    )


async def drive(app, requests):
    """Straight to the application: a thousand requests in a fraction of a second."""

    async def send(message):
        pass

    for method, path, headers in requests:
        waiting = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive(waiting=waiting):
            # Nobody leaves before the end.
            return waiting.pop() if waiting else await asyncio.get_running_loop().create_future()

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", headers.get("host", "shop").encode())],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        await app(scope, receive, send)


def drive_wsgi(app, requests):
    for method, path, headers in requests:
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "SCRIPT_NAME": "",
            "QUERY_STRING": "",
            "SERVER_NAME": "shop",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": headers.get("host", "shop"),
            "wsgi.input": BytesIO(),
            "wsgi.url_scheme": "http",
            "wsgi.errors": StringIO(),
            "wsgi.version": (1, 0),
        }
        body = app(environ, lambda status, headers, exc_info=None: None)
        assert b"".join(body) is not None
        if hasattr(body, "close"):
            body.close()


@KINDS
@pytest.mark.parametrize(
    "make",
    [fastapi_app, starlette_app, litestar_app, lambda: bare_asgi],
    ids=["FastAPI", "Starlette", "Litestar", "bare ASGI"],
)
def test_a_thousand_asgi_requests_are_one_series(make, kind):
    monitor = Monitor("shop", environ={})
    app = monitor.watch(make())
    asyncio.run(drive(app, [PATHS[kind](number) for number in range(MANY)]))
    assert len(series(monitor)) == 1
    assert requests_counted(monitor) == MANY


@KINDS
@pytest.mark.parametrize("make", [flask_app, lambda: bare_wsgi], ids=["Flask", "bare WSGI"])
def test_a_thousand_wsgi_requests_are_one_series(make, kind):
    monitor = Monitor("shop", environ={})
    drive_wsgi(monitor.watch(make()), [PATHS[kind](number) for number in range(MANY)])
    assert len(series(monitor)) == 1
    assert requests_counted(monitor) == MANY


@pytest.fixture(scope="module")
def django_settings():
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="shop", ROOT_URLCONF="django_urls_of_bounded")
        django.setup(set_prefix=False)
    return settings


@pytest.fixture
def django_urls(django_settings, monkeypatch):
    from types import ModuleType

    from django.http import HttpResponse, HttpResponseRedirect
    from django.test.utils import override_settings
    from django.urls import path

    def answer(request, **values):
        return HttpResponse("ok")

    urls = ModuleType("django_urls_of_bounded")
    urls.urlpatterns = [
        path("items/<str:item>", answer),
        path("slash/<str:item>/", answer),
        path("t/<str:tenant>/info", answer),
        path("away/<str:item>", lambda request, item: HttpResponseRedirect("/items/1")),
    ]
    monkeypatch.setitem(sys.modules, urls.__name__, urls)
    with override_settings(
        ROOT_URLCONF=urls.__name__,
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        APPEND_SLASH=True,
    ):
        yield


@KINDS
@pytest.mark.parametrize("asynchronous", [False, True], ids=["WSGI", "ASGI"])
def test_a_thousand_django_requests_are_one_series(django_urls, kind, asynchronous):
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler

    monitor = Monitor("shop", environ={})
    # Each request of the asynchronous handler goes through a thread.
    many = MANY // 10 if asynchronous else MANY
    if asynchronous:
        app = monitor.watch(ASGIHandler())
        asyncio.run(drive(app, [PATHS[kind](number) for number in range(many)]))
    else:
        drive_wsgi(monitor.watch(WSGIHandler()), [PATHS[kind](number) for number in range(many)])
    assert len(series(monitor)) == 1
    assert requests_counted(monitor) == many


# --- many threads ----------------------------------------------------------------------------------------------------

THREADS, EACH = 100, 300


@pytest.fixture
def hurry():
    """The interpreter changes threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(work):
    """`work(number of the thread)` in all threads at once."""
    barrier = Barrier(THREADS)

    def run(number):
        barrier.wait()
        work(number)

    threads = [Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def total(registry, name):
    return sum(sample.value for family in registry.collect() for sample in family.samples if sample.name == name)


def test_no_update_of_a_counter_is_lost(hurry):
    registry = Registry()
    counter = registry.counter("orders_total")
    together(lambda number: [counter.inc() for _ in range(EACH)])
    assert total(registry, "orders_total") == THREADS * EACH


def test_no_update_of_a_counter_with_labels_is_lost(hurry):
    registry = Registry()
    counter = registry.counter("orders_total", labels=("kind",))

    def work(number):
        for each in range(EACH):
            counter.labels(str((number + each) % 7)).inc()

    together(work)
    assert total(registry, "orders_total") == THREADS * EACH


def test_no_update_of_a_gauge_is_lost(hurry):
    registry = Registry()
    gauge = registry.gauge("running")

    def work(number):
        for _ in range(EACH):
            gauge.inc(2)
            gauge.dec()

    together(work)
    assert total(registry, "running") == THREADS * EACH


def test_no_observation_of_a_histogram_is_lost(hurry):
    registry = Registry()
    histogram = registry.histogram("latency_seconds", labels=("kind",))

    def work(number):
        for each in range(EACH):
            histogram.labels(str(each % 3)).observe(0.25 * (number % 4))

    together(work)
    assert total(registry, "latency_seconds_count") == THREADS * EACH
    assert total(registry, "latency_seconds_sum") == sum(0.25 * (number % 4) for number in range(THREADS)) * EACH


def test_no_request_is_lost(hurry):
    registry = Registry()
    app = AsgiMiddleware(bare_asgi, RequestMetrics(registry))

    def work(number):
        asyncio.run(drive(app, [("GET", f"/{number}/{each}", {}) for each in range(EACH)]))

    together(work)
    assert total(registry, "http_requests_total") == THREADS * EACH
    assert total(registry, "http_request_duration_seconds_count") == THREADS * EACH
    assert total(registry, "http_response_size_bytes_total") == 2 * THREADS * EACH


def test_scrapes_meanwhile_lose_nothing_and_never_go_back(hurry):
    registry, seen = Registry(), []
    counter = registry.counter("orders_total", labels=("kind",))

    def work(number):
        for each in range(EACH):
            counter.labels(str(each % 5)).inc()
            if number == 0:
                seen.append(total(registry, "orders_total"))

    together(work)
    assert seen == sorted(seen)
    assert total(registry, "orders_total") == THREADS * EACH


def test_an_httpx_client_is_no_different():
    monitor = Monitor("shop", environ={})
    app = monitor.watch(starlette_app())

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
            for number in range(50):
                await client.get(f"/t/{number}%2Finfo/info?x={number}#y", headers={"x-forwarded-for": str(number)})

    asyncio.run(ask())
    assert len(series(monitor)) == 1
