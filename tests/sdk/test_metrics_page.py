import subprocess
import sys
import textwrap

import pytest

from trackside import Monitor
from trackside.wire import exposition, openmetrics

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def monitor():
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


def test_the_process_is_on_the_page(monitor):
    assert "process_start_time_seconds " in page(monitor)[1]


def run(program):
    """In a process of its own: prometheus_client has one registry for all."""
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False, timeout=60
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
        released = threading.Event()

        class Slow:
            def describe(self): return ()
            def collect(self):
                released.wait(10)
                return ()

        prometheus_client.REGISTRY.register(Slow())
        monitor = Monitor(environ={})

        async def story():
            asking = asyncio.create_task(monitor.context.endpoints.answer("GET", "/metrics", {}))
            await asyncio.sleep(0.01)
            released.set()
            return (await asking).status

        print(asyncio.run(story()))
    """) == ["200"]


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
