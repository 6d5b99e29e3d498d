"""What is pushed can be queried in a real Prometheus."""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from free_ports import free_port

from trackside import Monitor


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    binary = shutil.which("prometheus")
    if binary is None:
        message = "prometheus is not installed"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text("global: {}\n")
    port = free_port()
    command = [
        binary,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        "--enable-feature=native-histograms",
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/-/ready")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(url):
    until = time.monotonic() + 90
    while True:
        try:
            urllib.request.urlopen(url, timeout=10).close()
            return
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < until, "Prometheus did not start"
            time.sleep(0.05)


def query(prometheus, expression):
    url = f"{prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(url, timeout=60) as answer:
        found = json.load(answer)["data"]["result"]
    return {tuple(sorted(one["metric"].items())): one["value"][1] for one in found}


@pytest.mark.peer
def test_pushed_values_are_there(prometheus):
    monitor = Monitor("shop", environ={"APP_VERSION": "1.2"})
    monitor.push(f"{prometheus}/api/v1/write", interval_s=3600, instance="web-1")
    orders = monitor.counter("orders_total", "Orders.", labels=("kind",))
    orders.labels('a "gift"\n').inc(2)
    waits = monitor.histogram("wait_seconds", buckets=(1, 2))
    for value in (0.5, 1.5, 1.7, 9):
        waits.observe(value)
    many = monitor.gauge("many", labels=("number",))
    for number in range(1990):
        many.labels(number).set(number)
    assert monitor.flush(60)
    who = (("instance", "web-1"), ("job", "shop"))
    try:
        assert query(prometheus, 'orders_total{job="shop"}') == {
            (("__name__", "orders_total"), who[0], who[1], ("kind", 'a "gift"\n')): "2"
        }
        assert query(prometheus, "histogram_quantile(0.5, wait_seconds_bucket)") == {who: "1.5"}
        assert query(prometheus, "wait_seconds_sum") == {(("__name__", "wait_seconds_sum"), *who): "12.7"}
        assert query(prometheus, "sum(many)") == {(): "1979055"}
        assert list(query(prometheus, 'app_info{version="1.2",service="shop"}').values()) == ["1"]
        orders.labels('a "gift"\n').inc()
        assert monitor.flush(60)
        assert list(query(prometheus, "orders_total").values()) == ["3"]
        text = monitor.exposition().decode()
        assert 'trackside_push_requests_total{destination="remote_write",outcome="sent"}' in text
        assert "refused" not in [line for line in text.splitlines() if not line.startswith("#")]
    finally:
        monitor._pusher.stop()


@pytest.mark.peer
def test_native_histograms_are_pushed_with_their_buckets(prometheus):
    monitor = Monitor("native", environ={})
    monitor.push(f"{prometheus}/api/v1/write", interval_s=3600, instance="web-1", native_histograms=True)
    delays = monitor.histogram("delay_seconds", labels=("kind",), native=True)
    both = monitor.histogram("both_seconds", native=8, buckets=(1, 2))
    monitor.histogram("empty_seconds", native=True)
    for number in range(1, 1001):
        delays.labels("slow").observe(number / 100)
        delays.labels("odd").observe(-number)
        delays.labels("odd").observe(0)
        both.observe(number / 1000)
    try:
        assert monitor.flush(60)
        [median] = query(prometheus, 'histogram_quantile(0.5, delay_seconds{kind="slow"})').values()
        assert float(median) == pytest.approx(5, rel=0.1)
        [high] = query(prometheus, "histogram_quantile(0.99, both_seconds)").values()
        assert float(high) == pytest.approx(0.99, rel=0.004)
        assert list(query(prometheus, 'histogram_count(delay_seconds{kind="odd"})').values()) == ["2000"]
        assert list(query(prometheus, 'histogram_sum(delay_seconds{kind="odd"})').values()) == ["-500500"]
        [low] = query(prometheus, 'histogram_quantile(0.25, delay_seconds{kind="odd"})').values()
        assert float(low) == pytest.approx(-500, rel=0.1)
        assert list(query(prometheus, "histogram_count(empty_seconds)").values()) == ["0"]
        assert list(query(prometheus, 'both_seconds_bucket{le="1.0"}').values()) == ["1000"]
    finally:
        monitor._pusher.stop()
