import asyncio
from functools import partial

import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, Router

from trackside.instruments.registry import Registry


async def show(request):
    return PlainTextResponse("shown")


async def broken(request):
    raise RuntimeError("broken")


def streaming(pause_s, chunks=3):
    async def stream(request):
        async def body():
            for _ in range(chunks):
                yield b"x"
                await asyncio.sleep(pause_s)

        return StreamingResponse(body())

    return stream


class Locked(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return PlainTextResponse("no", 401)


@pytest.fixture
def app(monitor):
    tenant = [Route("/orders/{order}", show)]
    return monitor.watch(
        Starlette(
            routes=[
                Route("/items/{item:int}", show),
                Route("/broken", broken),
                Route("/stream", streaming(0.02)),
                Mount("/t/{tenant}", routes=tenant),
                Mount("/v1", routes=[Mount("/t/{tenant}", routes=tenant)]),
            ]
        )
    )


@pytest.mark.parametrize(
    ("path", "method", "labels"),
    [
        pytest.param("/items/1", "GET", ("GET", "/items/{item:int}", "200"), id="found"),
        pytest.param("/items/1", "HEAD", ("HEAD", "/items/{item:int}", "200"), id="without a body"),
        pytest.param("/items/1", "POST", ("POST", "/items/{item:int}", "405"), id="method not allowed"),
        pytest.param("/items/1", "BREW", ("_OTHER", "/items/{item:int}", "405"), id="made-up method"),
        pytest.param("/items/x", "GET", ("GET", "(unmatched)", "404"), id="not found"),
        pytest.param("/items/1/", "GET", ("GET", "(unmatched)", "307"), id="slash too many"),
        pytest.param("/broken", "GET", ("GET", "/broken", "500"), id="unhandled exception"),
        pytest.param("/t/acme/orders/1", "GET", ("GET", "/t/{tenant}/orders/{order}", "200"), id="mounted"),
        pytest.param("/v1/t/acme/orders/1", "GET", ("GET", "/v1/t/{tenant}/orders/{order}", "200"), id="twice"),
    ],
)
def test_what_a_request_is_counted_as(monitor, app, get, counted, path, method, labels):
    get(app, path, method)
    assert counted(monitor) == {labels: 1}


class Shown(HTTPEndpoint):
    async def get(self, request):
        return PlainTextResponse("shown")

    async def method(self, request):
        return PlainTextResponse("shown")


class Raw:
    async def __call__(self, scope, receive, send):
        await PlainTextResponse("shown")(scope, receive, send)


class Passing(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return await call_next(request)


ROUTES = [
    Route("/function/{x}", show),
    Route("/twice/{x}", show),
    Route("/class/{x}", Shown),
    Route("/partial/{x}", partial(show)),
    Route("/method/{x}", Shown({"type": "http"}, None, None).method),
    Route("/raw/{x}", Raw()),
]


@pytest.mark.parametrize(
    ("mount", "path"),
    [
        pytest.param(Mount("/v1", routes=ROUTES), "/v1", id="routes"),
        pytest.param(Mount("/v1", Router(ROUTES)), "/v1", id="a router"),
        pytest.param(Mount("/v1", Starlette(routes=ROUTES)), "/v1", id="an application"),
        pytest.param(
            Mount("/v1", Starlette(routes=ROUTES, middleware=[Middleware(Passing)])), "/v1", id="with its own"
        ),
        pytest.param(Mount("/v1", Passing(Starlette(routes=ROUTES))), "/v1", id="an application in a middleware"),
        pytest.param(Mount("/v1", routes=ROUTES, middleware=[Middleware(Passing)]), "/v1", id="with a middleware"),
        pytest.param(Mount("/{x}/v1", routes=[Mount("/v2", routes=ROUTES)]), "/{x}/v1/v2", id="a mount in a mount"),
        pytest.param(Mount("/", routes=ROUTES), "", id="at the root"),
    ],
)
def test_what_is_mounted_has_its_whole_template(monitor, get, counted, mount, path):
    app = monitor.watch(Starlette(routes=[mount], middleware=[Middleware(Passing)]))
    for route in ROUTES:
        assert get(app, f"{path}{route.path}".replace("{x}", "7")).status == 200
    assert counted(monitor) == {("GET", path + route.path, "200"): 1 for route in ROUTES}


def test_a_thousand_tenants_and_scanners_are_a_handful_of_series(monitor, app, counted):
    async def receive():
        await asyncio.sleep(60)

    async def send(message):
        pass

    async def visit():
        for number in range(1000):
            for path in (f"/t/{number}/orders/{number}", f"/t/{number}/nothing/{number}", f"/{number}.php"):
                scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
                await app(scope, receive, send)

    asyncio.run(visit())
    assert sum(counted(monitor).values()) == 3000
    assert len(counted(monitor)) == 3


def test_middleware_added_later_is_inside_of_ours(monitor, app, get, counted):
    app.add_middleware(Locked)
    assert get(app, "/items/1").status == 401
    assert counted(monitor) == {("GET", "(unmatched)", "401"): 1}
    assert "app_info" in get(app, "/metrics").text


def test_an_application_that_has_started_can_be_watched(monitor, get, counted):
    app = Starlette(routes=[Route("/items/{item}", show)])
    get(app, "/items/1")
    monitor.watch(app)
    get(app, "/items/1")
    assert counted(monitor) == {("GET", "/items/{item}", "200"): 1}
    app.middleware_stack = None  # as those do who add middleware to a started application
    get(app, "/items/1")
    assert counted(monitor) == {("GET", "/items/{item}", "200"): 2}


def test_a_stream_lasts_until_its_last_byte(monitor, app, get, seconds):
    assert get(app, "/stream").text == "xxx"
    assert seconds(monitor) > 0.05


def test_a_client_that_leaves_in_the_middle_is_a_499(monitor, counted):
    app = monitor.watch(Starlette(routes=[Route("/stream", streaming(30))]))
    begun = asyncio.Event()

    async def receive():
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.body":
            begun.set()

    scope = {"type": "http", "method": "GET", "path": "/stream", "headers": [], "query_string": b""}
    asyncio.run(app(scope, receive, send))
    assert counted(monitor) == {("GET", "/stream", "499"): 1}


def test_its_own_route_wins_whenever_it_was_declared(monitor, app, get):
    async def own(request):
        return PlainTextResponse("theirs")

    app.add_route("/health", own)
    assert get(app, "/health").text == "theirs"
    assert get(app, "/health/ready").text == '{"status": "ready"}'


def test_two_monitors_both_count(monitor, app, get, counted):
    from trackside import Monitor

    other = Monitor(registry=Registry(), environ={})
    other.watch(app)
    get(app, "/items/1")
    assert counted(monitor) == counted(other) == {("GET", "/items/{item:int}", "200"): 1}


def test_a_page_that_cannot_be_made_does_not_take_the_application_down(monitor, app, get):
    def broken():
        raise RuntimeError("broken")

    monitor.registry.add_collector(broken)
    answer = get(app, "/metrics")
    assert answer.status == 200
    assert 'trackside_sdk_errors_total{where="collector"} 1' in answer.text
