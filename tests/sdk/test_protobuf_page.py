"""What only the protobuf exposition carries, read by a real Prometheus."""

import json
import os
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import prometheus_client
import pytest
from free_ports import free_port
from prometheus_client import CollectorRegistry

from trackside import Monitor
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample

PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


@pytest.fixture
def monitor(monkeypatch):
    registry = CollectorRegistry()
    monkeypatch.setattr(prometheus_client, "REGISTRY", registry)
    prometheus_client.Histogram("theirs_seconds", "Theirs.", buckets=(1, 2), registry=registry).observe(1.5)
    prometheus_client.Info("build", "Build.", registry=registry).info({"version": "1"})
    summary = prometheus_client.Summary("size_bytes", "Sizes.", registry=registry)
    summary.observe(4)
    return Monitor("shop", environ={})


def test_without_native_histograms_the_page_is_text(monitor):
    content_type, _ = monitor._page.render(PROTOBUF)
    assert content_type.startswith("application/openmetrics-text")


def test_who_does_not_ask_for_protobuf_gets_text(monitor):
    monitor.histogram("delay_seconds", native=True).observe(1)
    content_type, body = monitor._page.render("")
    assert content_type.startswith("text/plain")
    assert b"delay_seconds_count 1\n" in body


def test_the_applications_own_families_alone(monitor):
    monitor.histogram("delay_seconds", native=True).observe(1)
    content_type, body = monitor._page.render(PROTOBUF, own_only=True)
    assert "protobuf" in content_type
    assert b"delay_seconds" in body
    assert b"http_requests" not in body
    assert b"process_" not in body


@pytest.mark.parametrize("part", ["rows", "native_rows", "observed"])
def test_a_family_that_cannot_be_read_takes_no_other_with_it(monitor, caplog, part):
    monitor.histogram("delay_seconds", native=True).observe(1)
    broken = monitor.histogram("broken_seconds", native=True)
    monitor.counter("orders_total").inc()
    setattr(broken, part, lambda: 1 / 0)
    odd = MetricFamily("odd", MetricType.GAUGE, "", [Sample("odd", Labels(), "no number")])
    monitor.registry.add_collector(lambda: [odd])
    for _ in range(2):
        content_type, body = monitor._page.render(PROTOBUF)
        assert "protobuf" in content_type
        assert b"delay_seconds" in body
        assert b"orders_total" in body
        assert b"broken_seconds" not in body
        assert b"\x03odd" not in body
    told = [record.getMessage().split()[0] for record in caplog.records if record.name == "trackside"]
    assert told == ["odd", "broken_seconds"]


@pytest.fixture
def served(monitor):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content_type, body = monitor._page.render(self.headers.get("Accept", ""))
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *about):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def prometheus(tmp_path, served):
    binary = shutil.which("prometheus")
    if binary is None:
        message = "prometheus is not installed"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    jobs = [{"job_name": "shop", "scrape_interval": "1s", "scrape_timeout": "1s"}]
    jobs[0]["static_configs"] = [{"targets": [served]}]
    (tmp_path / "prometheus.yml").write_text(json.dumps({"scrape_configs": jobs}))
    port = free_port()
    command = [binary, f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=native-histograms,exemplar-storage"]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def asked(prometheus, path, **parameters):
    with urllib.request.urlopen(f"{prometheus}{path}?{urllib.parse.urlencode(parameters)}", timeout=60) as answer:
        return json.load(answer)["data"]


def query(prometheus, expression, **when):
    return [float(one["value"][1]) for one in asked(prometheus, "/api/v1/query", query=expression, **when)["result"]]


def wait_for(prometheus, expression):
    until = time.monotonic() + 90
    while True:
        try:
            if found := query(prometheus, expression):
                return found
        except OSError:
            pass
        assert time.monotonic() < until, f"{expression} has no value"
        time.sleep(0.1)


@pytest.mark.peer
def test_prometheus_scrapes_native_histograms(monitor, prometheus):
    delays = monitor.histogram("delay_seconds", "Delays.", labels=("kind",), native=True)
    both = monitor.histogram("both_seconds", native=8, buckets=(1, 2))
    monitor.histogram("empty_seconds", native=True)
    monitor.counter("orders_total", "Orders.", labels=("kind",)).labels('a "gift"\n').inc(3)
    monitor.registry.cells.trace = lambda: ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
    monitor.histogram("classic_seconds", buckets=(1, 2)).observe(1.5)
    monitor.registry.cells.trace = None
    for number in range(1, 1001):
        delays.labels("slow").observe(number / 100)
        delays.labels("odd").observe(-number)
        delays.labels("odd").observe(0)
        both.observe(number / 1000)
    wait_for(prometheus, "histogram_count(both_seconds) == 1000")
    wait_for(prometheus, 'histogram_count(delay_seconds{kind="odd"}) == 2000')
    # All as of one scrape: the next may fail on a busy machine, and then there is nothing.
    [at_s] = wait_for(prometheus, "timestamp(both_seconds)")
    values = {
        'histogram_quantile(0.5, delay_seconds{kind="slow"})': pytest.approx(5, rel=0.1),
        "histogram_quantile(0.99, both_seconds)": pytest.approx(0.99, rel=0.004),
        'histogram_quantile(0.25, delay_seconds{kind="odd"})': pytest.approx(-500, rel=0.1),
        'histogram_sum(delay_seconds{kind="odd"})': -500_500,
        "histogram_count(empty_seconds)": 0,
        'orders_total{kind="a \\"gift\\"\\n"}': 3,
        "histogram_quantile(0.5, classic_seconds_bucket)": 1.5,
        "classic_seconds_sum": 1.5,
        'theirs_seconds_bucket{le="2.0"}': 1,
        'build_info{version="1"}': 1,
        "size_bytes_sum": 4,
        "size_bytes_count": 1,
        'app_info{service="shop"}': 1,
        "up": 1,
    }
    assert {expression: query(prometheus, expression, time=at_s) for expression in values} == {
        expression: [value] for expression, value in values.items()
    }
    [found] = asked(prometheus, "/api/v1/query_exemplars", query="classic_seconds_bucket", start=0, end=2e9)
    assert found["exemplars"][0]["labels"]["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    about = asked(prometheus, "/api/v1/metadata", metric="delay_seconds")["delay_seconds"]
    assert about == [{"type": "histogram", "help": "Delays.", "unit": ""}]
