import asyncio

import pytest
from fastapi import FastAPI
from flask import Flask
from flask import Response as FlaskResponse
from opentelemetry.trace import StatusCode
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient

PARENT = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
TRACE_ID = int("0af7651916cd43dd8448eb211c80319c", 16)


def text(request):
    return PlainTextResponse("x")


def boom(request):
    raise ValueError("no")


def client(monitor, *routes):
    return TestClient(monitor.watch(Starlette(routes=list(routes))), raise_server_exceptions=False)


def test_a_request_is_a_span_of_the_callers_trace(monitor, spans):
    client(monitor, Route("/items/{id}", text)).get("/items/3", headers=PARENT)
    found = spans.named("GET /items/{id}")
    assert found.kind.name == "SERVER"
    assert found.context.trace_id == TRACE_ID
    assert f"{found.parent.span_id:016x}" == "b7ad6b7169203331"
    attributes = dict(found.attributes)
    assert attributes.pop("client.address")
    assert attributes == {
        "http.request.method": "GET",
        "http.route": "/items/{id}",
        "http.response.status_code": 200,
        "url.path": "/items/3",
        "url.scheme": "http",
    }


def test_what_a_request_does_is_within_it(monitor, spans):
    def work(request):
        with monitor.span("work"):
            return PlainTextResponse("x")

    client(monitor, Mount("/t/{tenant}", routes=[Route("/work", work)])).get("/t/acme/work")
    outer = spans.named("GET /t/{tenant}/work")
    assert spans.named("work").parent.span_id == outer.context.span_id
    assert outer.parent is None


def test_an_error_is_on_the_span(monitor, spans):
    client(monitor, Route("/boom", boom)).get("/boom")
    found = spans.named("GET /boom")
    assert found.status.status_code is StatusCode.ERROR
    assert found.attributes["http.response.status_code"] == 500


def test_an_application_that_raises_has_a_status_of_its_own(monitor, spans):
    async def app(scope, receive, send):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        TestClient(monitor.watch(app)).get("/")
    found = spans.named("GET")
    assert found.attributes["http.response.status_code"] == 500
    assert found.attributes["error.type"] == "ValueError"
    assert found.events[0].attributes["exception.message"] == "no"


def test_background_tasks_are_no_part_of_its_time(monitor, spans):
    ended = []

    def root(request):
        return PlainTextResponse("x", background=BackgroundTask(lambda: ended.extend(spans.finished)))

    client(monitor, Route("/", root)).get("/")
    assert [span.name for span in ended] == ["GET /"]


def test_made_up_methods_and_paths_make_no_names(monitor, spans):
    known = client(monitor, Route("/", text))
    for number in range(3):
        known.request(f"M{number}", f"/{number}")
    assert {span.name for span in spans.finished} == {"_OTHER"}


def test_our_own_endpoints_are_not_traced(monitor, spans):
    known = client(monitor)
    known.get("/metrics")
    known.get("/health")
    assert spans.finished == ()


def test_an_app_in_an_app_is_one_span(monitor, spans):
    inner = monitor.watch(Starlette(routes=[Route("/x", text)]))
    client(monitor, Mount("/in", app=inner)).get("/in/x")
    assert len(spans.finished) == 1


def test_fastapi_that_traces_itself_is_left_to_it(monitor, spans):
    app = FastAPI()
    app.get("/items/{id}")(lambda id: {})
    TestClient(monitor.watch(app)).get("/items/3", headers=PARENT)
    servers = [span for span in spans.finished if span.kind.name == "SERVER"]
    assert [(span.name, span.context.trace_id) for span in servers] == [("GET /items/{id}", TRACE_ID)]


def test_fastapi_that_does_not_trace_itself_is_traced(monitor, spans):
    app = FastAPI(telemetry={"tracing": False})
    app.get("/items/{id}")(lambda id: {})
    TestClient(monitor.watch(app)).get("/items/3")
    assert spans.named("GET /items/{id}").instrumentation_scope.name == "trackside"


def test_an_app_that_opentelemetry_instruments_is_left_to_it(monitor, spans):
    app = Starlette(routes=[Route("/", text)])
    app._is_instrumented_by_opentelemetry = True
    TestClient(monitor.watch(app)).get("/")
    assert spans.finished == ()


def test_a_websocket_is_a_span(monitor, spans):
    async def talk(socket):
        await socket.accept()
        await socket.close()

    with client(monitor, WebSocketRoute("/ws/{room}", talk)).websocket_connect("/ws/1"):
        pass
    assert spans.named("GET /ws/{room}").context.trace_id


@pytest.mark.parametrize("value", ["", "00-xx", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "ü" * 5_000], ids=repr)
def test_a_parent_that_is_none_begins_a_new_trace(monitor, spans, value):
    client(monitor, Route("/", text)).get("/", headers={"traceparent": value.encode("latin-1")})
    assert spans.named("GET /").parent is None


def flask_client(monitor):
    app = Flask("shop")

    @app.get("/items/<int:id>")
    def item(id):
        with monitor.span("work"):
            return "x"

    @app.get("/stream")
    def stream():
        def chunks():
            with monitor.span("chunk"):
                yield "a"

        return chunks()

    @app.get("/boom")
    def boom():
        raise ValueError("no")

    return monitor.watch(app).test_client()


def test_a_wsgi_request_is_a_span_of_the_callers_trace(monitor, spans):
    assert flask_client(monitor).get("/items/3", headers=PARENT).data == b"x"
    found = spans.named("GET /items/<int:id>")
    assert (found.context.trace_id, found.attributes["http.response.status_code"]) == (TRACE_ID, 200)
    assert spans.named("work").parent.span_id == found.context.span_id


def test_a_wsgi_stream_is_within_its_span(monitor, spans):
    assert flask_client(monitor).get("/stream").data == b"a"
    outer = spans.named("GET /stream")
    assert spans.named("chunk").parent.span_id == outer.context.span_id
    assert outer.end_time >= spans.named("chunk").end_time


def test_a_wsgi_error_is_on_the_span(monitor, spans):
    assert flask_client(monitor).get("/boom").data
    assert spans.named("GET /boom").status.status_code is StatusCode.ERROR


def test_a_wsgi_app_that_raises(monitor, spans):
    def fail(environ, start_response):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        monitor.watch(fail)({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, None)
    assert spans.named("GET").attributes["error.type"] == "ValueError"


def test_many_requests_at_once_do_not_mix(monitor, spans):
    async def work(request):
        with monitor.span(f"work {request.path_params['id']}"):
            await asyncio.sleep(0.001)
        return PlainTextResponse("x")

    app = monitor.watch(Starlette(routes=[Route("/{id}", work)]))

    async def asked(number):
        async def send(message):
            return None

        scope = {"type": "http", "method": "GET", "path": f"/{number}", "headers": [], "query_string": b""}
        await app(scope, None, send)

    async def all_at_once():
        await asyncio.gather(*(asked(number) for number in range(20)))

    asyncio.run(all_at_once())
    servers = {span.context.span_id: span.attributes["url.path"] for span in spans.finished if span.parent is None}
    worked = [span for span in spans.finished if span.parent is not None]
    assert len(servers) == len(worked) == 20
    assert all(servers[span.parent.span_id] == f"/{span.name.split()[1]}" for span in worked)


def exemplars(ask):
    """Of the buckets of durations, after scrapers have said that they want them and `/items/3` was asked for."""
    wanted = {"Accept": "application/openmetrics-text"}
    ask("/metrics", headers=wanted)
    assert ask("/items/3", headers=PARENT).text
    lines = ask("/metrics", headers=wanted).text.splitlines()
    return [line.partition(" # ")[2] for line in lines if "duration_seconds_bucket" in line and " # " in line]


def starlette(monitor):
    return client(monitor, Route("/items/{id}", text)).get


def streamed(monitor):
    async def chunks():
        yield b"a"
        yield b"b"

    return client(monitor, Route("/items/{id}", lambda request: StreamingResponse(chunks()))).get


def flask(monitor):
    app = Flask(__name__)
    app.add_url_rule("/items/<id>", view_func=lambda id: "text")
    return monitor.watch(app).test_client().get


def flask_streamed(monitor):
    app = Flask(__name__)
    app.add_url_rule("/items/<id>", view_func=lambda id: FlaskResponse(iter([b"a", b"b"])))
    return monitor.watch(app).test_client().get


@pytest.mark.parametrize("make", [starlette, streamed, flask, flask_streamed])
def test_the_duration_of_a_request_carries_its_span(monitor, spans, make):
    (exemplar,) = exemplars(make(monitor))
    (span,) = [span for span in spans.finished if span.attributes["url.path"] == "/items/3"]
    assert f'trace_id="{TRACE_ID:032x}"' in exemplar
    assert f'span_id="{span.context.span_id:016x}"' in exemplar
