import asyncio
import logging
import re

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute

from trackside import Monitor
from trackside.sdk.logs.fields import current_fields
from trackside.sdk.logs.request_scope import AsgiRequestScope, WsgiRequestScope, request_id

MADE = re.compile(r"[0-9a-f]{32}")
log = logging.getLogger("shop")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("", id="none"),
        pytest.param("a" * 129, id="long"),
        pytest.param("a\r\nSet-Cookie: x", id="header injection"),
        pytest.param("a b", id="space"),
        pytest.param("é", id="not ASCII"),
        pytest.param('"}', id="json"),
        pytest.param("../x", id="dots first"),
    ],
)
def test_an_id_that_nobody_should_repeat_is_replaced(given):
    assert MADE.fullmatch(request_id(given))


@pytest.mark.parametrize(
    "given", ["req-abc", "0af7651916cd43dd8448eb211c80319c", "Root=1-5759e988-bd862e3f", "a" * 128]
)
def test_an_id_that_is_given_is_kept(given):
    assert request_id(given) == given


def asgi(monitor, app):
    return TestClient(monitor.watch(app), raise_server_exceptions=False)


def own(written):
    """Lines of ours: test clients log too."""
    return [line for line in written.lines if line["context"] == "shop"]


def test_an_asgi_request_has_one_id_in_all_its_lines_and_its_answer(monitor, written):
    app = FastAPI()

    def user():
        # Of a dependency that runs in a thread.
        monitor.bind(user_id="user-123")

    @app.get("/")
    async def root(_: None = Depends(user)):
        log.info("one")
        await asyncio.to_thread(log.info, "two")
        return {}

    client = asgi(monitor, app)
    answer = client.get("/", headers={"X-Request-ID": "req-abc"})
    assert answer.headers.get_list("x-request-id") == ["req-abc"]
    client.get("/")
    lines = own(written)
    assert [line["requestId"] for line in lines[:2]] == ["req-abc"] * 2
    assert [line["userId"] for line in lines] == ["user-123"] * 4
    assert MADE.fullmatch(lines[2]["requestId"])
    assert lines[2]["requestId"] == lines[3]["requestId"]
    assert current_fields() == {}


def test_logs_that_begin_after_an_app_is_watched_reach_it(untouched_logging, written):
    monitor = Monitor(environ={})
    app = monitor.watch(Starlette(routes=[Route("/", lambda request: PlainTextResponse("x"))]))
    client = TestClient(app)
    assert "x-request-id" not in client.get("/").headers
    monitor.logs(stream=written)
    monitor.logs(stream=written)
    assert len(client.get("/").headers.get_list("x-request-id")) == 1


def test_with_metrics_off_logs_are_still_on(untouched_logging, written):
    monitor = Monitor(environ={"ENABLE_PROMETHEUS_METRICS": "false"}, health_path="")
    monitor.logs(stream=written)
    app = monitor.watch(Starlette(routes=[Route("/", lambda request: PlainTextResponse("x"))]))
    assert "x-request-id" in TestClient(app).get("/").headers


def test_an_app_in_an_app_has_the_id_of_the_request(monitor, written):
    inner = monitor.watch(Starlette(routes=[Route("/x", lambda request: PlainTextResponse("x"))]))
    client = asgi(monitor, Starlette(routes=[Mount("/in", app=inner)]))
    assert client.get("/in/x", headers={"x-request-id": "r"}).headers.get_list("x-request-id") == ["r"]


def test_an_id_that_the_application_sets_stays(monitor):
    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("x", headers={"X-Request-ID": "mine"}))])
    assert asgi(monitor, app).get("/").headers.get_list("x-request-id") == ["mine"]


def test_a_websocket_has_one_too(monitor, written):
    async def talk(socket):
        await socket.accept()
        log.info("talking")
        await socket.close()

    client = asgi(monitor, Starlette(routes=[WebSocketRoute("/ws", talk)]))
    with client.websocket_connect("/ws", headers={"x-request-id": "r"}) as socket:
        assert dict(socket.extra_headers)[b"x-request-id"] == b"r"
    assert own(written)[0]["requestId"] == "r"


def test_the_servers_line_about_an_error_has_the_id(monitor, written):
    async def fail(scope, receive, send):
        monitor.bind(user_id=1)
        raise ValueError("no")

    async def serve():
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"x-request-id", b"r")]}
        try:
            await monitor.watch(fail)(scope, None, None)
        except ValueError:
            log.exception("Exception in ASGI application")

    asyncio.run(serve())
    line = own(written)[0]
    assert (line["requestId"], line["userId"], line["exception"]["message"]) == ("r", 1, "no")


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"type": "http.response.start", "status": 200}, id="no headers"),
        pytest.param({"type": "http.response.start", "status": 200, "headers": ((b"a", b"b"),)}, id="a tuple"),
    ],
)
def test_odd_headers_are_completed(message):
    sent = []

    async def app(scope, receive, send):
        await send(message)

    async def send(message):
        sent.append(message)

    asyncio.run(AsgiRequestScope(app)({"type": "http", "headers": [(b"x-request-id", b"r")]}, None, send))
    assert (b"x-request-id", b"r") in sent[0]["headers"]
    assert sent[0] is not message


def flask_app(monitor):
    app = Flask("shop")

    @app.get("/")
    def root():
        monitor.bind(user_id=7)
        log.info("one")
        return "x"

    @app.get("/stream")
    def stream():
        def chunks():
            log.info("first")
            yield "a"
            log.info("second")
            yield "b"

        return chunks()

    @app.get("/boom")
    def boom():
        raise ValueError("no")

    return monitor.watch(app)


def test_a_wsgi_request_has_one_id_to_the_end_of_its_stream(monitor, written):
    client = flask_app(monitor).test_client()
    assert client.get("/", headers={"X-Request-ID": "a"}).headers.getlist("X-Request-ID") == ["a"]
    assert client.get("/stream", headers={"X-Request-ID": "b"}).data == b"ab"
    assert [(line["message"], line["requestId"], line.get("userId")) for line in own(written)] == [
        ("one", "a", 7),
        ("first", "b", None),
        ("second", "b", None),
    ]
    assert current_fields() == {}


def test_flasks_line_about_an_error_has_the_id(monitor, written):
    flask_app(monitor).test_client().get("/boom", headers={"X-Request-ID": "r"})
    assert [line["requestId"] for line in written.lines if "exception" in line] == ["r"]


def test_a_wsgi_app_that_raises_leaves_nothing_behind(monitor, written):
    def fail(environ, start_response):
        raise ValueError("no")

    try:
        WsgiRequestScope(fail)({"HTTP_X_REQUEST_ID": "r"}, None)
    except ValueError:
        log.exception("Error handling request")
    assert own(written)[0]["requestId"] == "r"
    assert current_fields() == {}


def test_a_body_is_closed_in_its_request():
    seen = []

    class Body:
        def __iter__(self):
            yield b"a"
            raise OSError

        def close(self):
            seen.append(current_fields()["request_id"])

    body = WsgiRequestScope(lambda environ, start_response: Body())({"HTTP_X_REQUEST_ID": "r"}, None)
    assert next(body) == b"a"
    with pytest.raises(OSError):
        next(body)
    body.close()
    assert seen == ["r"]


def test_a_body_that_is_there_already_is_handed_on():
    body = [b"a"]
    assert WsgiRequestScope(lambda environ, start_response: body)({}, None) is body
