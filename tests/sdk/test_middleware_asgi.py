import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException
from litestar import Litestar
from litestar import get as litestar_get
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from trackside.instruments.registry import Registry
from trackside.sdk.middleware.asgi import AsgiMiddleware
from trackside.sdk.request_metrics import BUCKETS, RequestMetrics, RequestMetricsOptions


@dataclass(frozen=True)
class Response:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Watched:
    """An app behind the middleware, and what was counted."""

    def __init__(self, app, options=None, answer=None, paths=()):
        self.registry = Registry()
        self.metrics = RequestMetrics(self.registry, options)
        self.app = AsgiMiddleware(app, self.metrics, answer, paths)
        self.client = TestClient(self.app, raise_server_exceptions=False, follow_redirects=False)

    def get(self, path, **options):
        return self.client.get(path, **options)

    def counted(self):
        buckets = slice(BUCKETS, BUCKETS + len(self.metrics.bounds) + 1)
        return {key: sum(cell[buckets]) for key, cell in self.metrics.cells()}

    def series(self):
        return set(self.counted())

    def took(self):
        return [cell[0] for _, cell in self.metrics.cells()]

    def sizes(self):
        return [(cell[1], cell[2]) for _, cell in self.metrics.cells()]

    def in_progress(self):
        family = next(f for f in self.registry.collect() if f.name.endswith("in_progress"))
        return {(s.labels.get("method"), s.labels.get("path")): s.value for s in family.samples}

    def errors(self):
        family = next(f for f in self.registry.collect() if f.name == "trackside_sdk_errors_total")
        return {s.labels.get("where"): s.value for s in family.samples}


def text(request):
    return PlainTextResponse("ok")


def run(app, scope=None, receive=None, send=None):
    """One request without a client: what is received and sent is up to the caller."""
    sent = []

    async def nothing():
        await asyncio.sleep(3600)

    async def keep(message):
        sent.append(message)

    base = {"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": []}
    asyncio.run(app({**base, **(scope or {})}, receive or nothing, send or keep))
    return sent


START = {"type": "http.response.start", "status": 200, "headers": []}


async def plain(scope, receive, send):
    await send(dict(START))
    await send({"type": "http.response.body", "body": b"hello"})


# --- which path ----------------------------------------------------------------------------------------------------


def starlette_app():
    async def redirected(request):
        return PlainTextResponse("ok")

    return Starlette(
        routes=[
            Route("/", text),
            Route("/items/{id:int}", text, methods=["GET", "POST"]),
            Route("/slash/{x}", redirected),
            Mount("/v1", routes=[Route("/users/{user}", text), Mount("/deep", routes=[Route("/{x}/y", text)])]),
            Mount("/v2", app=Starlette(routes=[Route("/users/{user}", text), Route("/", text)])),
            Mount("/t/{tenant}", routes=[Route("/info", text), Mount("/n/{n:int}", routes=[Route("/{x}", text)])]),
            Mount("/files", app=StaticFiles(directory=".")),
            Host("api.example.org", app=Router([Route("/hosted/{x}", text)])),
        ]
    )


def fastapi_app():
    app = FastAPI()
    router = APIRouter(prefix="/inner")
    nested = APIRouter()

    @nested.get("/leaf/{x}")
    def leaf(x: int):
        return x

    @router.get("/{name}")
    def named(name: str):
        return name

    @app.get("/direct/{x}")
    def direct(x: int):
        return x

    router.include_router(nested, prefix="/nested/{group}")
    app.include_router(router, prefix="/api")
    app.add_route("/raw/{x}", text)
    sub = FastAPI()

    @sub.get("/things/{x}")
    def thing(x: int):
        return x

    sub.include_router(nested, prefix="/included")
    app.mount("/sub", sub)
    app.mount("/star/{tenant}", Starlette(routes=[Route("/a/{x}", text)]))
    return app


@pytest.mark.parametrize(
    ("make", "path", "expected"),
    [
        pytest.param(starlette_app, "/", ("/", "200"), id="starlette, the root"),
        pytest.param(starlette_app, "/items/7", ("/items/{id:int}", "200"), id="starlette, a parameter"),
        pytest.param(starlette_app, "/items/x", ("(unmatched)", "404"), id="starlette, no such path"),
        pytest.param(starlette_app, "/slash/x/", ("(unmatched)", "307"), id="starlette, a redirected slash"),
        pytest.param(starlette_app, "/v1/users/ann", ("/v1/users/{user}", "200"), id="starlette, a mount"),
        pytest.param(starlette_app, "/v1/deep/1/y", ("/v1/deep/{x}/y", "200"), id="starlette, a mount in a mount"),
        pytest.param(starlette_app, "/v1/nothing", ("/v1/{path}", "404"), id="starlette, a 404 in a mount"),
        pytest.param(starlette_app, "/v2/users/ann", ("/v2/users/{user}", "200"), id="starlette, a mounted app"),
        pytest.param(starlette_app, "/v2/", ("/v2/", "200"), id="starlette, the root of a mounted app"),
        pytest.param(starlette_app, "/t/acme/info", ("/t/{tenant}/info", "200"), id="starlette, a tenant"),
        pytest.param(
            starlette_app, "/t/acme/n/3/z", ("/t/{tenant}/n/{n:int}/{x}", "200"), id="starlette, a mount in a tenant"
        ),
        pytest.param(starlette_app, "/files/pyproject.toml", ("/files/{path}", "200"), id="starlette, a file"),
        pytest.param(starlette_app, "/files/nothing", ("/files/{path}", "404"), id="starlette, no such file"),
        pytest.param(fastapi_app, "/direct/1", ("/direct/{x}", "200"), id="fastapi, a route"),
        pytest.param(fastapi_app, "/direct/x", ("/direct/{x}", "422"), id="fastapi, refused input"),
        pytest.param(fastapi_app, "/api/inner/n", ("/api/inner/{name}", "200"), id="fastapi, an included router"),
        pytest.param(
            fastapi_app,
            "/api/inner/nested/g/leaf/1",
            ("/api/inner/nested/{group}/leaf/{x}", "200"),
            id="fastapi, a router in a router",
        ),
        pytest.param(fastapi_app, "/raw/1", ("/raw/{x}", "200"), id="fastapi, a plain route"),
        pytest.param(fastapi_app, "/docs", ("/docs", "200"), id="fastapi, its documentation"),
        pytest.param(fastapi_app, "/nothing", ("(unmatched)", "404"), id="fastapi, no such path"),
        pytest.param(fastapi_app, "/sub/things/1", ("/sub/things/{x}", "200"), id="fastapi, a mounted app"),
        pytest.param(
            fastapi_app, "/sub/included/leaf/1", ("/sub/included/leaf/{x}", "200"), id="fastapi, a router in a mount"
        ),
        pytest.param(fastapi_app, "/sub/nothing", ("/sub/{path}", "404"), id="fastapi, a 404 in a mount"),
        pytest.param(fastapi_app, "/star/acme/a/1", ("/star/{tenant}/a/{x}", "200"), id="fastapi, starlette inside"),
    ],
)
def test_the_path_is_the_template_of_the_route(make, path, expected):
    watched = Watched(make())
    for _ in range(3):
        watched.get(path)
    assert watched.counted() == {("GET", *expected): 3}
    assert watched.errors() == {}


def test_a_route_behind_a_host_name():
    watched = Watched(starlette_app())
    watched.get("/hosted/1", headers={"host": "api.example.org"})
    assert watched.series() == {("GET", "/hosted/{x}", "200")}


def test_a_mount_behind_the_host_name_of_a_tenant():
    behind = Starlette(routes=[Mount("/part/{part}", app=Starlette(routes=[Route("/{x}", text)]))])
    watched = Watched(Starlette(routes=[Host("{tenant}.example.org", app=behind)]))
    # Values that are the same are not taken for one another.
    for path in ("/part/1/1", "/part/1/2", "/part/2/2"):
        watched.get(path, headers={"host": "1.example.org"})
    assert watched.counted() == {("GET", "/part/{part}/{x}", "200"): 3}


@pytest.mark.parametrize("make", [starlette_app, fastapi_app])
def test_no_input_makes_more_than_a_few_series(make):
    watched = Watched(make())
    for number in range(60):
        for path in (
            f"/scan{number}.php",
            f"/slash/{number}/",
            f"/t/tenant{number}/info",
            f"/t/tenant{number}/nothing",
            f"/star/tenant{number}/a/1",
            f"/files/{number}",
            f"/items/{number}",
        ):
            watched.client.request(f"M{number}" if number % 2 else "GET", path)
    assert len(watched.series()) < 20
    assert {method for method, _, _ in watched.series()} == {"GET", "_OTHER"}


def test_one_app_mounted_in_two_places_is_told_apart():
    inner = Starlette(routes=[Route("/{x}", text)])
    watched = Watched(Starlette(routes=[Mount("/a", app=inner), Mount("/b", app=inner)]))
    for path in ("/a/1", "/b/1", "/a/2"):
        watched.get(path)
    assert watched.counted() == {("GET", "/a/{x}", "200"): 2, ("GET", "/b/{x}", "200"): 1}


def test_mounts_the_router_does_not_show_are_guessed_and_bounded():
    async def app(scope, receive, send):
        tenant = scope["path"].split("/")[1]
        parameters = {"tenant": tenant} if tenant.startswith("known") else {}
        scope.update(app_root_path="", root_path=f"/{tenant}", path_params=parameters, path_template="/x")
        await plain(scope, receive, send)

    watched = Watched(app)
    for number in range(120):
        watched.get(f"/known{number}/x")
        watched.get(f"/tenant{number}/x")
    paths = {path for _, path, _ in watched.series()}
    assert {"/{tenant}/x", "/tenant0/x", "/{mount}/x"} <= paths
    assert len(paths) <= 102


def test_behind_a_proxy_the_prefix_is_no_mount():
    watched = Watched(FastAPI(root_path="/proxied"))
    watched.get("/proxied/docs")
    watched.get("/docs")
    assert watched.series() == {("GET", "/docs", "200")}


def test_inside_a_frameworks_stack_of_middleware():
    registry = Registry()
    metrics = RequestMetrics(registry)
    app = starlette_app()
    app.add_middleware(AsgiMiddleware, metrics=metrics)
    with TestClient(app) as client:
        client.get("/t/acme/info")
    assert [key for key, _ in metrics.cells()] == [("GET", "/t/{tenant}/info", "200")]


def test_below_other_middleware_that_wraps_the_request():
    class Wrapping(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            return await call_next(request)

    app = Starlette(routes=[Route("/items/{id}", text)], middleware=[Middleware(Wrapping), Middleware(Wrapping)])
    watched = Watched(app)
    watched.get("/items/1")
    assert watched.counted() == {("GET", "/items/{id}", "200"): 1}


def test_litestar_leaves_its_template():
    @litestar_get("/items/{number:int}", sync_to_thread=False)
    def item(number: int) -> int:
        return number

    watched = Watched(Litestar([item]))
    watched.get("/items/1")
    watched.get("/nothing")
    assert watched.counted() == {("GET", "/items/{number}", "200"): 1, ("GET", "(unmatched)", "404"): 1}


def test_a_plain_app_has_one_path_unless_it_says_more():
    watched = Watched(plain)
    watched.get("/a/1")
    assert watched.series() == {("GET", "(unmatched)", "200")}

    def hook(scope):
        return "/a/{x}" if scope["path"].startswith("/a/") else None

    watched = Watched(plain, RequestMetricsOptions(path_template=hook))
    for path in ("/a/1", "/a/2", "/b"):
        watched.get(path)
    assert watched.counted() == {("GET", "/a/{x}", "200"): 2, ("GET", "(unmatched)", "200"): 1}


def test_a_hook_that_says_every_path_is_capped():
    watched = Watched(plain, RequestMetricsOptions(path_template=lambda scope: scope["path"], max_series=5))
    for number in range(50):
        watched.get(f"/{number}")
    assert len(watched.series()) == 6
    assert watched.counted()[("(overflow)",) * 3] == 45


def test_a_hook_that_raises_does_not_reach_the_app():
    watched = Watched(plain, RequestMetricsOptions(path_template=lambda scope: 1 / 0))
    assert watched.get("/").text == "hello"
    assert watched.errors() == {"request": 1}


@pytest.mark.parametrize(
    ("excluded", "path", "counted"),
    [
        pytest.param("/items/1", "/items/1", False, id="exactly"),
        pytest.param("/items/1", "/items/12", True, id="not its beginning"),
        pytest.param("/items/*", "/items/12", False, id="a beginning"),
        pytest.param("/items/*", "/other", True, id="another beginning"),
        pytest.param("*", "/other", False, id="all"),
    ],
)
def test_excluded_paths_are_answered_and_not_counted(excluded, path, counted):
    watched = Watched(plain, RequestMetricsOptions(excluded_paths=(excluded,)))
    assert watched.get(path).text == "hello"
    assert bool(watched.series()) is counted


# --- which status, how long, how much ------------------------------------------------------------------------------


def test_the_status_and_the_sizes_of_an_answer():
    async def echo(request):
        return PlainTextResponse(await request.body() * 2, status_code=201)

    watched = Watched(Starlette(routes=[Route("/", echo, methods=["POST"])]))
    watched.client.post("/", content=b"abc")
    watched.client.post("/", content=iter([b"de", b"f"]))
    assert watched.counted() == {("POST", "/", "201"): 2}
    assert watched.sizes() == [(6, 12)]


def test_a_wrong_method_is_of_the_route():
    watched = Watched(starlette_app())
    watched.client.delete("/items/1")
    assert watched.series() == {("DELETE", "/items/{id:int}", "405")}


def test_a_handled_error_has_its_status():
    app = FastAPI()

    @app.get("/teapot")
    def teapot():
        raise HTTPException(418)

    watched = Watched(app)
    watched.get("/teapot")
    assert watched.series() == {("GET", "/teapot", "418")}


def test_an_unhandled_error_is_500_and_reaches_the_server_as_it_is():
    error = RuntimeError("bug")

    async def broken(scope, receive, send):
        raise error

    watched = Watched(broken)
    with pytest.raises(RuntimeError) as caught:
        run(watched.app)
    assert caught.value is error
    assert watched.counted() == {("GET", "(unmatched)", "500"): 1}
    watched = Watched(Starlette(routes=[Route("/bug", lambda request: 1 / 0)]))
    assert watched.get("/bug").status_code == 500
    assert watched.counted() == {("GET", "/bug", "500"): 1}


class Failing(BaseHTTPMiddleware):
    """Raises before the app, after it, and what only the app may raise to be understood."""

    async def dispatch(self, request, call_next):
        if request.url.path == "/before":
            raise RuntimeError
        if request.url.path == "/refused":
            raise HTTPException(403)
        answer = await call_next(request)
        if request.url.path == "/after":
            raise RuntimeError
        return answer


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        pytest.param("GET", "/before", {}, ("GET", "(unmatched)", "500"), id="an error before the route is known"),
        pytest.param("GET", "/after", {}, ("GET", "/after", "500"), id="an error after the handler"),
        pytest.param("GET", "/refused", {}, ("GET", "(unmatched)", "500"), id="an HTTPException outside of handlers"),
        pytest.param("GET", "/ok", {"host": "evil"}, ("GET", "(unmatched)", "400"), id="refused by a middleware"),
        pytest.param(
            "OPTIONS",
            "/ok",
            {"origin": "http://page", "access-control-request-method": "GET"},
            ("OPTIONS", "(unmatched)", "200"),
            id="a preflight that a middleware answers",
        ),
        pytest.param("OPTIONS", "/ok", {}, ("OPTIONS", "/ok", "405"), id="OPTIONS that reaches the route"),
        pytest.param("HEAD", "/ok", {}, ("HEAD", "/ok", "200"), id="HEAD"),
        pytest.param("GET", "/ok", {}, ("GET", "/ok", "200"), id="untouched"),
    ],
)
def test_what_middleware_of_the_app_does(method, path, headers, expected):
    app = Starlette(
        routes=[Route(path, text) for path in ("/before", "/refused", "/after", "/ok")],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["testserver"]),
            Middleware(CORSMiddleware, allow_origins=["http://page"]),
            Middleware(Failing),
        ],
    )
    watched = Watched(app)
    watched.client.request(method, path, headers=headers)
    assert watched.counted() == {expected: 1}


def test_an_error_in_the_middle_of_an_answer_is_500():
    async def app(scope, receive, send):
        await send(dict(START))
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise ConnectionError("the database went away")

    watched = Watched(app)
    with pytest.raises(ConnectionError):
        run(watched.app)
    assert watched.series() == {("GET", "(unmatched)", "500")}


def test_an_error_after_the_answer_changes_nothing():
    async def app(scope, receive, send):
        await plain(scope, receive, send)
        raise RuntimeError

    watched = Watched(app)
    with pytest.raises(RuntimeError):
        run(watched.app)
    assert watched.counted() == {("GET", "(unmatched)", "200"): 1}


def test_no_answer_at_all_is_500():
    async def silent(scope, receive, send):
        pass

    watched = Watched(silent)
    run(watched.app)
    assert watched.series() == {("GET", "(unmatched)", "500")}


def test_a_client_that_leaves_while_a_stream_runs_is_499():
    async def endless():
        while True:
            yield b"x"
            await asyncio.sleep(0)

    app = Starlette(routes=[Route("/stream", lambda request: StreamingResponse(endless()))])
    watched = Watched(app)
    messages = [{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}]

    async def receive():
        return messages.pop(0)

    run(watched.app, {"path": "/stream"}, receive)
    assert watched.counted() == {("GET", "/stream", "499"): 1}


@pytest.mark.parametrize("bound", [False, True], ids=["a function", "a method"])
def test_a_client_that_is_gone_when_we_send_is_499(bound):
    class Server:
        async def send(self, message):
            if message["type"] == "http.response.body":
                raise BrokenPipeError

    async def send(message):
        await Server().send(message)

    async def body():
        yield b"x"

    app = Starlette(routes=[Route("/stream", lambda request: StreamingResponse(body()))])
    watched = Watched(app)
    scope = {"path": "/stream", "asgi": {"spec_version": "2.4"}}
    with pytest.raises(ClientDisconnect):
        run(watched.app, scope, send=Server().send if bound else send)
    assert watched.counted() == {("GET", "/stream", "499"): 1}


def test_a_cancelled_request_is_499():
    async def slow(scope, receive, send):
        await asyncio.sleep(3600)

    watched = Watched(slow)

    async def cancel():
        task = asyncio.create_task(watched.app({"type": "http", "method": "GET", "path": "/"}, None, None))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())
    assert watched.counted() == {("GET", "(unmatched)", "499"): 1}
    assert watched.in_progress() == {("GET", "(unmatched)"): 0}


def test_a_client_that_leaves_after_the_answer_is_no_499():
    async def app(scope, receive, send):
        await plain(scope, receive, send)
        await receive()

    async def receive():
        return {"type": "http.disconnect"}

    watched = Watched(app)
    run(watched.app, receive=receive)
    assert watched.series() == {("GET", "(unmatched)", "200")}


def test_a_stream_lasts_until_its_last_byte_and_counts_all_of_them():
    async def body():
        for _ in range(3):
            await asyncio.sleep(0.01)
            yield b"1234"

    watched = Watched(Starlette(routes=[Route("/", lambda request: StreamingResponse(body()))]))
    watched.get("/")
    assert watched.took()[0] >= 0.03
    assert watched.sizes() == [(0, 12)]


def test_a_background_task_is_no_part_of_the_request():
    seen = []
    app = FastAPI()

    async def after():
        seen.append((watched.counted(), watched.in_progress(), watched.took()))
        await asyncio.sleep(0.05)

    @app.get("/")
    async def root(background: BackgroundTasks):
        background.add_task(after)

    watched = Watched(app)
    watched.get("/")
    assert seen == [({("GET", "/", "200"): 1}, {("GET", "/"): 0}, watched.took())]


def test_a_file_sent_by_the_server_is_the_end():
    async def app(scope, receive, send):
        await send(dict(START))
        await send({"type": "http.response.pathsend", "path": "/tmp/x"})
        assert watched.series() == {("GET", "(unmatched)", "200")}

    watched = Watched(app)
    run(watched.app)


def test_a_request_that_runs_is_in_progress_under_its_own_route():
    seen = []

    async def slow(request):
        seen.append(watched.in_progress())
        return PlainTextResponse("ok")

    watched = Watched(Starlette(routes=[Mount("/t/{tenant}", routes=[Route("/slow/{x}", slow)])]))
    watched.get("/t/acme/slow/1")
    assert seen == [{("GET", "/t/{tenant}/slow/{x}"): 1}]
    assert watched.in_progress() == {("GET", "/t/{tenant}/slow/{x}"): 0}


# --- what is left alone --------------------------------------------------------------------------------------------


def test_websockets_and_lifespan_pass_untouched():
    events = []

    async def websocket(socket):
        await socket.accept()
        await socket.send_text("hi")
        await socket.close()

    async def lifespan(app):
        events.append("up")
        yield
        events.append("down")

    app = Starlette(routes=[WebSocketRoute("/ws", websocket)], lifespan=asynccontextmanager(lifespan))
    watched = Watched(app)
    with watched.client as client, client.websocket_connect("/ws") as socket:
        assert socket.receive_text() == "hi"
    assert events == ["up", "down"]
    assert watched.series() == set()


def test_an_app_watched_inside_a_watched_app_is_counted_once():
    registry = Registry()
    metrics = RequestMetrics(registry)
    inner = AsgiMiddleware(Starlette(routes=[Route("/x", text)]), metrics)
    outer = AsgiMiddleware(Starlette(routes=[Mount("/in", app=inner)]), metrics)
    TestClient(outer).get("/in/x")
    assert [(key, sum(cell[3:])) for key, cell in metrics.cells()] == [(("GET", "/in/x", "200"), 1)]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({}, id="without a type"),
        pytest.param(None, id="no message"),
        pytest.param({"type": "http.response.start"}, id="without a status"),
        pytest.param({"type": "http.response.body", "body": None}, id="without a body"),
        pytest.param({"type": "http.response.other"}, id="of an unknown type"),
    ],
)
def test_odd_messages_are_for_the_server_to_judge(message):
    async def app(scope, receive, send):
        await send(message)

    watched = Watched(app)
    assert run(watched.app) == [message]
    assert sum(watched.counted().values()) == 1


def test_a_broken_store_does_not_reach_the_app():
    watched = Watched(plain)
    watched.metrics.cell = None
    assert watched.get("/").text == "hello"
    assert watched.errors() == {"request": 1}
    assert watched.metrics.in_flight == set()


# --- answers of our own --------------------------------------------------------------------------------------------


async def answer(method, path, headers):
    if path == "/metrics":
        return Response(200, (("Content-Type", "text/plain"),), f"{method} {headers['accept']}".encode())
    if path == "/raises":
        raise RuntimeError
    return None


@pytest.mark.parametrize("paths", [("/metrics", "/raises", "/none"), ("*",)], ids=["listed", "all"])
def test_paths_of_ours_are_answered_and_not_counted(paths):
    watched = Watched(plain, answer=answer, paths=paths)
    reply = watched.get("/metrics", headers={"accept": "text/x"})
    assert (reply.status_code, reply.text, reply.headers["content-length"]) == (200, "GET text/x", "10")
    assert reply.headers["content-type"] == "text/plain"
    assert watched.series() == set()


def test_the_prefix_of_a_proxy_is_no_part_of_our_paths():
    watched = Watched(plain, answer=answer, paths=("/metrics",))
    scope = {"path": "/api/metrics", "root_path": "/api", "headers": [(b"Accept", b"a"), (b"accept", b"b")]}
    assert run(watched.app, scope)[1]["body"] == b"GET a, b"


def test_where_we_have_no_answer_the_app_has_one():
    watched = Watched(plain, answer=answer, paths=("/metrics", "/raises", "/none"))
    assert [watched.get(path).text for path in ("/raises", "/none", "/other")] == ["hello"] * 3
    assert watched.errors() == {"answer": 1}
    assert watched.counted() == {("GET", "(unmatched)", "200"): 3}


def test_head_has_the_headers_only():
    watched = Watched(plain, answer=answer, paths=("/metrics",))
    sent = run(watched.app, {"method": "HEAD", "path": "/metrics", "headers": [(b"accept", b"x")]})
    assert (b"content-length", b"6") in sent[0]["headers"]
    assert sent[1]["body"] == b""


def test_the_first_byte_of_a_stream_and_its_last():
    async def slowly():
        await asyncio.sleep(0.02)
        for _ in range(4):
            yield b"x"
            await asyncio.sleep(0.01)

    app = Starlette(routes=[Route("/stream", lambda request: StreamingResponse(slowly())), Route("/", text)])
    watched = Watched(app, RequestMetricsOptions(first_byte=True))
    watched.get("/stream")
    watched.get("/")
    found = {
        (s.name, s.labels.get("path")): s.value
        for f in watched.registry.collect()
        for s in f.samples
        if "_sum" in s.name
    }
    first, last = (found[f"http_request_{name}_seconds_sum", "/stream"] for name in ("first_byte", "duration"))
    assert 0.02 <= first < 0.03 + (last - 0.05)
    assert last >= first + 0.03
    assert found["http_request_first_byte_seconds_sum", "/"] <= found["http_request_duration_seconds_sum", "/"]


def test_an_exemplar_is_the_trace_of_the_last_request_of_a_bucket():
    watched = Watched(Starlette(routes=[Route("/", text)]))
    watched.get("/")
    watched.registry.cells.trace = lambda: ("a" * 32, "b" * 16)
    watched.get("/")
    [family] = [m for m in watched.registry.measured() if m.description.name == "http_request_duration_seconds"]
    [(labels, observed)] = family.observed().items()
    assert labels == ("GET", "/", "200")
    [one] = observed.values()
    assert (one.trace_id, one.span_id) == ("a" * 32, "b" * 16)
    watched.registry.cells.trace = lambda: None
    watched.get("/")
    assert list(family.observed().values()) == [observed]
