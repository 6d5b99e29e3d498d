import sys
import time
from dataclasses import dataclass
from io import BytesIO
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from flask import Flask
from flask import Response as FlaskResponse
from flask import request as flask_request
from werkzeug.test import Client

from trackside.instruments.registry import Registry
from trackside.sdk.middleware.wsgi import WsgiMiddleware
from trackside.sdk.middleware.wsgi_requests import UNKNOWN_FRAMEWORK, Framework
from trackside.sdk.request_metrics import BUCKETS, RequestMetrics, RequestMetricsOptions


@dataclass(frozen=True)
class Response:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Watched:
    """An app behind the middleware, and what was counted."""

    def __init__(self, app, options=None, answer=None, paths=(), framework=UNKNOWN_FRAMEWORK):
        self.registry = Registry()
        self.metrics = RequestMetrics(self.registry, options)
        self.app = WsgiMiddleware(app, self.metrics, answer, framework, paths)
        self.client = Client(self.app)

    def call(self, path="/", method="GET", **environ):
        started = []

        def start_response(status, headers, exc_info=None):
            started.append((status, headers))
            return started.append

        base = {"REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": ""}
        return started, self.app({**base, **environ}, start_response)

    def counted(self):
        buckets = slice(BUCKETS, BUCKETS + len(self.metrics.bounds) + 1)
        return {key: sum(cell[buckets]) for key, cell in self.metrics.cells()}

    def sizes(self):
        return [(cell[1], cell[2]) for _, cell in self.metrics.cells()]

    def in_progress(self):
        family = next(f for f in self.registry.collect() if f.name.endswith("in_progress"))
        return {(s.labels.get("method"), s.labels.get("path")): s.value for s in family.samples}

    def errors(self):
        family = next(f for f in self.registry.collect() if f.name == "trackside_sdk_errors_total")
        return {s.labels.get("where"): s.value for s in family.samples}


def app_of(body, status="200 OK", headers=()):
    def app(environ, start_response):
        start_response(status, list(headers))
        return body(environ) if callable(body) else body

    return app


def two_chunks(environ):
    yield b"abc"
    yield b"de"


class Closing:
    """A body that says when it was closed."""

    def __init__(self, chunks=(b"abc", b"de"), fails_at=None):
        self.chunks, self.fails_at, self.closed = chunks, fails_at, 0

    def __iter__(self):
        for number, chunk in enumerate(self.chunks):
            if number == self.fails_at:
                raise RuntimeError("bug")
            yield chunk

    def close(self):
        self.closed += 1


def test_a_request_is_counted_at_its_last_byte():
    watched = Watched(app_of(two_chunks))
    started, body = watched.call(CONTENT_LENGTH="7")
    chunks = iter(body)
    assert started == [("200 OK", [])]
    assert [next(chunks), next(chunks)] == [b"abc", b"de"]
    assert watched.counted() == {}
    assert watched.in_progress() == {("GET", "(unmatched)"): 1}
    assert list(chunks) == []
    assert watched.counted() == {("GET", "(unmatched)", "200"): 1}
    assert watched.sizes() == [(7, 5)]
    body.close()
    assert watched.counted() == {("GET", "(unmatched)", "200"): 1}
    assert watched.in_progress() == {("GET", "(unmatched)"): 0}


def test_the_end_is_known_from_the_length_too():
    watched = Watched(app_of(two_chunks, headers=[("Content-Length", "5")]))
    _, body = watched.call()
    chunks = iter(body)
    next(chunks)
    assert watched.counted() == {}
    next(chunks)
    assert watched.counted() == {("GET", "(unmatched)", "200"): 1}
    body.close()
    assert list(watched.counted().values()) == [1]


@pytest.mark.parametrize(
    ("method", "status", "headers", "read", "expected"),
    [
        pytest.param("GET", "200 OK", [], 1, "499", id="early"),
        pytest.param("GET", "200 OK", [], 0, "499", id="before the first byte"),
        pytest.param("GET", "200 OK", [("Content-Length", "5")], 1, "499", id="before the length"),
        pytest.param("GET", "200 OK", [("content-length", "5")], 2, "200", id="at the length"),
        pytest.param("GET", "200 OK", [("Content-Length", "x")], 1, "499", id="at no length at all"),
        pytest.param("HEAD", "200 OK", [("Content-Length", "5")], 0, "200", id="of a HEAD"),
        pytest.param("GET", "204 No Content", [], 0, "204", id="of an answer without a body"),
        pytest.param("GET", "304 Not Modified", [], 0, "304", id="of what is cached"),
    ],
)
def test_a_body_that_is_closed(method, status, headers, read, expected):
    inner = Closing()
    watched = Watched(app_of(inner, status, headers))
    _, body = watched.call(method=method)
    chunks = iter(body)
    for _ in range(read):
        next(chunks)
    body.close()
    assert watched.counted() == {(method, "(unmatched)", expected): 1}
    assert inner.closed == 1


def test_a_body_that_is_forgotten_does_not_stay_in_flight():
    watched = Watched(app_of(two_chunks))
    _, body = watched.call()
    del body
    assert watched.counted() == {("GET", "(unmatched)", "499"): 1}
    assert watched.in_progress() == {("GET", "(unmatched)"): 0}


def test_an_error_is_500_and_reaches_the_server_as_it_is():
    error = RuntimeError("bug")

    def broken(environ, start_response):
        raise error

    watched = Watched(broken)
    with pytest.raises(RuntimeError) as caught:
        watched.call()
    assert caught.value is error
    assert watched.counted() == {("GET", "(unmatched)", "500"): 1}


def test_an_error_in_the_middle_of_a_body_is_500():
    watched = Watched(app_of(Closing(fails_at=1)))
    _, body = watched.call()
    with pytest.raises(RuntimeError, match="bug"):
        list(body)
    body.close()
    assert watched.counted() == {("GET", "(unmatched)", "500"): 1}


def test_what_is_no_body_is_for_the_server_to_judge():
    watched = Watched(app_of(lambda environ: None))
    assert watched.call()[1] is None
    assert watched.counted() == {("GET", "(unmatched)", "500"): 1}


def test_an_app_that_answers_while_it_is_read():
    def late(environ, start_response):
        start_response("202 Accepted", [])
        yield b"x"

    watched = Watched(late)
    started, body = watched.call()
    assert started == []
    assert list(body) == [b"x"]
    assert watched.counted() == {("GET", "(unmatched)", "202"): 1}


def test_an_answer_that_is_replaced_has_the_last_status():
    def second_thoughts(environ, start_response):
        start_response("200 OK", [])
        start_response("503 Sorry", [], (None, None, None))
        return [b"x"]

    watched = Watched(second_thoughts)
    assert list(watched.call()[1]) == [b"x"]
    assert watched.counted() == {("GET", "(unmatched)", "503"): 1}


@pytest.mark.parametrize("status", ["", "odd", "20", None])
def test_a_status_that_is_none_is_500(status):
    watched = Watched(app_of([b"x"], status))
    list(watched.call()[1])
    assert sum(watched.counted().values()) + sum(watched.errors().values()) == 1


def test_what_is_written_the_old_way_counts():
    def old(environ, start_response):
        write = start_response("200 OK", [])
        write(b"1234")
        return [b"56"]

    watched = Watched(old)
    started, body = watched.call()
    list(body)
    assert started[1:] == [b"1234"]
    assert watched.sizes() == [(0, 6)]


@pytest.mark.parametrize(
    ("file", "wrapper"),
    [
        pytest.param(FileWrapper(BytesIO(b"12345")), FileWrapper, id="a class"),
        pytest.param(BytesIO(b"12345"), lambda file, size=0: file, id="a function, as uWSGI's"),
    ],
)
def test_a_file_reaches_the_server_as_it_is(file, wrapper):
    watched = Watched(app_of(file, headers=[("Content-Length", "5")]))
    _, body = watched.call(**{"wsgi.file_wrapper": wrapper})
    assert body is file
    assert watched.sizes() == [(0, 5)]
    assert list(watched.counted().values()) == [1]


@pytest.mark.parametrize("body", [[b"abc", b"de"], (b"abcde",), []], ids=["list", "tuple", "nothing"])
def test_a_body_in_memory_ends_when_it_is_returned_and_is_the_apps_own(body):
    watched = Watched(app_of(body))
    assert watched.call()[1] is body
    assert watched.counted() == {("GET", "(unmatched)", "200"): 1}
    assert watched.sizes() == [(0, len(b"".join(body)))]
    assert watched.metrics.in_flight == set()


def test_what_a_list_must_not_hold_is_for_the_server_to_judge():
    body = [None]
    watched = Watched(app_of(body))
    assert watched.call()[1] is body
    assert watched.counted() == {("GET", "(unmatched)", "200"): 1}


def test_a_body_that_is_its_own_iterator_can_be_taken_for_one():
    watched = Watched(app_of(two_chunks))
    _, body = watched.call()
    assert [next(body), next(body), next(body, None)] == [b"abc", b"de", None]
    assert watched.counted() == {("GET", "(unmatched)", "200"): 1}


def test_a_body_that_is_forgotten_half_read_does_not_stay_in_flight():
    watched = Watched(app_of(two_chunks))
    _, body = watched.call()
    next(iter(body))
    del body
    assert watched.counted() == {("GET", "(unmatched)", "499"): 1}
    assert watched.metrics.in_flight == set()


def test_an_error_while_closing_reaches_the_server_and_counts_once():
    class Stuck(Closing):
        def close(self):
            raise RuntimeError("stuck")

    watched = Watched(app_of(Stuck()))
    _, body = watched.call()
    assert list(body) == [b"abc", b"de"]
    for _ in range(2):
        with pytest.raises(RuntimeError, match="stuck"):
            body.close()
    assert watched.counted() == {("GET", "(unmatched)", "200"): 1}


def test_a_server_that_refuses_a_second_start_is_heard():
    def app(environ, start_response):
        start_response("200 OK", [])
        try:
            raise ValueError("bug")
        except ValueError:
            start_response("500 Oh", [], exc_info=sys.exc_info())
        return [b"never"]

    def start_response(status, headers, exc_info=None):
        if exc_info:
            raise exc_info[1]

    watched = Watched(app)
    with pytest.raises(ValueError, match="bug"):
        watched.app({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, start_response)
    assert watched.counted() == {("GET", "(unmatched)", "500"): 1}


def test_an_empty_chunk_is_not_the_first_byte():
    def app(environ, start_response):
        start_response("200 OK", [])
        yield b""
        time.sleep(0.02)
        yield b"x"

    watched = Watched(app, RequestMetricsOptions(first_byte=True))
    assert b"".join(watched.call()[1]) == b"x"
    found = {s.name: s.value for f in watched.registry.collect() for s in f.samples if s.name.endswith("_sum")}
    assert found["http_request_first_byte_seconds_sum"] >= 0.02


def test_two_monitors_count_for_themselves():
    inner = Watched(app_of(two_chunks))
    outer = Watched(inner.app)
    assert b"".join(outer.call()[1]) == b"abcde"
    assert inner.counted() == outer.counted() == {("GET", "(unmatched)", "200"): 1}


@pytest.mark.parametrize("length", ["", "x", "-5", "1e3", " 5", "9" * 13, "9" * 5_000])
def test_a_length_of_the_request_that_is_none_counts_nothing(length):
    watched = Watched(app_of([b"x"]))
    list(watched.call(CONTENT_LENGTH=length)[1])
    assert watched.sizes() == [(0, 1)]
    assert watched.errors() == {}
    assert watched.counted() == {("GET", "(unmatched)", "200"): 1}


def test_the_template_is_asked_for_at_the_end():
    def app(environ, start_response):
        environ["template"] = "/items/<id>"
        start_response("200 OK", [])
        return [b"x"]

    watched = Watched(app, framework=Framework(lambda environ: environ.get("template")))
    for number in range(100):
        list(watched.call(f"/items/{number}")[1])
    assert watched.counted() == {("GET", "/items/<id>", "200"): 100}


def test_a_template_that_cannot_be_had_does_not_reach_the_app():
    watched = Watched(app_of([b"x"]), framework=Framework(lambda environ: 1 / 0))
    assert list(watched.call()[1]) == [b"x"]
    assert watched.errors() == {"request": 1}
    assert watched.metrics.in_flight == set()


def test_no_input_makes_more_than_a_few_series():
    watched = Watched(app_of([b"x"]))
    for number in range(300):
        list(watched.call(f"/{number}", method=f"M{number}")[1])
    assert watched.counted() == {("_OTHER", "(unmatched)", "200"): 300}


def test_templates_beyond_the_cap_share_one_series():
    watched = Watched(
        app_of([b"x"]), RequestMetricsOptions(max_series=5), framework=Framework(lambda environ: environ["PATH_INFO"])
    )
    for number in range(50):
        list(watched.call(f"/{number}")[1])
    assert len(watched.counted()) == 6


def test_excluded_paths_are_not_counted():
    watched = Watched(app_of([b"x"]), RequestMetricsOptions(excluded_paths=("/health", "/static/*")))
    for path in ("/health", "/static/a.js", "/healthy"):
        list(watched.call(path)[1])
    assert list(watched.counted().values()) == [1]


def test_an_app_watched_twice_is_counted_once():
    watched = Watched(app_of([b"x"]))
    watched.app.app = WsgiMiddleware(watched.app.app, watched.metrics)
    list(watched.call()[1])
    assert list(watched.counted().values()) == [1]


def answer(method, path, headers):
    if path == "/metrics":
        return Response(200, (("content-type", "text/plain"),), f"{method} {headers['accept']}".encode())
    if path == "/odd":
        return Response(799, (), b"")
    if path == "/raises":
        raise RuntimeError
    return None


@pytest.mark.parametrize("paths", [("/metrics",), ("*",)], ids=["listed", "all"])
def test_paths_of_ours_are_answered_and_not_counted(paths):
    watched = Watched(app_of([b"app"]), answer=answer, paths=paths)
    reply = watched.client.get("/metrics", headers={"Accept": "text/x"})
    assert (reply.status, reply.text, reply.headers["Content-Length"]) == ("200 OK", "GET text/x", "10")
    assert watched.counted() == {}
    reply = watched.client.head("/metrics", headers={"Accept": "text/x"})
    assert (reply.data, reply.headers["Content-Length"]) == (b"", "11")


def test_where_we_have_no_answer_the_app_has_one():
    watched = Watched(app_of([b"app"]), answer=answer, paths=("*",))
    assert [watched.client.get(path).text for path in ("/raises", "/other")] == ["app", "app"]
    assert watched.errors() == {"answer": 1}
    assert watched.client.get("/odd").status == "799 Unknown"


def test_a_flask_app_that_streams_raises_and_answers():
    app = Flask("shop")

    @app.get("/items/<int:number>")
    def item(number):
        return {"number": number}

    @app.post("/echo")
    def echo():
        return flask_request.data

    @app.get("/bug")
    def bug():
        raise RuntimeError

    @app.get("/stream")
    def stream():
        return FlaskResponse(iter(["a", "b"]))

    @app.before_request
    def keep_template():
        if flask_request.url_rule is not None:
            flask_request.environ["template"] = flask_request.url_rule.rule

    watched = Watched(app.wsgi_app, framework=Framework(lambda environ: environ.get("template")))
    app.wsgi_app = watched.app
    client = app.test_client()
    for path in ("/items/1", "/items/2", "/bug", "/nothing"):
        client.get(path)
    assert client.post("/echo", data=b"12345").data == b"12345"
    assert client.get("/stream").data == b"ab"
    assert watched.counted() == {
        ("GET", "/items/<int:number>", "200"): 2,
        ("GET", "/bug", "500"): 1,
        ("GET", "(unmatched)", "404"): 1,
        ("POST", "/echo", "200"): 1,
        ("GET", "/stream", "200"): 1,
    }
    assert (5, 5) in watched.sizes()


@pytest.mark.parametrize("body", [[b"abc"], two_chunks], ids=["a list", "a generator"])
def test_what_servers_may_expect_of_an_app_still_holds(body):
    wrapped = Watched(validator(app_of(body, headers=[("Content-Type", "text/plain")])))
    client = Client(validator(wrapped.app))
    reply = client.get("/", buffered=True)
    assert reply.data.startswith(b"abc")
    assert list(wrapped.counted().values()) == [1]


def test_the_first_byte_of_a_stream_and_its_last():
    def app(environ, start_response):
        start_response("200 OK", [])

        def body():
            time.sleep(0.02)
            yield b"x"
            time.sleep(0.03)
            yield b"y"

        return body()

    watched = Watched(app, RequestMetricsOptions(first_byte=True))
    _, chunks = watched.call()
    assert b"".join(chunks) == b"xy"
    chunks.close()
    found = {s.name: s.value for f in watched.registry.collect() for s in f.samples if s.name.endswith("_sum")}
    assert 0.02 <= found["http_request_first_byte_seconds_sum"] <= found["http_request_duration_seconds_sum"] - 0.02


def test_the_scheme_is_the_servers_where_it_matters():
    watched = Watched(app_of([b"x"]), RequestMetricsOptions.preset("otel"))
    for scheme in ("https", "http", "https", "gopher"):
        list(watched.call(**{"wsgi.url_scheme": scheme})[1])

    counts = {}
    for key, count in watched.counted().items():
        counts[key[3]] = counts.get(key[3], 0) + count
    assert counts == {"https": 2, "http": 1, "other": 1}
