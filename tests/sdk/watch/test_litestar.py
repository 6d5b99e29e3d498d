from contextlib import asynccontextmanager

import pytest
from litestar import Litestar, Router, WebSocket, asgi, websocket
from litestar import get as route
from litestar.exceptions import NotAuthorizedException
from litestar.testing import TestClient
from litestar.types import Receive, Scope, Send


@route("/items/{item:int}")
async def show() -> str:
    return "shown"


@route("/broken")
async def broken() -> None:
    raise RuntimeError("broken")


@route("/secret")
async def secret() -> None:
    raise NotAuthorizedException


@route("/health/live")
async def own() -> str:
    return "theirs"


@pytest.fixture
def app(monitor):
    return monitor.watch(
        Litestar([show, broken, secret, own, Router("/v1", route_handlers=[show])], logging_config=None)
    )


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        pytest.param("/items/1", ("GET", "/items/{item}", "200"), id="found"),
        pytest.param("/v1/items/1", ("GET", "/v1/items/{item}", "200"), id="in a router"),
        pytest.param("/nothing", ("GET", "(unmatched)", "404"), id="not found"),
        pytest.param("/secret", ("GET", "/secret", "401"), id="refused"),
        pytest.param("/broken", ("GET", "/broken", "500"), id="unhandled exception"),
    ],
)
def test_what_a_request_is_counted_as(monitor, app, get, counted, path, labels):
    get(app, path)
    get(app, path)
    assert counted(monitor) == {labels: 2}


def test_its_websockets_and_its_lifespan(monitor, samples):
    events = []

    @asynccontextmanager
    async def lifespan(app):
        events.append("up")
        yield
        events.append("down")

    @websocket("/rooms/{room:str}")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.close(4001)

    app = Litestar([talk], lifespan=[lifespan], logging_config=None)
    with TestClient(monitor.watch(app)) as client, client.websocket_connect("/rooms/blue") as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"
        assert events == ["up"]
    assert events == ["up", "down"]
    assert samples(monitor, "websocket_connections_total", path="/rooms/{room}") == 1
    assert samples(monitor, "websocket_connections_closed_total", path="/rooms/{room}", code="4001") == 1


def test_what_is_mounted_has_a_path_of_its_own(monitor, get, counted):
    @route("/")
    async def root() -> str:
        return "root"

    @asgi(["/files", "/v1/files"], is_mount=True, copy_scope=True)
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"file"})

    app = monitor.watch(Litestar([mounted, root], logging_config=None))
    for path in ("/files/1", "/files/2/3", "/v1/files/1", "/"):
        get(app, path)
    assert counted(monitor) == {
        ("GET", "/files/{path}", "200"): 2,
        ("GET", "/v1/files/{path}", "200"): 1,
        ("GET", "/", "200"): 1,
    }


def test_our_endpoints_are_answered_unless_it_has_its_own(app, get):
    assert "app_info" in get(app, "/metrics").text
    assert get(app, "/health/ready").text == '{"status": "ready"}'
    assert get(app, "/health/live").text == "theirs"


def test_the_application_comes_back_itself(monitor, app):
    assert monitor.watch(app) is app


def test_switched_off_the_metrics_are_the_applications_own_404(off, get):
    app = off.watch(Litestar([show], logging_config=None))
    assert get(app, "/metrics").status == 404
    assert get(app, "/items/1").text == "shown"
    assert get(app, "/health").status == 200
