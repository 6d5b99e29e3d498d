"""Samples that are sent to the server: by our own SDK, by Prometheus, and by those who send nonsense."""

import math
import shutil
import struct
import subprocess
import sys
import time
from dataclasses import dataclass

import httpx
import pytest
from free_ports import free_port

from trackside import Monitor
from trackside.model.labels import Labels
from trackside.wire.remote_write import HEADERS, WriteRequest, WrittenSample, WrittenSeries, encode
from trackside.wire.snappy import compress

STALE = struct.unpack("<d", (0x7FF0000000000002).to_bytes(8, "little"))[0]


def eventually(probe, within_s=90.0):
    deadline = time.monotonic() + within_s
    while not (found := probe()):
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(0.1)
    return found


@dataclass
class Server:
    """`trackside serve` in a process of its own."""

    port: int
    key: str
    client: httpx.Client

    def get(self, path, **params):
        return self.client.get(path, params=params).raise_for_status().json()["data"]

    def vector(self, query):
        return self.get("/api/v1/query", query=query)["result"]

    def value(self, query):
        return float(next(iter(self.vector(query)), {"value": [0, "0"]})["value"][1])


@pytest.fixture
def server(tmp_path):
    port, data = free_port(), tmp_path / "data"
    command = [sys.executable, "-m", "trackside.cli.main", "serve", "--data-dir", str(data)]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen([*command, "--listen", f"127.0.0.1:{port}"], stdout=subprocess.PIPE, stderr=log)
    assert process.stdout.readline().startswith(b"listening")
    key = (data / "admin.key").read_text().strip()
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
        yield Server(port, key, client)
    process.terminate()
    process.wait(60)
    process.stdout.close()


@pytest.fixture
def world(make_world):
    return make_world()


@pytest.fixture
def write(world):
    def send(body, key=None, **headers):
        async def post():
            known = {"Authorization": f"Bearer {key or world.server.admin_key}", **HEADERS, **headers}
            transport = httpx.ASGITransport(app=world.server.asgi)
            async with httpx.AsyncClient(transport=transport, base_url="http://trackside") as client:
                return await client.post("/api/v1/write", content=body, headers=known)

        return world.loop.run_until_complete(post())

    return send


def request(world, *values, name="pushed_total", after_ms=0):
    at_ms = world.clock.time_ms + after_ms
    labels = Labels.of([("__name__", name), ("job", "shop")])
    samples = tuple(WrittenSample(at_ms + 1_000 * n, value) for n, value in enumerate(values))
    return encode(WriteRequest([WrittenSeries(labels, samples)]))


def test_what_was_sent_is_there_and_sending_it_again_changes_nothing(world, write):
    body = request(world, 1.0, 2.0, after_ms=-1_000)
    assert [write(body).status_code for _ in range(2)] == [204, 204]
    assert world.value('pushed_total{job="shop"}') == 2.0
    assert world.value("count_over_time(pushed_total[1m])") == 2


def test_a_series_that_its_sender_ended_is_over(world, write):
    assert write(request(world, 5.0, after_ms=-2_000)).status_code == 204
    assert world.value("pushed_total") == 5.0
    assert write(request(world, STALE, after_ms=-1_000)).status_code == 204
    assert world.value("pushed_total") is None


def test_no_number_is_a_number(world, write):
    assert write(request(world, math.nan)).status_code == 204
    assert math.isnan(world.value("pushed_total"))


def test_who_sends_another_value_for_the_same_moment_is_told(world, write):
    write(request(world, 1.0))
    answer = write(request(world, 2.0))
    assert answer.status_code == 400
    assert answer.text == "1 samples were not stored (1: another value at the same time); 0 were\n"
    assert world.value("pushed_total") == 1.0


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (
            {"Content-Encoding": "zstd"},
            "expected a body that is compressed by snappy, as remote write has it; got 'zstd'",
        ),
        (
            {"Content-Type": "application/json"},
            "expected the content type application/x-protobuf; got 'application/json'",
        ),
        (
            {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"},
            "expected the message prometheus.WriteRequest of remote write 1.0; got 'io.prometheus.write.v2.Request'",
        ),
    ],
    ids=["coding", "type", "version 2"],
)
def test_another_form_is_refused_so_that_the_sender_can_choose_this_one(world, write, headers, said):
    answer = write(request(world, 1.0), **headers)
    assert (answer.status_code, answer.text) == (415, said + "\n")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"not snappy", 400),
        (compress(b"not protobuf"), 400),
        (b"\xff\xff\xff\xff\x0f", 413),
        (bytes(5 << 20), 413),
    ],
    ids=["nothing", "no snappy", "no protobuf", "a bomb", "huge"],
)
def test_nonsense_is_refused_and_the_server_goes_on(world, write, body, status):
    assert write(body).status_code == status
    assert write(request(world, 1.0)).status_code == 204


def test_nobody_writes_without_a_key(world, write):
    assert write(request(world, 1.0), key="wrong").status_code == 401
    assert world.value("pushed_total") is None


def test_a_damaged_request_is_an_answer_and_never_a_crash(world, write):
    body = request(world, 1.0, 2.0, 3.0)
    for place in range(len(body)):
        damaged = bytearray(body)
        damaged[place] ^= 0x55
        assert write(bytes(damaged)).status_code in (204, 400, 413)
    assert {write(body[:end]).status_code for end in range(len(body))} == {400}


def test_the_sdk_pushes_to_the_server_and_the_server_knows_what_it_is(server):
    monitor = Monitor("shop", environ={"TRACKSIDE_URL": f"http://127.0.0.1:{server.port}", "TRACKSIDE_KEY": server.key})
    monitor.counter("orders_total", "Orders taken.").inc(3)
    monitor.push(interval_s=0.2, instance="here")
    try:
        found = eventually(lambda: server.vector('orders_total{instance="here"}'))
    finally:
        monitor._pusher.stop()
    assert found[0]["metric"] == {"__name__": "orders_total", "job": "shop", "instance": "here"}
    assert found[0]["value"][1] == "3"
    described = eventually(lambda: server.get("/api/v1/metadata", metric="orders_total").get("orders_total"))
    assert described == [{"type": "counter", "help": "Orders taken.", "unit": ""}]


@pytest.mark.peer
@pytest.mark.timeout(300)
def test_prometheus_writes_to_the_server(server, tmp_path):
    binary = shutil.which("prometheus")
    assert binary, "install Debian's package prometheus"
    port = free_port()
    (tmp_path / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s, external_labels: {{region: eu}}}}
scrape_configs:
- {{job_name: itself, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}
remote_write:
- url: http://127.0.0.1:{server.port}/api/v1/write
  authorization: {{credentials: "{server.key}"}}
  metadata_config: {{send_interval: 1s}}
""")
    command = [binary, f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as theirs:
            eventually(lambda: server.value('count_over_time(up{job="itself", region="eu"}[1m])') >= 3)
            asked = {"query": 'count({job="itself"})'}
            (sent,) = eventually(lambda: theirs.get("/api/v1/query", params=asked).json()["data"]["result"])
            eventually(lambda: server.value('count({job="itself"})') == float(sent["value"][1]))
        eventually(lambda: server.get("/api/v1/metadata", metric="prometheus_build_info"))
    finally:
        process.terminate()
        process.wait(60)
    assert "non-recoverable" not in (tmp_path / "log").read_text()
