import pytest
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse, StreamingHttpResponse
from django.test.utils import override_settings
from django.urls import include, path, re_path


def show(request, **parameters):
    return HttpResponse("shown")


async def show_async(request, **parameters):
    return HttpResponse("shown")


def broken(request):
    raise RuntimeError("broken")


def stream(request):
    async def chunks():
        yield b"a"

    return StreamingHttpResponse(chunks() if hasattr(request, "scope") else iter([b"a", b"b"]))


def forbid(get_response):
    return lambda request: HttpResponse("no", status=403)


class Urls:
    urlpatterns = [
        path("items/<int:item>/", show),
        path("async/<slug:name>", show_async),
        path("broken", broken),
        path("stream", stream),
        path("api/", include([path("orders/<int:order>", show)])),
        re_path(r"^archive/(?P<year>[0-9]{4})/$", show),
        path("health/live", show),
    ]


@pytest.fixture(autouse=True)
def configured():
    if not settings.configured:
        settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"], DEFAULT_CHARSET="utf-8")
    with override_settings(ROOT_URLCONF=Urls, MIDDLEWARE=[], ALLOWED_HOSTS=["*"], DEBUG=False):
        yield


@pytest.fixture(params=["ASGI", "WSGI"])
def ask(request, get, get_wsgi):
    """Makes a handler, lets it be watched and gives the function that asks it."""

    def ask(monitor=None):
        handler = ASGIHandler() if request.param == "ASGI" else WSGIHandler()
        if monitor is not None:
            assert monitor.watch(handler) is handler
            assert monitor.watch(handler) is handler
        how = get if request.param == "ASGI" else get_wsgi
        return lambda path, method="GET": how(handler, path, method)

    return ask


CASES = [
    pytest.param("/items/1/", "GET", ("GET", "/items/<int:item>/", "200"), id="found"),
    pytest.param("/async/x", "GET", ("GET", "/async/<slug:name>", "200"), id="asynchronous view"),
    pytest.param("/api/orders/1", "GET", ("GET", "/api/orders/<int:order>", "200"), id="included"),
    pytest.param("/archive/2026/", "GET", ("GET", "/archive/(?P<year>[0-9]{4})/", "200"), id="regular expression"),
    pytest.param("/scan.php", "GET", ("GET", "(unmatched)", "404"), id="not found"),
    pytest.param("/items/1/", "BREW", ("_OTHER", "/items/<int:item>/", "200"), id="made-up method"),
    pytest.param("/broken", "GET", ("GET", "/broken", "500"), id="unhandled exception"),
    pytest.param("/stream", "GET", ("GET", "/stream", "200"), id="stream"),
]


@pytest.mark.parametrize(("path", "method", "labels"), CASES)
def test_what_a_request_is_counted_as(monitor, ask, counted, path, method, labels):
    ask(monitor)(path, method)
    assert counted(monitor) == {labels: 1}


def test_the_handler_stays_what_it_was(monitor):
    assert isinstance(monitor.watch(WSGIHandler()), WSGIHandler)
    assert isinstance(monitor.watch(ASGIHandler()), ASGIHandler)


def test_our_endpoints_come_before_djangos_middleware(monitor, ask):
    with override_settings(MIDDLEWARE=[f"{__name__}.forbid"]):
        get = ask(monitor)
    assert get("/items/1/").status == 403
    assert "app_info" in get("/metrics").text
    assert get("/health/ready").text == '{"status": "ready"}'


def test_its_own_route_wins(monitor, ask):
    assert ask(monitor)("/health/live").text == "shown"


def test_switched_off_the_metrics_are_the_applications_own_404(off, ask):
    get = ask(off)
    assert get("/metrics").status == 404
    assert get("/health").text == '{"status": "ok", "checks": {}}'


class TestAsMiddleware:
    @pytest.fixture(autouse=True)
    def configured_with_it(self, monitor, configured):
        with override_settings(MIDDLEWARE=["trackside.sdk.watch.django.Middleware"], TRACKSIDE_MONITOR=monitor):
            yield

    @pytest.mark.parametrize(("path", "method", "labels"), CASES)
    def test_what_a_request_is_counted_as(self, monitor, ask, counted, path, method, labels):
        ask()(path, method)
        assert counted(monitor) == {labels: 1}

    def test_our_endpoints_are_answered(self, ask, counted, monitor):
        get = ask()
        assert "app_info" in get("/metrics").text
        assert get("/health/ready").text == '{"status": "ready"}'
        assert get("/health/live").text == "shown"
        assert counted(monitor) == {("GET", "/health/live", "200"): 1}

    def test_a_watched_handler_counts_once(self, ask, counted, monitor):
        ask(monitor)("/items/1/")
        assert counted(monitor) == {("GET", "/items/<int:item>/", "200"): 1}

    def test_without_a_monitor_in_the_settings_there_is_one_all_the_same(self, ask):
        with override_settings(TRACKSIDE_MONITOR=None):
            assert "app_info" in ask()("/metrics").text

    def test_switched_off_it_only_answers_for_the_health(self, ask, off):
        with override_settings(TRACKSIDE_MONITOR=off):
            get = ask()
        assert get("/metrics").status == 404
        assert get("/items/1/").text == "shown"
        assert get("/health").status == 200
