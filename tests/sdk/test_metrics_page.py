import gc
import subprocess
import sys
import textwrap

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as their_openmetrics

from trackside import Monitor
from trackside.instruments.registry import Registry
from trackside.sdk.ai.metrics import AiMetrics
from trackside.sdk.families.maker import Maker
from trackside.sdk.integrations import Integrations
from trackside.sdk.job_metrics import JobMetrics
from trackside.sdk.middleware.sockets import Families as SocketFamilies
from trackside.sdk.runtime.event_loops import EventLoops
from trackside.sdk.runtime.gc_pauses import GcPauses
from trackside.sdk.watch.database_metrics import DatabaseMetrics
from trackside.sdk.watch.mcp import ToolMetrics
from trackside.sdk.watch.redis import WatchedRedis
from trackside.wire import exposition, openmetrics

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def theirs(monkeypatch):
    registry = CollectorRegistry()
    monkeypatch.setattr(prometheus_client, "REGISTRY", registry)
    return registry


@pytest.fixture
def monitor(theirs):
    monitor = Monitor("shop", environ={})
    monitor.counter("orders_total", "Orders.", labels=("kind",)).labels('gift "wrapped"').inc(2)
    monitor.histogram("wait_seconds").observe(0.2)
    monitor.health.check("db", lambda: True)
    monitor.health.report()
    return monitor


def page(monitor, accept="", own_only=False):
    content_type, body = monitor._page.render(accept, own_only=own_only)
    return content_type, body.decode()


def stable(text):
    """Without what changes from one moment to the next."""
    return [line for line in text.splitlines() if not line.startswith(("process_", "python_"))]


@pytest.mark.parametrize(
    ("accept", "render"),
    [pytest.param("", exposition.render, id="text"), pytest.param(OPENMETRICS, openmetrics.render, id="OpenMetrics")],
)
def test_the_page_is_what_the_plain_writer_of_the_format_writes(monitor, accept, render):
    for _ in range(2):  # the second time from what was kept of the first
        content_type, text = page(monitor, accept)
        assert stable(text) == stable(render(monitor.registry.collect()).decode())
    assert content_type.startswith(accept.partition(";")[0] or "text/plain")


def test_the_application_is_told_from_what_every_monitor_has(monitor):
    _, text = page(monitor, own_only=True)
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert names == {"orders_total", "wait_seconds"}


@pytest.mark.parametrize("prefix", ["", "railgun"])
def test_what_adapters_measure_is_not_the_applications_own(theirs, prefix):
    monitor = Monitor("shop", environ={}, prefix=prefix)
    context = monitor.context
    for adapter in (DatabaseMetrics, Integrations, AiMetrics, EventLoops, GcPauses, JobMetrics):
        adapter.of(context)
    WatchedRedis(context)
    ToolMetrics(Maker.of(context))
    SocketFamilies(context.requests)
    monitor.beat("poller", every=3)
    monitor.cache("profiles").hit()
    monitor.messages.received("edge", "anna")
    with monitor.db_write("readings", records=3):
        pass
    monitor.counter("job_applications_total").inc()
    monitor.gauge("redis_keys").set(1)
    prometheus_client.Counter("theirs", "", registry=theirs).inc()
    _, text = page(monitor, own_only=True)
    own = {line.split()[2].removeprefix("railgun_") for line in text.splitlines() if line.startswith("# TYPE")}
    assert {"job_applications_total", "redis_keys", "cache_hits_total", "messages_received_total"} <= own
    assert {"db_writes_total", "theirs_total", "ai_cost_dollars_total"} <= own
    built_in = (
        "http_",
        "websocket_",
        "db_query",
        "db_conn",
        "redis_co",
        "integration_",
        "jobs_",
        "mcp_",
        "beat_",
    )
    assert not [name for name in own if name.startswith((*built_in, "event_loop_", "health_", "process_", "python_"))]


def test_the_process_is_on_the_page(monitor):
    assert "process_start_time_seconds " in page(monitor)[1]


@pytest.mark.parametrize(
    ("accept", "write"),
    [
        pytest.param("", generate_latest, id="text"),
        pytest.param(OPENMETRICS, their_openmetrics.generate_latest, id="OpenMetrics"),
    ],
)
def test_their_objects_are_on_the_page_in_their_own_words(monitor, theirs, accept, write):
    hits = prometheus_client.Counter("hits", "Hits.", ["path"], registry=theirs)
    hits.labels('a"b').inc(2, {"trace_id": "abc"})
    prometheus_client.Histogram("load", "", registry=theirs, buckets=(1, 2)).observe(1.5, {"trace_id": "abc"})
    prometheus_client.Info("build", "Build.", registry=theirs).info({"version": "1"})
    prometheus_client.Gauge("now", "", registry=theirs).set_function(lambda: 1e6)
    alone = CollectorRegistry()
    for collector in theirs._collector_to_names:
        if not type(collector).__module__.startswith("trackside"):
            alone.register(collector)
    for _ in range(2):
        hits.labels("c").inc()
        assert write(alone).decode().removesuffix("# EOF\n") in page(monitor, accept)[1]


def test_a_name_of_ours_is_not_taken_by_theirs_unless_it_is_about_the_process(monitor, theirs):
    prometheus_client.Counter("orders", "Theirs.", registry=theirs).inc(50)
    prometheus_client.Gauge("app_info", "Theirs.", registry=theirs).set(50)
    prometheus_client.Gauge("process_open_fds", "Theirs.", registry=theirs).set(50)
    _, text = page(monitor)
    for name in ("orders_total", "app_info", "process_open_fds"):
        assert text.count(f"# TYPE {name} ") == 1
    assert "process_open_fds 50.0\n" in text
    assert " 50.0\n" not in text.replace("process_open_fds 50.0\n", "")


def test_two_monitors_do_not_show_each_other(theirs):
    first, second = Monitor("anna", environ={}), Monitor("bert", environ={})
    first.counter("ours_total").inc(1)
    first.counter("annas_total").inc(1)
    second.counter("ours_total").inc(2)
    prometheus_client.Counter("theirs", "", registry=theirs).inc()
    for monitor, own, others in ((first, "anna", "bert"), (second, "bert", "anna")):
        for text in (page(monitor)[1], exposition.render(monitor.registry.collect()).decode()):
            assert f'app_info{{service="{own}"}} 1' in text
            assert others not in text
            assert "theirs_total 1" in text
    assert "annas_total" not in page(second)[1]


def test_prometheus_client_shows_each_family_of_two_monitors_once(theirs):
    first, second = Monitor("first", environ={}), Monitor("second", environ={})
    first.counter("ours_total", labels=("x",)).labels("same").inc(1)
    second.counter("ours_total", labels=("x",)).labels("same").inc(2)
    second.counter("ours_total", labels=("x",)).labels("more").inc(4)
    text = generate_latest(theirs).decode()
    lines = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("# ")]
    assert len(lines) == len(set(lines))
    types = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(types) == len(set(types))
    for line in ('app_info{service="first"} 1.0', 'app_info{service="second"} 1.0', 'ours_total{x="more"} 4.0'):
        assert line in text.splitlines()


def test_two_monitors_of_one_registry_show_the_same(theirs):
    registry = Registry()
    first = Monitor("first", environ={}, registry=registry)
    second = Monitor("first", environ={}, registry=registry, prefix="second")
    first.counter("ours_total").inc(1)
    prometheus_client.Counter("theirs", "", registry=theirs).inc()
    for monitor in (first, second):
        text = page(monitor)[1]
        assert (text.count("\nours_total 1"), text.count("\ntheirs_total 1")) == (1, 1)
    assert generate_latest(theirs).decode().count("\nours_total 1.0\n") == 1


def test_a_monitor_that_is_gone_is_shown_no_more(theirs):
    gone = Monitor("gone", environ={})
    assert 'service="gone"' in generate_latest(theirs).decode()
    del gone
    gc.collect()
    assert 'service="gone"' not in generate_latest(theirs).decode()


def test_one_broken_collector_of_theirs_hides_nothing_else(monitor, theirs):
    class Broken:
        def describe(self):
            return ()

        def collect(self):
            raise RuntimeError("broken")

    prometheus_client.Gauge("before", "", registry=theirs).set(1)
    theirs.register(Broken())
    prometheus_client.Gauge("behind", "", registry=theirs).set(2)
    for accept in ("", OPENMETRICS):
        text = page(monitor, accept)[1]
        assert "\nbefore 1.0\n" in text
        assert "\nbehind 2.0\n" in text
    assert 'trackside_sdk_errors_total{where="collector"} 2\n' in text
    families = {family.name for family in monitor.registry.collect()}
    assert {"before", "behind"} <= families


def test_a_collector_of_theirs_may_ask_for_our_page(monitor, theirs):
    class Asks:
        asked = 0

        def describe(self):
            return ()

        def collect(self):
            self.asked += 1
            monitor.exposition()
            # Its own registry asks it again, which no end of ours would end.
            if self.asked < 3:
                generate_latest(theirs)
            return ()

    theirs.register(Asks())
    prometheus_client.Gauge("behind", "", registry=theirs).set(2)
    assert "\nbehind 2.0\n" in page(monitor)[1]


def run(program):
    """In a process of its own: prometheus_client has one registry for all."""
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False, timeout=100
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.split()


@pytest.mark.parametrize("order", ["before", "after"])
def test_prometheus_client_and_we_show_each_other(order):
    first, second = "import prometheus_client", "monitor = Monitor('shop', environ={})"
    if order == "after":
        first, second = second, first
    assert run(f"""
        from trackside import Monitor
        {first}
        {second}
        async def app(scope, receive, send): ...
        monitor.watch(app)
        prometheus_client.Counter("theirs", "Theirs.").inc()
        monitor.counter("ours_total", "Ours.").inc()
        page, custom = monitor.exposition().decode(), monitor._page.render("", own_only=True)[1].decode()
        print("theirs_total 1" in page, page.count("# TYPE process_cpu_seconds_total "))
        print("theirs_total 1" in custom, "ours_total 1" in custom, "process_" in custom, "app_info" in custom)
        print(prometheus_client.REGISTRY.get_sample_value("ours_total"))
        text = prometheus_client.generate_latest().decode()
        print(text.count("# TYPE ours_total "), text.count("# TYPE process_cpu_seconds_total "))
    """) == ["True", "1", "True", "True", "False", "False", "1.0", "1", "1"]


def test_a_slow_collector_of_theirs_does_not_hold_up_the_event_loop():
    assert run("""
        import asyncio, threading, prometheus_client
        from trackside import Monitor
        released, in_time = threading.Event(), []

        class Slow:
            def describe(self): return ()
            def collect(self):
                in_time.append(released.wait(60))
                return ()

        prometheus_client.REGISTRY.register(Slow())
        monitor = Monitor(environ={})

        async def story():
            asking = asyncio.create_task(monitor.context.endpoints.answer("GET", "/metrics", {}))
            await asyncio.sleep(0.01)
            released.set()
            return (await asking).status

        print(asyncio.run(story()), all(in_time))
    """) == ["200", "True"]


def test_a_broken_collector_of_theirs_leaves_our_families():
    assert run("""
        import prometheus_client
        from trackside import Monitor

        class Broken:
            def describe(self): return ()
            def collect(self): raise RuntimeError("broken")

        prometheus_client.REGISTRY.register(Broken())
        page = Monitor("shop", environ={}).exposition().decode()
        print('app_info{service="shop"}' in page, 'trackside_sdk_errors_total{where="collector"} 1' in page)
    """) == ["True", "True"]
