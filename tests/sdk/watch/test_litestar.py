import pytest
from litestar import Litestar, Router
from litestar import get as route
from litestar.exceptions import NotAuthorizedException
from litestar.params import FromPath


@route("/items/{item:int}")
async def show(item: FromPath[int]) -> str:
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
