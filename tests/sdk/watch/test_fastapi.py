from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, Request, WebSocket
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient


@pytest.fixture
def app(monitor):
    return monitor.watch(FastAPI())


def test_the_application_comes_back_itself(monitor):
    app = FastAPI()
    assert monitor.watch(app) is app
    assert monitor.watch(app) is app


def test_watched_twice_a_request_counts_once(monitor, app, get, counted):
    monitor.watch(app)
    app.get("/items/{item}")(lambda item: item)
    get(app, "/items/1")
    assert counted(monitor) == {("GET", "/items/{item}", "200"): 1}


def test_routes_have_their_whole_template(monitor, app, get, counted):
    app.get("/items/{item}")(lambda item: item)
    inner, outer = APIRouter(prefix="/inner"), APIRouter(prefix="/outer")
    inner.get("/x/{y}")(lambda y: y)
    outer.include_router(inner)
    app.include_router(outer, prefix="/v1")
    mounted = FastAPI()
    mounted.get("/there/{x}")(lambda x: x)
    mounted.include_router(inner)
    app.mount("/sub", mounted)
    app.mount("/t/{tenant}", mounted)
    for path in ("/items/1", "/v1/outer/inner/x/1", "/sub/there/1", "/sub/inner/x/1", "/t/acme/there/1"):
        assert get(app, path).status == 200
    assert {path for _, path, _ in counted(monitor)} == {
        "/items/{item}",
        "/v1/outer/inner/x/{y}",
        "/sub/there/{x}",
        "/sub/inner/x/{y}",
        "/t/{tenant}/there/{x}",
    }


def test_an_included_route_with_the_path_of_ours_wins(monitor, app, get, counted):
    router = APIRouter(prefix="/health")
    router.get("/ready")(lambda: "theirs")
    app.include_router(router)
    app.get("/metrics")(lambda: "theirs too")
    assert get(app, "/health/ready").text == '"theirs"'
    assert get(app, "/metrics").text == '"theirs too"'
    assert get(app, "/health/live").text == '{"status": "ok"}'
    assert counted(monitor) == {("GET", "/health/ready", "200"): 1, ("GET", "/metrics", "200"): 1}


def test_a_route_that_takes_everything_does_not_take_ours(app, get):
    app.get("/{path:path}")(lambda path: "page")
    app.mount("/", FastAPI())
    assert "app_info" in get(app, "/metrics").text
    assert get(app, "/other").text == '"page"'


def test_the_schema_does_not_show_the_endpoints(app, get):
    assert get(app, "/metrics").status == 200
    assert app.openapi()["paths"] == {}


def test_background_tasks_are_not_part_of_the_duration(monitor, app, get, seconds):
    import time

    @app.get("/mail")
    async def mail(tasks: BackgroundTasks):
        tasks.add_task(time.sleep, 0.1)

    get(app, "/mail")
    assert 0 < seconds(monitor) < 0.1


def test_an_unhandled_exception_is_a_500(monitor, app, get, counted):
    @app.get("/broken/{part}")
    async def broken(part: str):
        raise RuntimeError(part)

    assert get(app, "/broken/arm").status == 500
    assert counted(monitor) == {("GET", "/broken/{part}", "500"): 1}


def test_invalid_input_is_counted_under_its_route(monitor, app, get, counted):
    @app.get("/items/{item}")
    async def show(item: int): ...

    assert get(app, "/items/many").status == 422
    assert counted(monitor) == {("GET", "/items/{item}", "422"): 1}


def test_with_a_root_path_the_endpoints_are_found(monitor, get, counted):
    app = monitor.watch(FastAPI())
    app.get("/items/{item}")(lambda item: item)
    assert "app_info" in get(app, "/api/metrics", root_path="/api").text
    get(app, "/items/1")
    get(app, "/api/items/1", root_path="/api")
    assert counted(monitor) == {("GET", "/items/{item}", "200"): 2}


def test_the_lifespan_is_its_own(monitor):
    events = []

    @asynccontextmanager
    async def lifespan(app):
        events.append("up")
        yield {"database": "open"}
        events.append("down")

    app = monitor.watch(FastAPI(lifespan=lifespan))

    async def state(request: Request):
        return PlainTextResponse(request.state.database)

    app.add_route("/its-state", state)
    with TestClient(app) as client:
        assert client.get("/its-state").text == "open"
        assert events == ["up"]
    assert events == ["up", "down"]


def test_websockets_pass_through(monitor, app, counted):
    import asyncio

    @app.websocket("/ws")
    async def echo(socket: WebSocket):
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.close()

    incoming = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}]
    sent = []

    async def receive():
        return incoming.pop(0)

    async def send(message):
        sent.append(message["type"])

    asyncio.run(app({"type": "websocket", "path": "/ws", "headers": [], "query_string": b""}, receive, send))
    assert sent == ["websocket.accept", "websocket.send", "websocket.close"]
    assert counted(monitor) == {}


def test_switched_off_the_metrics_are_the_applications_own_404(off, get):
    app = off.watch(FastAPI())
    app.get("/items/{item}")(lambda item: item)
    assert get(app, "/metrics").text == '{"detail":"Not Found"}'
    assert get(app, "/items/1").text == '"1"'
    assert get(app, "/health").text == '{"status": "ok", "checks": {}}'
    assert not any(type(layer).__name__ == "AsgiMiddleware" for layer in layers(app.middleware_stack))


def layers(layer):
    while layer is not None:
        yield layer
        layer = getattr(layer, "app", None)
