"""Prometheus itself scrapes the same shop: without a warning, and with the same answers as ours."""

import operator
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from free_ports import free_port

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 800ms}}
scrape_configs:
- job_name: shop
  static_configs: [{{targets: ["127.0.0.1:{shop}"]}}]
"""

# After the traffic has stopped, so that both have scraped the same final numbers.
# The shop's outage is a day away: a series born in the middle has another first sample for each of the two.
ENVIRONMENT = {**os.environ, "TRACKSIDE_DEMO_STARTED": str(time.time() + 86_400)}

TOTAL = 'sum(http_requests_total{job="shop"})'
OVER_TIME = 'sum(increase(http_requests_total{job="shop"%s}[5m]))'
QUERIES = [
    'sum by (path, method, status) (http_requests_total{job="shop"})',
    'sum(http_request_duration_seconds_sum{job="shop"}) / sum(http_request_duration_seconds_count{job="shop"})',
    'histogram_quantile(0.95, sum by (le) (http_request_duration_seconds_bucket{job="shop"}))',
    'histogram_quantile(0.5, sum by (path, le) (http_request_duration_seconds_bucket{job="shop"}))',
    f"""{OVER_TIME % ',status=~"4.."'} / {OVER_TIME % ',status!~"5.."'}""",
    'topk(3, sum by (path) (http_requests_total{job="shop"}))',
    'sum(http_requests_in_progress{job="shop"})',
    'count({job="shop", __name__=~"http_.*"})',
    "shop_basket_value_euros_bucket",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Iterator[Callable[..., Path]]:
    """Start a process; its output goes to the file that is returned."""
    folder = tmp_path_factory.mktemp("peers")
    running: list[subprocess.Popen] = []

    def start(name: str, *command: str) -> Path:
        log = folder / f"{name}.log"
        with log.open("wb") as output:
            running.append(subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, env=ENVIRONMENT))
        return log

    yield start
    for process in reversed(running):
        process.terminate()
    for process in running:
        process.wait(timeout=60)


def wait_for(probe: Callable[[], bool], within_s: float = 90) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if probe():
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"not within {within_s} s")


def answers(url: str) -> None:
    wait_for(lambda: httpx.get(url).status_code == 200)


@pytest.fixture(scope="module")
def shop(run) -> int:
    port = free_port()
    run("shop", sys.executable, "-m", "uvicorn", "trackside.demo.shop:app", "--port", str(port), "--log-level", "error")
    answers(f"http://127.0.0.1:{port}/health")
    return port


@pytest.fixture(scope="module")
def prometheus_binary() -> str:
    found = shutil.which("prometheus")
    if found is None:
        # A newcomer without the package runs everything else; where nothing may be missing, this must not be either.
        assert not os.environ.get("CI"), "install Debian's package prometheus"
        pytest.skip("Debian's package prometheus is not installed")
    return found


def requests(shop: int, count: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{shop}", timeout=60) as client:
        for number in range(count):
            client.get(["/", "/products", f"/products/sku-{number}", "/products/none", "/wp-login.php"][number % 5])
            client.post("/checkout", params={"payment": "card"})


@pytest.fixture(scope="module")
def servers(run, shop, prometheus_binary, tmp_path_factory) -> dict[str, httpx.Client]:
    """Both servers, after traffic seen by both."""
    folder = tmp_path_factory.mktemp("servers")
    config = folder / "config.yml"
    config.write_text(CONFIG.format(shop=shop))
    ports = {"prometheus": free_port(), "trackside": free_port()}
    # Every series is there before the first scrape of either, and at rest until both have seen it.
    requests(shop, 20)
    log = run(
        "prometheus",
        prometheus_binary,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{ports['prometheus']}",
    )
    run(
        "trackside",
        *(sys.executable, "-m", "trackside.cli.main", "serve", "--no-auth", "--config", str(config)),
        *("--data-dir", str(folder / "trackside"), "--listen", f"127.0.0.1:{ports['trackside']}"),
    )
    for port in ports.values():
        answers(f"http://127.0.0.1:{port}/-/ready")
    clients = {name: httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) for name, port in ports.items()}
    wait_for(lambda: all(vector(client, "count_over_time(up[1m]) > 1") for client in clients.values()))
    requests(shop, 100)
    wait_for(lambda: {sum(vector(client, TOTAL).values()) for client in clients.values()} == {240.0})
    clients["log"] = log
    return clients


def vector(client: httpx.Client, query: str) -> dict[frozenset, float]:
    answer = client.get("/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", answer
    return {frozenset(row["metric"].items()): float(row["value"][1]) for row in answer["data"]["result"]}


@pytest.mark.parametrize("query", QUERIES)
def test_the_answers_are_the_same(servers, query):
    def both():
        ours, theirs = vector(servers["trackside"], query), vector(servers["prometheus"], query)
        return ours, {labels: pytest.approx(value, rel=0.01) for labels, value in theirs.items()}

    # The numbers are at rest. For a scrape that failed, as on a busy machine it may, there are none until the next.
    with suppress(AssertionError):
        wait_for(lambda: both()[1] and operator.eq(*both()))
    ours, theirs = both()
    assert theirs
    assert ours == theirs


def test_prometheus_has_nothing_to_complain_about(servers):
    lines = servers["log"].read_text().splitlines()
    assert [line for line in lines if "level=warn" in line or "level=error" in line] == []

    def up() -> bool:
        (target,) = servers["prometheus"].get("/api/v1/targets").json()["data"]["activeTargets"]
        return (target["health"], target["lastError"]) == ("up", "")

    wait_for(up)


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text;version=1.0.0"])
def test_promtool_finds_no_fault_with_the_page(shop, accept, prometheus_binary):
    body = httpx.get(f"http://127.0.0.1:{shop}/metrics", headers={"accept": accept}).content
    if "openmetrics" in accept:
        # promtool reads the older format only; that both say the same is the scrapes' business.
        assert body.endswith(b"# EOF\n")
        return
    promtool = Path(prometheus_binary).with_name("promtool")
    result = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, timeout=100)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
