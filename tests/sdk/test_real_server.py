"""What is counted behind uvicorn, of clients that come over sockets and leave as clients do."""

import asyncio
import socket
from threading import Event, Thread
from time import monotonic, sleep

import httpx
import pytest
import uvicorn
from fastapi import BackgroundTasks, FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketState
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from trackside.instruments.registry import Registry
from trackside.sdk.middleware.asgi import AsgiMiddleware
from trackside.sdk.request_metrics import RequestMetrics, RequestMetricsOptions

app = FastAPI()
SENT = Event()
"""Until then the mail is on its way."""


@app.get("/slow-mail")
async def mail(tasks: BackgroundTasks):
    tasks.add_task(SENT.wait, 100)
    return PlainTextResponse("sent")


@app.post("/upload")
async def upload(request: Request):
    return PlainTextResponse(str(len(await request.body())))


@app.get("/stream/{length}")
async def stream(length: int):
    async def body():
        for number in range(length):
            yield b"0123456789"
            await asyncio.sleep(0.02 if number < 5 else 0.2)

    return StreamingResponse(body())


@app.websocket("/rooms/{room}")
async def room(socket: WebSocket):
    await socket.accept()
    try:
        async for text in socket.iter_text():
            if text == "bye":
                await socket.close(4001)
            elif text == "break":
                raise RuntimeError("broken")
            else:
                await socket.send_text(text)
    except WebSocketDisconnect:
        assert socket.client_state is WebSocketState.DISCONNECTED


@app.websocket("/refused")
async def refused(socket: WebSocket):
    await socket.close()


class Denied:
    """Says why not. Starlette's own way to say it is younger than the oldest we support."""

    async def __call__(self, scope, receive, send):
        await receive()
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"who are you?"})


app.router.routes.append(WebSocketRoute("/denied", Denied()))


class Served:
    """The app behind a server in a thread, and what was counted."""

    def __init__(self):
        self.registry = Registry()
        options = RequestMetricsOptions(first_byte=True)
        watched = AsgiMiddleware(app, RequestMetrics(self.registry, options))
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{listening.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(watched, log_level="critical", lifespan="off"))
        self._thread = Thread(target=self._server.run, args=([listening],), daemon=True)
        self._thread.start()
        self.until(lambda: self._server.started)

    def stop(self):
        self._server.should_exit = True
        self._thread.join(10)

    def until(self, true):
        """The server notices a little later than its client that something has ended."""
        end = monotonic() + 60
        while not (found := true()):
            assert monotonic() < end, "\n".join(map(str, self.values().items()))
            sleep(0.005)
        return found

    def values(self):
        """{(name, path, what else it has)}: value"""
        found = {}
        for family in self.registry.collect():
            for sample in family.samples:
                labels = dict(sample.labels.pairs)
                path = labels.pop("path", "")
                if "le" not in labels:
                    found[(sample.name, path, *labels.values())] = sample.value
        return found

    def websocket(self, path):
        return connect(f"ws://{self.address}{path}", open_timeout=60, close_timeout=60)


@pytest.fixture(scope="module")
def running():
    served = Served()
    yield served
    served.stop()


@pytest.fixture
def served(running):
    """Each test with counts of its own."""
    before = running.values()

    class Since:
        address, websocket, until = running.address, staticmethod(running.websocket), staticmethod(running.until)

        def values(self):
            now = running.values()
            return {key: value - before.get(key, 0) for key, value in now.items() if value != before.get(key, 0)}

        def count(self, *key, at_least=0):
            running.until(lambda: self.values().get(key, -1) >= at_least)
            return self.values()[key]

    return Since()


REQUESTS, DURATION = "http_requests_total", "http_request_duration_seconds_sum"


def test_an_answer_ends_with_its_last_byte_whatever_the_app_does_then(served):
    try:
        assert httpx.get(f"http://{served.address}/slow-mail", timeout=60).text == "sent"
        assert served.count(REQUESTS, "/slow-mail", "GET", "200") == 1
        assert served.count(DURATION, "/slow-mail", "GET", "200") > 0
    finally:
        SENT.set()


def test_bodies_of_any_size_both_ways(served):
    sizes = [0, 10, 1_000_000]

    def chunked():
        yield b"abc"
        yield b"def"

    for size in sizes:
        httpx.post(f"http://{served.address}/upload", content=b"x" * size, timeout=60)
    httpx.post(f"http://{served.address}/upload", content=chunked(), timeout=60)
    assert served.count(REQUESTS, "/upload", "POST", "200", at_least=4) == 4
    assert served.count("http_request_size_bytes_total", "/upload", "POST") == sum(sizes) + 6
    assert served.count("http_response_size_bytes_total", "/upload", "POST") == len("01010000006")


def test_a_stream_read_to_its_end(served):
    assert len(httpx.get(f"http://{served.address}/stream/5", timeout=60).content) == 50
    labels = "/stream/{length}", "GET", "200"
    assert served.count(REQUESTS, *labels) == 1
    assert served.count(DURATION, *labels) > 0.1
    assert served.count("http_request_first_byte_seconds_sum", *labels) < served.count(DURATION, *labels) - 0.05
    assert served.count("http_response_size_bytes_total", "/stream/{length}", "GET") == 50


def test_a_client_that_leaves_in_the_middle_of_a_stream(served):
    with httpx.stream("GET", f"http://{served.address}/stream/1000", timeout=60) as response:
        next(response.iter_raw())
    assert served.count(REQUESTS, "/stream/{length}", "GET", "499") == 1
    running_now = "http_requests_in_progress", "/stream/{length}", "GET"
    assert served.until(lambda: served.values().get(running_now, 0) == 0)


PATH = "/rooms/{room}"
OPEN = "websocket_connections_in_progress"


def test_messages_and_connections_while_they_last(served):
    async def talk():
        async with served.websocket("/rooms/blue") as one, served.websocket("/rooms/red") as other:
            for text in ("a", "b", "c"):
                await one.send(text)
                assert await one.recv() == text
            await other.send("d")
            await other.recv()
            return served.values()

    during = asyncio.run(talk())
    assert during[OPEN, PATH] == 2
    assert during["websocket_connections_total", PATH] == 2
    assert during["websocket_messages_received_total", PATH] == 4
    assert during["websocket_messages_sent_total", PATH] == 4
    assert served.count("websocket_connections_closed_total", PATH, "1000", at_least=2) == 2
    assert served.count("websocket_connection_duration_seconds_count", PATH, at_least=2) == 2
    assert (OPEN, PATH) not in served.values()


async def vanish(client):
    client.transport.abort()


async def say(client, text):
    await client.send(text)
    with pytest.raises(ConnectionClosed):
        await client.recv()


@pytest.mark.parametrize(
    ("end", "codes"),
    [
        pytest.param(lambda client: client.close(), "1000", id="the client is done"),
        pytest.param(lambda client: client.close(4002), "4002", id="the client has a code of its own"),
        pytest.param(lambda client: say(client, "bye"), "4001", id="the app is done"),
        pytest.param(lambda client: say(client, "break"), "1006", id="the app breaks"),
        # The server says so, or that there was no code.
        pytest.param(vanish, "1005 1006", id="the client vanishes"),
    ],
)
def test_why_a_connection_closed(served, end, codes):
    async def talk():
        async with served.websocket("/rooms/blue") as client:
            await client.send("a")
            await client.recv()
            await end(client)

    asyncio.run(talk())
    served.count("websocket_connection_duration_seconds_count", PATH)
    closed = {key[2]: value for key, value in served.values().items() if key[0] == "websocket_connections_closed_total"}
    assert [*closed.values()] == [1]
    assert closed.keys() <= set(codes.split())
    assert (OPEN, PATH) not in served.values()


@pytest.mark.parametrize(
    ("path", "template", "status"),
    [
        pytest.param("/refused", "/refused", 403, id="by the app"),
        pytest.param("/denied", "/denied", 401, id="with an answer"),
        pytest.param("/nowhere", "(unmatched)", 403, id="by the router"),
    ],
)
def test_a_handshake_that_is_refused(served, path, template, status):
    async def ask():
        with pytest.raises(InvalidStatus) as refused:
            async with served.websocket(path):
                pass
        return refused.value.response.status_code

    assert asyncio.run(ask()) == status
    assert served.count("websocket_connections_closed_total", template, "refused") == 1
    assert {key[0] for key in served.values()} == {"websocket_connections_closed_total"}
