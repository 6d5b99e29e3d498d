import asyncio

import pytest


async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def test_requests_are_counted_and_answered_as_before(monitor, get, counted):
    watched = monitor.watch(app)
    assert get(watched, "/some/path").text == "/some/path"
    assert counted(monitor) == {("GET", "(unmatched)", "200"): 1}


def test_a_thousand_paths_of_scanners_are_one_series(monitor, counted):
    watched = monitor.watch(app)

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        pass

    async def scan():
        for number in range(1000):
            await watched({"type": "http", "method": "GET", "path": f"/{number}", "headers": []}, receive, send)

    asyncio.run(scan())
    assert counted(monitor) == {("GET", "(unmatched)", "200"): 1000}


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/", "/metrics-custom", "/health", "/health/live", "/health/ready"]
)
def test_our_paths_are_answered_and_not_counted(monitor, get, counted, path):
    answer = get(monitor.watch(app), path)
    assert answer.status == 200
    assert answer.text != path
    assert counted(monitor) == {}


def test_behind_a_root_path_ours_are_below_it(monitor, get):
    watched = monitor.watch(app)
    assert "app_info" in get(watched, "/api/metrics", root_path="/api").text


def test_the_format_is_negotiated(monitor, get):
    answer = get(monitor.watch(app), "/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_switched_off_only_the_health_is_left(off, get):
    watched = off.watch(app)
    assert get(watched, "/metrics").text == "/metrics"
    assert get(watched, "/health").text == '{"status": "ok", "checks": {}}'
    assert get(watched, "/api/health/ready", root_path="/api").text == '{"status": "ready"}'


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_other_kinds_of_connection_pass_through(monitor, off, kind):
    seen = []

    async def other(scope, receive, send):
        seen.append(scope["type"])

    for watcher in (monitor, off):
        asyncio.run(watcher.watch(other)({"type": kind, "path": "/metrics"}, None, None))
    assert seen == [kind, kind]
