import asyncio

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from trackside.instruments.registry import Registry
from trackside.sdk.middleware.asgi import AsgiMiddleware
from trackside.sdk.request_metrics import RequestMetrics, RequestMetricsOptions


async def echo(socket: WebSocket):
    await socket.accept()
    try:
        while True:
            text = await socket.receive_text()
            if text == "bye":
                await socket.close(4001)
                return
            if text == "break":
                raise RuntimeError("broken")
            await socket.send_text(text)
    except WebSocketDisconnect:
        pass


async def refuse(socket: WebSocket):
    await socket.close()


class Watched:
    def __init__(self, app, options=None, root_path=""):
        self.registry = Registry()
        self.client = TestClient(AsgiMiddleware(app, RequestMetrics(self.registry, options)), root_path=root_path)

    def values(self):
        return {
            (s.name.removeprefix("websocket_"), *(value for name, value in s.labels.pairs if name != "le")): s.value
            for family in self.registry.collect()
            for s in family.samples
            if "websocket" in s.name and not s.name.endswith(("_bucket", "_sum"))
        }


@pytest.fixture
def watched():
    routes = [
        WebSocketRoute("/rooms/{room}", echo),
        WebSocketRoute("/refused", refuse),
        Route("/", lambda request: None),
        Mount("/t/{tenant}", routes=[WebSocketRoute("/ws", echo)]),
    ]
    return Watched(Starlette(routes=routes))


def test_connections_and_messages_while_they_last_and_after(watched):
    with watched.client.websocket_connect("/rooms/blue") as socket:
        for text in ("a", "b"):
            socket.send_text(text)
            socket.receive_text()
        during = watched.values()
    path = "/rooms/{room}"
    assert during["connections_in_progress", path] == 1
    assert during["messages_received_total", path] == 2
    assert during["messages_sent_total", path] == 2
    assert ("connection_duration_seconds_count", path) not in during
    assert watched.values() == {
        ("connections_total", path): 1,
        ("connections_in_progress", path): 0,
        ("messages_received_total", path): 2,
        ("messages_sent_total", path): 2,
        ("connection_duration_seconds_count", path): 1,
        ("connections_closed_total", "1000", path): 1,
    }


@pytest.mark.parametrize(
    ("last", "code"),
    [pytest.param("bye", "4001", id="the app closes it"), pytest.param("break", "1006", id="the app breaks")],
)
def test_why_it_closed(watched, last, code):
    try:
        with watched.client.websocket_connect("/rooms/blue") as socket:
            socket.send_text(last)
            socket.receive_text()
    except (WebSocketDisconnect, RuntimeError):
        pass
    found = watched.values()
    assert found["connections_closed_total", code, "/rooms/{room}"] == 1
    assert found["connections_in_progress", "/rooms/{room}"] == 0


@pytest.mark.parametrize(
    ("path", "template"), [("/refused", "/refused"), ("/nowhere", "(unmatched)")], ids=["by the app", "by the router"]
)
def test_refused_connections_are_none(watched, path, template):
    for _ in range(2):
        with pytest.raises(WebSocketDisconnect), watched.client.websocket_connect(path):
            pass
    assert watched.values() == {("connections_closed_total", "refused", template): 2}


def test_made_up_paths_tenants_and_codes_are_bounded(watched):
    for number in range(100):
        with pytest.raises(WebSocketDisconnect), watched.client.websocket_connect(f"/{number}"):
            pass
        with watched.client.websocket_connect(f"/t/{number}/ws") as socket:
            socket.close(3000 + number)
    paths = {key[-1] for key in watched.values()}
    assert paths == {"(unmatched)", "/t/{tenant}/ws"}
    codes = {key[1] for key in watched.values() if key[0] == "connections_closed_total"}
    assert len(codes) <= 52
    assert "other" in codes


def test_a_router_of_fastapi():
    router = APIRouter(prefix="/v1")
    router.websocket("/rooms/{room}")(echo)
    app = FastAPI()
    app.include_router(router)
    watched = Watched(app, RequestMetricsOptions.preset("endpoint"))
    with watched.client.websocket_connect("/v1/rooms/blue"):
        pass
    assert watched.values()["connections_total", "/v1/rooms/{room}"] == 1


@pytest.mark.parametrize("root_path", ["", "/proxied"])
def test_excluded_paths_are_served_and_not_counted(root_path):
    app = Starlette(routes=[WebSocketRoute("/rooms/{room}", echo)])
    watched = Watched(app, RequestMetricsOptions(excluded_paths=("/rooms/*",)), root_path)
    with watched.client.websocket_connect(f"{root_path}/rooms/blue") as socket:
        socket.send_text("a")
        assert socket.receive_text() == "a"
    assert watched.values() == {}


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({}, id="without a type"),
        pytest.param(None, id="no message"),
        pytest.param({"type": "websocket.close", "code": "soon"}, id="a code that is none"),
        pytest.param({"type": "websocket.other"}, id="of an unknown type"),
    ],
)
def test_odd_messages_are_for_the_server_and_the_app_to_judge(message):
    registry, sent, received = Registry(), [], []

    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        await send(message)
        received.append(await receive())

    async def receive():
        return message

    async def send(message):
        sent.append(message)

    watched = AsgiMiddleware(app, RequestMetrics(registry))
    asyncio.run(watched({"type": "websocket", "path": "/ws", "headers": []}, receive, send))
    assert sent[1:] == received == [message]
    values = {s.name: s.value for family in registry.collect() for s in family.samples}
    assert values["websocket_connections_in_progress"] == 0
    assert values["websocket_connections_closed_total"] == 1


def test_who_has_no_sockets_shows_none(watched):
    assert watched.values() == {}


def test_a_name_that_is_taken_stays_what_it_is():
    watched = Watched(Starlette(routes=[WebSocketRoute("/ws", echo)]))
    watched.registry.gauge("websocket_connections_in_progress", labels=("mine",)).labels("x").set(1)
    with watched.client.websocket_connect("/ws") as socket:
        socket.send_text("a")
        assert socket.receive_text() == "a"
    assert watched.values() == {("connections_in_progress", "x"): 1}
    errors = {s.labels.get("where") for f in watched.registry.collect() for s in f.samples if "errors" in s.name}
    assert errors == {"websockets"}


def test_watched_twice_it_is_counted_once():
    registry = Registry()
    metrics = RequestMetrics(registry)
    app = AsgiMiddleware(AsgiMiddleware(Starlette(routes=[WebSocketRoute("/ws", echo)]), metrics), metrics)
    with TestClient(app).websocket_connect("/ws"):
        pass
    assert [s.value for f in registry.collect() for s in f.samples if s.name == "websocket_connections_total"] == [1]
