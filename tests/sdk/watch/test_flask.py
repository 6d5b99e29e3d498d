import pytest
from flask import Blueprint, Flask, Response, abort


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
