"""A night in a shop: a whole server on a clock turned by hand, some rules, two receivers, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn

from trackside.server.app import App, AppSettings, Outside
from trackside.server.config import load_config
from trackside.server.fingerprint import fingerprint

CONFIG = """
global: {scrape_interval: 30s, scrape_timeout: 2s, evaluation_interval: 30s}
scrape_configs:
- job_name: shop
  static_configs: [{targets: ["shop:8000"]}]
rule_files: [rules.yml]
route:
  receiver: chat
  group_by: [alertname, job]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 4h
  routes:
  - {receiver: oncall, matchers: ['severity="critical"']}
  - {receiver: chat, matchers: ['severity="info"'], mute_time_intervals: [always]}
  - {receiver: nobody, matchers: ['severity="none"']}
receivers:
- name: chat
  webhook_configs: [{url: "http://chat/hook"}]
- name: oncall
  webhook_configs: [{url: "http://oncall/hook"}]
- name: nobody
time_intervals:
- {name: always, time_intervals: [{times: [{start_time: "00:00", end_time: "24:00"}]}]}
inhibit_rules:
- {source_matchers: ['alertname="HighErrorRate"'], target_matchers: ['alertname="SlowRequests"'], equal: [job]}
"""
RULES = """
groups:
- name: shop
  rules:
  - record: job:http_requests:rate5m
    expr: sum by (job) (rate(http_requests_total[5m]))
  - alert: HighErrorRate
    expr: |
      sum by (job) (rate(http_requests_total{status=~"5.."}[5m]))
        / sum by (job) (rate(http_requests_total[5m])) > 0.05
    for: 1m
    labels: {severity: critical}
    annotations:
      summary: '{{ $labels.job }} fails {{ $value | humanizePercentage }} of its requests'
      description: Customers see errors when they pay.
  - alert: SlowRequests
    expr: request_seconds > 1
    labels: {severity: warning}
    annotations: {summary: 'Requests of {{ $labels.job }} take {{ $value }} s'}
  - alert: QueueLong
    expr: queue_length > 100
    for: 2h
    labels: {severity: warning}
    annotations: {summary: 'The queue has {{ $value }} jobs'}
  - alert: DiskFilling
    expr: disk_used_ratio > 0.8
    labels: {severity: info}
    annotations: {summary: 'The disk is {{ $value | humanizePercentage }} full'}
- name: doubtful
  rules:
  - alert: TooManyErrors
    expr: rate(http_requests_total{status="500"}[5m]) > 500
    for: 1m
    labels: {severity: warning}
    annotations: {summary: More than 5 % of the requests fail}
"""
RUNBOOK = """
# High error rate

Customers of {{ $labels.job }} see errors. <script>alert(1)</script> [a trap](javascript:alert(1))

1. Which statuses are they?

   ```promql
   sum by (status) (rate(http_requests_total{job="{{ $labels.job }}",status=~"5.."}[5m]))
   ```

2. How many requests are there at all?

   ```promql
   sum(rate(http_requests_total[5m]))
   ```

3. Take the last release back: `make rollback`.
"""


@dataclass
class Night:
    """Everything happens when `advance` lets time pass."""

    folder: Path
    failing: float = 0.0
    """Share of the requests."""
    slow_s: float = 0.2
    queue: int = 3
    disk: float = 0.4
    received: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Host and body of each notification."""
    refusing: set[str] = field(default_factory=set)
    """Hosts that answer 503."""
    requests: float = 0.0
    errors: float = 0.0
    prefix: str = ""
    """The path under which the server is found."""

    def __post_init__(self) -> None:
        self.time_ms = round(time.time()) * 1_000 - 3 * 3_600_000
        self.started_ms = self.time_ms
        (self.folder / "runbooks").mkdir()
        (self.folder / "runbooks" / "HighErrorRate.md").write_text(RUNBOOK)
        (self.folder / "trackside.yml").write_text(CONFIG)
        (self.folder / "rules.yml").write_text(RULES)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        outside = Outside(scrape=lambda tls: self._client(self._scraped), notify=lambda _: self._client(self._told))
        url = f"http://trackside{self.prefix}"
        settings = AppSettings(self.folder / "data", url, no_auth=True, route_prefix=self.prefix)
        self.server = App(load_config(self.folder / "trackside.yml"), settings, self, outside)
        self.run(self.server.start(on_clock=False))

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_s(self) -> float:
        return self.time_ms / 1_000

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(110)

    def advance(self, minutes: float) -> None:
        """Half a minute at a time, as everything here has that interval."""
        for _ in range(round(minutes * 2)):
            self.time_ms += 30_000
            self.requests += 300
            self.errors += 300 * self.failing
            self.run(self._tick())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def post(self, path: str, fields: dict[str, Any] | None = None, **more: Any) -> httpx.Response:
        return self.ask("POST", path, data=fields or {}, **more)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.server.asgi)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, **more)

        return self.run(asked())

    @property
    def silences(self) -> list[Any]:
        return list(self.server.dispatcher.silences.all(self.time_ms))

    def path_of(self, name: str) -> str:
        """Of the page of the only alert of that name."""
        rules = [rule for group in self.server.console.rule_groups() for rule in group.rules]
        (alert,) = [alert for rule in rules if rule.name == name for alert in rule.alerts]
        return f"/alerts/{fingerprint(alert.labels)}"

    def break_all(self) -> None:
        self.failing, self.slow_s, self.queue, self.disk = 0.2, 1.8, 140, 0.9
        self.advance(8)

    def close(self) -> None:
        self.run(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(60)

    async def _tick(self) -> None:
        await self.server.schedule.run_due(self.time_ms)
        await self.server.dispatcher.drain()

    async def _scraped(self, request: httpx.Request) -> httpx.Response:
        lines = (
            "# TYPE http_requests_total counter",
            f'http_requests_total{{status="200"}} {self.requests - self.errors}',
            f'http_requests_total{{status="500"}} {self.errors}',
            f"request_seconds {self.slow_s}",
            f"queue_length {self.queue}",
            f"disk_used_ratio {self.disk}",
        )
        return httpx.Response(200, text="\n".join(lines) + "\n", headers={"content-type": "text/plain; version=0.0.4"})

    async def _told(self, request: httpx.Request) -> httpx.Response:
        if request.url.host in self.refusing:
            return httpx.Response(503, text="the hook is being repaired")
        self.received.append((request.url.host, json.loads(await request.aread())))
        return httpx.Response(200)

    def _client(self, handler: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(handler))


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Night]:
    """The server has only just started."""
    made = Night(tmp_path)
    yield made
    made.close()


@pytest.fixture
def night(fresh: Night) -> Night:
    """Nothing has gone wrong yet."""
    fresh.advance(6)
    return fresh


@pytest.fixture
def broken(night: Night) -> Night:
    """Requests fail and are slow, a queue grows, a disk fills."""
    night.break_all()
    return night


@pytest.fixture
def served(broken: Night, bundled: None) -> Iterator[SimpleNamespace]:
    """The night on a real port, for a browser."""
    with on_a_port(broken) as found:
        yield found


@pytest.fixture
def under_a_path(tmp_path: Path, bundled: None) -> Iterator[SimpleNamespace]:
    """Such a night on a real port, below `/watch`."""
    made = Night(tmp_path, prefix="/watch")
    made.advance(6)
    made.break_all()
    with on_a_port(made) as found:
        yield found
    made.close()


@contextmanager
def on_a_port(broken: Night) -> Iterator[SimpleNamespace]:
    config = uvicorn.Config(broken.server.asgi, port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.run_coroutine_threadsafe(server.serve(), broken.loop)
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield SimpleNamespace(url=f"http://127.0.0.1:{port}{broken.prefix}", night=broken)
    server.should_exit = server.force_exit = True
    task.result(60)


@pytest.fixture
def server(served: SimpleNamespace) -> SimpleNamespace:
    return served
