import asyncio
import gzip
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from trackside import Monitor
from trackside.model.metrics import MetricFamily, MetricType
from trackside.sdk.endpoints import Endpoints, Paths, accepts_gzip
from trackside.sdk.health import Health

TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Page:
    """Says what it was asked for."""

    def __init__(self, may_block=False, body=b""):
        self.may_block = may_block
        self.threads = []
        self._body = body

    def render(self, accept, *, own_only=False):
        self.threads.append(threading.current_thread())
        return TEXT, self._body or f"{accept} {own_only}\n".encode()


def checked(**healthy):
    health = Health()
    for name, value in healthy.items():
        health.check(name, lambda value=value: value)
    return health


def both(endpoints, path, method="GET", headers=None):
    """The answer of the two ways to ask, which must be one."""
    answer = endpoints.answer_sync(method, path, headers or {})
    asked = asyncio.run(endpoints.answer(method, path, headers or {}))
    assert answer == asked
    return answer


@pytest.mark.parametrize(
    ("paths", "path"),
    [
        pytest.param(Paths(), "/metrics", id="as it comes"),
        pytest.param(Paths(), "/metrics/", id="with a slash at the end"),
        pytest.param(Paths(prefix="/api/v1"), "/api/v1/metrics", id="with a prefix"),
        pytest.param(Paths(metrics="/internal/prometheus"), "/internal/prometheus", id="elsewhere"),
    ],
)
def test_where_the_metrics_are(paths, path):
    endpoints = Endpoints(paths, Health(), Page())
    answer = both(endpoints, path, headers={"accept": "text/plain"})
    assert (answer.status, answer.body) == (200, b"text/plain False\n")
    assert dict(answer.headers)["content-type"] == TEXT
    assert path in endpoints.paths


def test_the_families_of_the_application_alone():
    assert both(Endpoints(Paths(), Health(), Page()), "/metrics-custom").body == b" True\n"


@pytest.mark.parametrize("path", ["/", "/metric", "/metrics/x", "/metrics//", "/healthy", "/health/", ""])
def test_other_paths_are_none_of_ours(path):
    endpoints = Endpoints(Paths(health=""), Health(), Page())
    assert both(endpoints, path) is None
    assert path not in endpoints.paths


def test_empty_paths_and_no_exposition_are_no_endpoints():
    assert Endpoints(Paths(metrics="", health=""), Health(), Page()).paths == frozenset()
    endpoints = Endpoints(Paths(), Health(), None)
    assert both(endpoints, "/metrics") is None
    assert both(endpoints, "/health").status == 200


@pytest.mark.parametrize("bad", [{"metrics": "metrics"}, {"health": "/health/"}, {"prefix": "/"}])
def test_a_path_that_cannot_be_asked_for_is_refused(bad):
    with pytest.raises(ValueError, match="must begin with a slash and not end with one"):
        Paths(**bad)


@pytest.mark.parametrize("path", ["/metrics", "/health", "/health/live", "/health/ready"])
def test_head_is_get_without_the_body(path):
    endpoints = Endpoints(Paths(), Health(), Page())
    get, head = both(endpoints, path), both(endpoints, path, "HEAD")
    assert head.body == b""
    assert (head.status, head.headers) == (get.status, get.headers)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", ["/metrics", "/health/ready"])
def test_other_methods_are_refused_and_ask_no_probe(path, method):
    calls = []
    health = Health()
    health.check("db", lambda: calls.append(1))
    answer = both(Endpoints(Paths(), health, Page()), path, method)
    assert answer.status == 405
    assert dict(answer.headers)["allow"] == "GET, HEAD"
    assert calls == []


def test_long_pages_are_compressed_for_those_who_can_read_it():
    body = b"a_metric 1\n" * 1000
    endpoints = Endpoints(Paths(), Health(), Page(body=body))
    plain, packed = both(endpoints, "/metrics"), both(endpoints, "/metrics", headers={"accept-encoding": "br, gzip"})
    assert plain.body == body
    assert "content-encoding" not in dict(plain.headers)
    assert gzip.decompress(packed.body) == body
    assert dict(packed.headers)["content-encoding"] == "gzip"
    assert dict(packed.headers)["content-length"] == str(len(packed.body))


def test_short_pages_are_not_worth_it():
    answer = both(Endpoints(Paths(), Health(), Page()), "/metrics", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in dict(answer.headers)


@pytest.mark.parametrize(
    ("header", "accepted"),
    [("", False), ("gzip", True), ("GZIP;q=0.5", True), ("br, *", True), ("gzip; q=0", False), ("identity", False)],
)
def test_who_accepts_gzip(header, accepted):
    assert accepts_gzip(header) is accepted


def test_collectors_of_others_run_beside_the_event_loop():
    page = Page(may_block=True)
    asyncio.run(Endpoints(Paths(), Health(), page).answer("GET", "/metrics", {}))
    assert page.threads != [threading.main_thread()]


@pytest.mark.parametrize(
    ("path", "healthy", "status", "body"),
    [
        pytest.param("/health/ready", {"db": True, "redis": True}, 200,
                     {"status": "ready", "db": True, "redis": True}, id="ready"),
        pytest.param("/health/ready", {"db": True, "redis": False}, 503,
                     {"status": "not_ready", "db": True, "redis": False,
                      "errors": {"redis": "the probe returned False"}}, id="not ready"),
        pytest.param("/health/ready", {}, 200, {"status": "ready"}, id="nothing to check"),
        pytest.param("/health/live", {"db": False}, 200, {"status": "ok"}, id="a restart does not help"),
        pytest.param("/health", {}, 200, {"status": "ok", "checks": {}}, id="all well"),
    ],
)  # fmt: skip
def test_what_the_health_endpoints_say(path, healthy, status, body):
    answer = both(Endpoints(Paths(), checked(**healthy), None), path)
    assert (answer.status, json.loads(answer.body)) == (status, body)
    assert dict(answer.headers)["cache-control"] == "no-store"


def test_a_failing_live_check_asks_for_a_restart():
    health = Health()
    health.check("deadlock", lambda: False, live=True, critical=False)
    answer = both(Endpoints(Paths(), health, None), "/health/live")
    assert answer.status == 503
    assert json.loads(answer.body) == {"status": "failing", "errors": {"deadlock": "the probe returned False"}}


@pytest.mark.parametrize(("critical", "status", "word"), [(True, 503, "failing"), (False, 200, "degraded")])
def test_the_overview_tells_what_matters_from_what_does_not(critical, status, word):
    health = Health()
    health.check("mail", lambda: False, critical=critical)
    answer = both(Endpoints(Paths(), health, None), "/health")
    shown = json.loads(answer.body)
    assert (answer.status, shown["status"]) == (status, word)
    check = shown["checks"]["mail"]
    assert check.pop("duration_ms") >= 0
    assert check == {"status": "failing", "critical": critical, "error": "the probe returned False"}


def test_a_busy_application_is_scraped_all_the_same():
    release = threading.Event()
    endpoints = Endpoints(Paths(), Health(), Page(may_block=True))

    async def ask():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        busy = loop.run_in_executor(None, release.wait, 60)
        try:
            return await asyncio.wait_for(endpoints.answer("GET", "/metrics", {}), 30)
        finally:
            release.set()
            await busy

    assert asyncio.run(ask()).status == 200


def test_a_page_that_hangs_is_not_waited_for_by_everybody():
    release = threading.Event()
    page = Page(may_block=True)
    page.render = lambda accept, own_only=False: (release.wait(60) and TEXT, b"")
    endpoints = Endpoints(Paths(), Health(), page)

    async def ask():
        waiting = [asyncio.ensure_future(endpoints.answer("GET", "/metrics", {})) for _ in range(20)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        refused = [task.result().status for task in waiting if task.done()]
        assert (await endpoints.answer("GET", "/health", {})).status == 200
        release.set()
        return set(refused), {answer.status for answer in await asyncio.gather(*waiting)}

    assert asyncio.run(ask()) == ({503}, {200, 503})


def from_outside():
    yield MetricFamily("theirs", MetricType.GAUGE, "", [])


@pytest.mark.parametrize(
    ("use", "may_block"),
    [
        pytest.param(lambda monitor: monitor.gauge("g").set(1), False, id="nothing of others"),
        pytest.param(lambda monitor: monitor.gauge("g").set_function(lambda: 1), True, id="a function"),
        pytest.param(
            lambda monitor: monitor.gauge("g", labels=("x",)).labels("a").set_function(int), True, id="of one label"
        ),
        pytest.param(lambda monitor: monitor.registry.add_collector(from_outside), True, id="a collector"),
        pytest.param(lambda monitor: monitor.registry.add_collector(partial(iter, ())), True, id="of no module"),
    ],
)
def test_code_of_the_application_does_not_run_on_the_loop(use, may_block, monkeypatch):
    monkeypatch.delitem(sys.modules, "prometheus_client", raising=False)
    monitor = Monitor(environ={}, shared=False)
    use(monitor)
    assert monitor._page.may_block == may_block
