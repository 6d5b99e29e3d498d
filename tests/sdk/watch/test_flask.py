from io import BytesIO

import pytest
from flask import Blueprint, Flask, Response, abort, send_file
from werkzeug.test import EnvironBuilder
from werkzeug.wsgi import ClosingIterator

from trackside import Monitor
from trackside.sdk.request_metrics import RequestMetricsOptions


@pytest.fixture
def app(monitor):
    app = Flask(__name__)
    pages = Blueprint("pages", __name__, url_prefix="/pages")

    @app.get("/items/<int:item>")
    def show(item):
        return "shown"

    @pages.get("/<slug>")
    def page(slug):
        return slug

    @app.get("/broken")
    def broken():
        raise RuntimeError("broken")

    @app.get("/stream")
    def stream():
        return Response(iter([b"a", b"b"]))

    @app.get("/told")
    def told():
        return Response(iter([b"a", b"b"]), headers={"Content-Length": "2"})

    @app.get("/texts")
    def texts():
        return Response(["ä", b"b"])

    @app.get("/chunks")
    def chunks():
        return Response([b"abc", b"de"])

    @app.get("/nothing")
    def nothing():
        return b"never sent", 204

    @app.get("/file")
    def file():
        return send_file(BytesIO(b"12345"), "text/plain")

    app.register_blueprint(pages)
    return monitor.watch(app)


@pytest.mark.parametrize(
    ("path", "method", "labels"),
    [
        pytest.param("/items/1", "GET", ("GET", "/items/<int:item>", "200"), id="found"),
        pytest.param("/items/1", "POST", ("POST", "(unmatched)", "405"), id="method not allowed"),
        pytest.param("/items/1", "BREW", ("_OTHER", "(unmatched)", "405"), id="made-up method"),
        pytest.param("/pages/hello", "GET", ("GET", "/pages/<slug>", "200"), id="blueprint"),
        pytest.param("/scan.php", "GET", ("GET", "(unmatched)", "404"), id="not found"),
        pytest.param("/broken", "GET", ("GET", "/broken", "500"), id="unhandled exception"),
        pytest.param("/stream", "GET", ("GET", "/stream", "200"), id="stream"),
    ],
)
def test_what_a_request_is_counted_as(monitor, app, get_wsgi, counted, path, method, labels):
    get_wsgi(app, path, method)
    assert counted(monitor) == {labels: 1}


def test_the_application_comes_back_itself_and_counts_once(monitor, app, get_wsgi, counted):
    assert monitor.watch(app) is app
    assert get_wsgi(app, "/items/1").text == "shown"
    assert counted(monitor) == {("GET", "/items/<int:item>", "200"): 1}


def test_flasks_own_client_is_measured_too(monitor, app, counted):
    assert app.test_client().get("/items/1").text == "shown"
    assert counted(monitor) == {("GET", "/items/<int:item>", "200"): 1}


def test_the_route_is_known_though_the_request_ends_before_it(monitor, app, get_wsgi, counted):
    app.before_request(lambda: abort(403))
    assert get_wsgi(app, "/items/1").status == 403
    assert counted(monitor) == {("GET", "/items/<int:item>", "403"): 1}
    assert "app_info" in get_wsgi(app, "/metrics").text


def test_another_application_is_another_matter(monitor, app, get_wsgi, counted):
    other = Flask("other")
    other.add_url_rule("/", view_func=lambda: "other")
    get_wsgi(other, "/")
    assert counted(monitor) == {}


def test_its_own_route_wins(app, get_wsgi):
    app.add_url_rule("/health", "own", view_func=lambda: "theirs")
    app.add_url_rule("/health/live/", "alive", view_func=lambda: "theirs too")
    assert get_wsgi(app, "/health").text == "theirs"
    assert get_wsgi(app, "/health/live/").text == "theirs too"
    assert get_wsgi(app, "/health/ready").text == '{"status": "ready"}'


def test_a_coroutine_can_be_a_health_check(monitor, app, get_wsgi):
    async def database():
        return False

    monitor.health.check("db", database)
    answer = get_wsgi(app, "/health/ready")
    assert (answer.status, answer.text) == (
        503,
        '{"status": "not_ready", "db": false, "errors": {"db": "the probe returned False"}}',
    )


def test_switched_off_the_metrics_are_the_applications_own_404(off, get_wsgi):
    app = off.watch(Flask(__name__))
    assert get_wsgi(app, "/metrics").status == 404
    assert get_wsgi(app, "/health").status == 200


@pytest.mark.parametrize(
    ("path", "method", "status", "sent"),
    [
        pytest.param("/items/1", "GET", "200", 5, id="in memory"),
        pytest.param("/chunks", "GET", "200", 5, id="in several chunks"),
        pytest.param("/texts", "GET", "200", 3, id="texts to be encoded"),
        pytest.param("/items/1", "HEAD", "200", 0, id="HEAD"),
        pytest.param("/nothing", "GET", "204", 0, id="without a body"),
        pytest.param("/stream", "GET", "200", 2, id="stream"),
        pytest.param("/told", "GET", "200", 2, id="stream of a known length"),
        pytest.param("/file", "GET", "200", 5, id="file"),
    ],
)
def test_the_size_of_an_answer(monitor, app, get_wsgi, path, method, status, sent):
    get_wsgi(app, path, method)
    requests = monitor.context.requests
    assert [(key[2], cell[2]) for key, cell in requests.cells()] == [(status, sent)]
    assert requests.in_flight == set()


@pytest.mark.parametrize("path", ["/stream", "/told"])
def test_a_client_that_leaves_in_the_middle_of_a_stream(app, monitor, counted, path):
    started = []
    body = app(environ_of(path), lambda *about: started.append(about))
    assert next(iter(body)) == b"a"
    assert counted(monitor) == {}
    body.close()
    assert counted(monitor) == {("GET", path, "499"): 1}


def test_what_is_in_memory_ends_when_flask_returns_it_and_is_closed_by_the_server(monitor, app, counted):
    closed = []

    @app.after_request
    def at_the_end(response):
        response.call_on_close(lambda: closed.append(True))
        return response

    body = app(environ_of("/items/1"), lambda *about: None)
    assert counted(monitor) == {("GET", "/items/<int:item>", "200"): 1}
    assert closed == []
    assert list(body) == [b"shown"]
    body.close()
    assert closed == [True]
    assert counted(monitor) == {("GET", "/items/<int:item>", "200"): 1}


def test_what_is_in_progress_is_known_by_its_route(monitor, app, get_wsgi, samples):
    seen = []
    app.add_url_rule(
        "/slow/<key>",
        view_func=lambda key: seen.append(samples(monitor, "http_requests_in_progress", path="/slow/<key>")) or key,
    )
    get_wsgi(app, "/slow/1")
    assert seen == [{("GET",): 1}]


def test_a_body_that_is_no_responses_is_followed_to_its_end(monitor, counted):
    app = Flask("other")

    def answer(environ, start_response):
        start_response("200 OK", [])
        return ClosingIterator([b"a"], lambda: None)

    app.wsgi_app = answer
    monitor.watch(app)
    body = app(environ_of("/"), lambda *about: None)
    assert counted(monitor) == {}
    assert list(body) == [b"a"]
    assert counted(monitor) == {("GET", "(unmatched)", "200"): 1}


def environ_of(path):
    return EnvironBuilder(path).get_environ()


@pytest.mark.parametrize("debug", [False, True], ids=["answered", "handed on, as when debugging"])
def test_exceptions_are_counted_once_for_those_who_want_them(get_wsgi, debug):
    monitor = Monitor("shop", environ={}, requests=RequestMetricsOptions.preset("flask_exporter"))
    app = Flask(__name__)
    app.testing = debug
    app.add_url_rule("/broken", "broken", lambda: 1 / 0)
    app.add_url_rule("/gone", "gone", lambda: abort(410))
    get_wsgi(app, "/gone")
    # It has started: nothing can be added to it any more.
    monitor.watch(app)
    for path in ("/broken", "/gone", "/broken", "/nowhere"):
        try:
            get_wsgi(app, path)
        except ZeroDivisionError:
            assert debug
    text = monitor.exposition().decode()
    assert 'flask_http_request_exceptions_total{method="GET",status="500"} 2\n' in text
    assert text.count("flask_http_request_exceptions_total{") == 1
    assert "trackside_sdk_errors_total{" not in text
