import pytest


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


def test_requests_are_counted_and_answered_as_before(monitor, get_wsgi, counted):
    watched = monitor.watch(app)
    assert get_wsgi(watched, "/some/path").text == "/some/path"
    assert counted(monitor) == {("GET", "(unmatched)", "200"): 1}


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/", "/metrics-custom", "/health", "/health/live", "/health/ready"]
)
def test_our_paths_are_answered_and_not_counted(monitor, get_wsgi, counted, path):
    answer = get_wsgi(monitor.watch(app), path)
    assert answer.status == 200
    assert answer.text != path
    assert counted(monitor) == {}


def test_switched_off_only_the_health_is_left(off, get_wsgi):
    watched = off.watch(app)
    assert get_wsgi(watched, "/metrics").text == "/metrics"
    assert get_wsgi(watched, "/health/ready").text == '{"status": "ready"}'
    refused = get_wsgi(watched, "/health", "POST")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
