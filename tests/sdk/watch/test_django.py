import asyncio
from io import BytesIO
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.test import AsyncRequestFactory
from django.test.utils import override_settings
from django.urls import include, path, re_path

from trackside import Monitor
from trackside.sdk.request_metrics import RequestMetricsOptions
from trackside.sdk.watch.django import Middleware as DjangoMiddleware


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


async def stream_async(request):
    async def chunks():
        yield b"a"
        yield b"b"

    return StreamingHttpResponse(chunks())


def file(request):
    return FileResponse(BytesIO(b"12345"), filename="a.txt")


def forbid(get_response):
    return lambda request: HttpResponse("no", status=403)


class Urls:
    urlpatterns = [
        path("items/<int:item>/", show),
        path("async/<slug:name>", show_async),
        path("broken", broken),
        path("stream", stream),
        path("stream-async", stream_async),
        path("file", file),
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
    pytest.param("/stream-async", "GET", ("GET", "/stream-async", "200"), id="asynchronous stream"),
    pytest.param("/file", "GET", ("GET", "/file", "200"), id="file"),
]
SIZES = [
    pytest.param("/items/1/", 5, id="in memory"),
    pytest.param("/stream-async", 2, id="asynchronous stream"),
    pytest.param("/file", 5, id="file"),
]


def environ_of(path, **more):
    environ = {"PATH_INFO": path, **more}
    setup_testing_defaults(environ)
    return environ


def sizes(monitor):
    return [cell[2] for _, cell in monitor.context.requests.cells()]


@pytest.mark.parametrize(("path", "method", "labels"), CASES)
def test_what_a_request_is_counted_as(monitor, ask, counted, path, method, labels):
    ask(monitor)(path, method)
    assert counted(monitor) == {labels: 1}


@pytest.mark.parametrize(("path", "sent"), SIZES)
def test_the_size_of_an_answer(monitor, ask, path, sent):
    ask(monitor)(path)
    assert sizes(monitor) == [sent]
    assert monitor.context.requests.in_flight == set()


def test_what_is_in_memory_ends_when_django_has_it(monitor, counted):
    handler = monitor.watch(WSGIHandler())
    environ = environ_of("/items/1/")
    body = handler(environ, lambda *about: None)
    assert isinstance(body, HttpResponse)
    assert counted(monitor) == {("GET", "/items/<int:item>/", "200"): 1}
    body.close()
    assert counted(monitor) == {("GET", "/items/<int:item>/", "200"): 1}
    # Nothing of the request may be held by the environ that it holds.
    assert not any(isinstance(value, WSGIRequest) for value in environ.values())


def test_a_file_reaches_the_server_as_it_is(monitor, counted):
    handler = monitor.watch(WSGIHandler())
    body = handler(environ_of("/file", **{"wsgi.file_wrapper": FileWrapper}), lambda *about: None)
    assert type(body) is FileWrapper
    assert counted(monitor) == {("GET", "/file", "200"): 1}
    assert sizes(monitor) == [5]
    body.close()


def leave_in_the_middle(handler, path):
    body = handler(environ_of(path), lambda *about: None)
    next(iter(body))
    body.close()


def test_a_client_that_leaves_in_the_middle_of_a_stream(monitor, counted):
    leave_in_the_middle(monitor.watch(WSGIHandler()), "/stream")
    assert counted(monitor) == {("GET", "/stream", "499"): 1}


def test_what_is_in_progress_is_known_by_its_route(monitor, get_wsgi, samples):
    seen = []

    def look(request, key):
        seen.append(samples(monitor, "http_requests_in_progress", path="/look/<slug:key>"))
        return HttpResponse()

    handler = monitor.watch(WSGIHandler())
    with override_settings(ROOT_URLCONF=type("Own", (), {"urlpatterns": [path("look/<slug:key>", look)]})):
        get_wsgi(handler, "/look/x")
    assert seen == [{("GET",): 1}]


def test_a_handler_with_an_answer_of_its_own_is_watched_like_any_app(monitor, get_wsgi, counted):
    class Handler(WSGIHandler):
        def __call__(self, environ, start_response):
            if environ["PATH_INFO"] != "/own":
                return super().__call__(environ, start_response)
            start_response("201 Created", [])
            return [b"own"]

    handler = monitor.watch(Handler())
    assert get_wsgi(handler, "/own").text == "own"
    assert get_wsgi(handler, "/items/1/").text == "shown"
    assert counted(monitor) == {("GET", "(unmatched)", "201"): 1, ("GET", "/items/<int:item>/", "200"): 1}
    assert sizes(monitor) == [3, 5]


@pytest.mark.parametrize("path", ["/items/1/", "/stream"])
def test_two_monitors_count_for_themselves(monitor, counted, get_wsgi, path):
    other = Monitor("other", environ={})
    handler = other.watch(monitor.watch(WSGIHandler()))
    assert get_wsgi(handler, path).status == 200
    assert counted(monitor) == counted(other)
    assert list(counted(monitor).values()) == [1]


def test_an_error_that_django_lets_through_is_500(monitor, counted, get_wsgi):
    def stop(request):
        raise SystemExit

    handler = monitor.watch(WSGIHandler())
    with (
        override_settings(ROOT_URLCONF=type("Own", (), {"urlpatterns": [path("stop", stop)]})),
        pytest.raises(SystemExit),
    ):
        get_wsgi(handler, "/stop")
    assert counted(monitor) == {("GET", "/stop", "500"): 1}
    assert monitor.context.requests.in_flight == set()


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


def answers_errors(get_response):
    """A middleware of the application's, which makes an answer of what a view raises."""

    def middleware(request):
        return get_response(request)

    middleware.process_exception = lambda request, error: HttpResponse("sorry", status=503)
    return middleware


@pytest.mark.parametrize("how", ["handler", "middleware", "both", "handler, and an answer is made of it"])
def test_exceptions_are_counted_once_for_those_who_want_them(ask, how):
    monitor = Monitor("shop", environ={}, requests=RequestMetricsOptions.preset("django_prometheus"))
    ours = "trackside.sdk.watch.django.Middleware"
    middleware = {"handler": [], "handler, and an answer is made of it": [f"{__name__}.answers_errors"]}
    with override_settings(MIDDLEWARE=middleware.get(how, [ours]), TRACKSIDE_MONITOR=monitor):
        get = ask(None if how == "middleware" else monitor)
        for path in ("/broken", "/items/1/", "/broken", "/nowhere"):
            get(path)
    text = monitor.exposition().decode()
    assert 'django_http_exceptions_total_by_type_total{type="RuntimeError"} 2\n' in text
    assert 'django_http_exceptions_total_by_view_total{view="/broken"} 2\n' in text
    assert "trackside_sdk_errors_total{" not in text


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

    @pytest.mark.parametrize(("path", "sent"), SIZES)
    def test_the_size_of_an_answer(self, monitor, ask, path, sent):
        ask()(path)
        assert sizes(monitor) == [sent]
        assert monitor.context.requests.in_flight == set()

    def test_a_client_that_leaves_in_the_middle_of_a_stream(self, monitor, counted):
        leave_in_the_middle(WSGIHandler(), "/stream")
        assert counted(monitor) == {("GET", "/stream", "499"): 1}

    def test_a_client_that_leaves_before_an_asynchronous_answer(self, monitor, counted):
        async def cancelled(request):
            raise asyncio.CancelledError

        async def ask():
            await DjangoMiddleware(cancelled)(AsyncRequestFactory().get("/items/1/"))

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(ask())
        assert counted(monitor) == {("GET", "(unmatched)", "499"): 1}
        assert monitor.context.requests.in_flight == set()

    def test_excluded_paths_are_not_counted(self, ask, counted):
        monitor = Monitor("shop", excluded_paths=["/items/*"], environ={})
        with override_settings(TRACKSIDE_MONITOR=monitor):
            get = ask()
        assert [get(path).status for path in ("/items/1/", "/async/x")] == [200, 200]
        assert counted(monitor) == {("GET", "/async/<slug:name>", "200"): 1}

    def test_listed_twice_it_counts_once(self, ask, counted, monitor):
        with override_settings(MIDDLEWARE=["trackside.sdk.watch.django.Middleware"] * 2):
            ask()("/items/1/")
        assert counted(monitor) == {("GET", "/items/<int:item>/", "200"): 1}

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
