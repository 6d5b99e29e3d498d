"""A whole server under a held clock, what it watches on a loopback port, and whoever asks it."""

import asyncio
import socket
from dataclasses import dataclass, field

import httpx
import pytest

from trackside.model.alerts import AlertState
from trackside.server.app import App, AppSettings, Outside
from trackside.server.config import load_config
from trackside.server.probes.network import Found

STEP_S = 3
START_MS = 1_764_028_800_000
KEY = "nightly-0123456789abcdefghij"
CONFIG = """
global: {scrape_interval: 15s, evaluation_interval: 15s}
auth: {allow_from: [192.0.2.0/24]}
uptime:
  checks:
  - {name: api, url: "http://api.example/health", interval: 1m, timeout: 5s, json: {status: ok}, group: shop}
  - {name: app, url: "http://app.example/", interval: 1m, timeout: 5s, depends_on: api, labels: {severity: warning}}
  - {name: docs, url: "http://docs.example/", interval: 1m, timeout: 5s, bearer_token: token-of-docs}
  heartbeats:
  - {name: nightly, period: 10m, grace: 5m, max_run: 3m, key: KEY}
  - {name: derived, period: 1d}
  maintenance:
  - {name: window, checks: [docs], start: 2025-11-25T01:00:00Z, end: 2025-11-25T02:00:00Z}
""".replace("KEY", KEY)


class HeldClock:
    time_ms = START_MS

    def now_ms(self):
        return self.time_ms

    def monotonic_s(self):
        return self.time_ms / 1_000


@dataclass
class Outpost:
    """A server, and what it watches on a loopback port."""

    folder: object
    config: str = CONFIG
    clock: HeldClock = field(default_factory=HeldClock)
    broken: set = field(default_factory=set)
    """Hosts that answer with 503."""
    lost: bool = False
    """No name can be resolved."""

    def __post_init__(self):
        self.runner = asyncio.Runner()
        self.port = self.run(self._serve())
        (self.folder / "trackside.yml").write_text(self.config)
        self.start()

    def run(self, awaitable):
        return self.runner.run(awaitable)

    def start(self):
        self.run(self._start())

    async def _start(self):
        settings = AppSettings(self.folder / "data", "http://trackside")
        outside = Outside(resolve=self._resolve)
        self.server = App(load_config(self.folder / "trackside.yml"), settings, self.clock, outside)
        await self.server.start(on_clock=False)

    def stop(self):
        self.run(self.server.stop())

    def close(self):
        self.stop()
        self.runner.close()

    def restart(self):
        self.stop()
        self.start()

    async def _serve(self):
        self._listener = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        return self._listener.sockets[0].getsockname()[1]

    async def _answer(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        host = head.partition(b"Host: ")[2].partition(b"\r\n")[0].decode()
        status = b"503 Busy" if host in self.broken else b"200 OK"
        body = b'{"status": "ok"}'
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
        await writer.drain()
        writer.close()

    async def _resolve(self, host, port, family):
        if self.lost:
            raise socket.gaierror(socket.EAI_AGAIN, "no name server")
        return [Found(socket.AF_INET, ("127.0.0.1", self.port))]

    def advance(self, seconds):
        async def time_passes():
            # Nothing here is due more often than every five seconds.
            for left in range(seconds, 0, -STEP_S):
                self.clock.time_ms += min(left, STEP_S) * 1_000
                await self.server.schedule.run_due(self.clock.time_ms)

        self.run(time_passes())

    def request(self, method, path, **keys):
        async def asked():
            transport = httpx.ASGITransport(app=self.server.asgi, client=(keys.pop("client", "192.0.2.7"), 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://trackside") as client:
                return await client.request(method, path, **keys)

        return self.run(asked())

    def get(self, path, **params):
        headers = {"Authorization": f"Bearer {self.server.admin_key}"}
        return self.request("GET", path, params=params, headers=headers)

    def value(self, query):
        found = self.get("/api/v1/query", query=query, time=self.clock.time_ms / 1_000).json()["data"]["result"]
        return None if not found else float(found[0]["value"][1])

    def firing(self):
        return {
            (alert.name, alert.labels.get("check") or alert.labels.get("heartbeat"), alert.labels.get("severity"))
            for group in self.server.rules.statuses()
            for rule in group.rules
            for alert in rule.alerts
            if alert.state is AlertState.FIRING
        }


@pytest.fixture
def outposts(tmp_path):
    """Makes one of a configuration; "" for the usual one."""
    made = []

    def make(config=""):
        made.append(Outpost(tmp_path, config or CONFIG))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def outpost(outposts):
    return outposts()


@pytest.fixture
def usual():
    """The usual configuration and the key of its heartbeat."""
    return CONFIG, KEY
