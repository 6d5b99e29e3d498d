"""A monitoring server whose clock the test holds, an app it scrapes and a receiver it tells, all without a network; and
a door for hooks of real workers, on a real one."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from trackside.jobs.source import JobSource
from trackside.server.access.admission import Admission
from trackside.server.access.keys import Keys
from trackside.server.access.roles import Role
from trackside.server.app import App, AppSettings, Outside
from trackside.server.clock import SystemClock
from trackside.server.config import load_config
from trackside.server.db.database import Database
from trackside.server.jobs.ledger import JobsLedger
from trackside.server.jobs.sampler import Pace, Ports
from trackside.server.jobs.watch import JobsWatch
from trackside.server.web.api.job_reports import JobReportsApi
from trackside.server.web.console import Console
from trackside.server.web.gate import Gate

START_MS = 1_700_000_000_000

CONFIG = """
global: {scrape_interval: 5s, scrape_timeout: 2s, evaluation_interval: 5s}
scrape_configs:
- job_name: shop
  static_configs: [{targets: ["shop:8000"]}]
rule_files: [rules.yml]
route: {receiver: chat, group_by: [alertname], group_wait: 5s, group_interval: 10s, repeat_interval: 1h}
receivers:
- name: chat
  webhook_configs: [{url: "http://chat/hook"}]
"""


class HeldClock:
    def __init__(self) -> None:
        self.time_ms = START_MS

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_s(self) -> float:
        return self.time_ms / 1_000


@dataclass
class World:
    """One app, one server, one clock. Everything happens when `advance` lets time pass."""

    folder: Path
    rules: str
    clock: HeldClock = field(default_factory=HeldClock)
    app: ASGIApp | None = None
    """None: nobody answers at the app's address."""
    received: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of the notifications, oldest first."""
    receiver_is_up: bool = True

    def __post_init__(self) -> None:
        (self.folder / "trackside.yml").write_text(CONFIG)
        (self.folder / "rules.yml").write_text(self.rules)
        self.loop = asyncio.new_event_loop()
        self.start_server()

    def start_server(self) -> None:
        outside = Outside(scrape=lambda tls: self._client(self._scraped), notify=lambda _: self._client(self._told))
        settings = AppSettings(self.folder / "data", "http://trackside")
        self.server = App(load_config(self.folder / "trackside.yml"), settings, self.clock, outside)
        self.loop.run_until_complete(self.server.start(on_clock=False))

    def stop_server(self) -> None:
        self.loop.run_until_complete(self.server.stop())

    def advance(self, seconds: float, each_s: Callable[[], None] = lambda: None) -> None:
        """Let time pass, a second at a time, without waiting for it."""
        for _ in range(int(seconds)):
            self.clock.time_ms += 1_000
            each_s()
            self.loop.run_until_complete(self._second())

    def requests(self, method: str, path: str, count: int = 1) -> None:
        """Requests to the app, as its users make them."""
        for _ in range(count):
            self.loop.run_until_complete(self._request(method, path))

    def value(self, query: str) -> float | None:
        """The single value of `query` now; None when there is none."""
        (result,) = self.get("/api/v1/query", query=query, time=str(self.clock.time_ms / 1_000))["result"] or [None]
        return None if result is None else float(result["value"][1])

    def get(self, path: str, **params: str) -> Any:
        response = self.loop.run_until_complete(self._get(path, params))
        assert response.status_code == 200, response.text
        return response.json()["data"]

    def page(self, path: str) -> str:
        response = self.loop.run_until_complete(self._get(path, {}))
        assert response.status_code == 200, response.text
        return response.text

    async def _second(self) -> None:
        await self.server.schedule.run_due(self.clock.time_ms)
        if self.server.dispatcher is not None:
            await self.server.dispatcher.drain()

    async def _request(self, method: str, path: str) -> None:
        assert self.app is not None
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop:8000") as client:
            await client.request(method, path)

    async def _get(self, path: str, params: dict[str, str]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.server.admin_key}"}
        transport = httpx.ASGITransport(app=self.server.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://trackside", headers=headers) as client:
            return await client.get(path, params=params)

    async def _scraped(self, request: httpx.Request) -> httpx.Response:
        if self.app is None:
            raise httpx.ConnectError("connection refused", request=request)
        return await httpx.ASGITransport(app=self.app).handle_async_request(request)

    async def _told(self, request: httpx.Request) -> httpx.Response:
        if not self.receiver_is_up:
            raise httpx.ConnectError("connection refused", request=request)
        self.received.append(json.loads(await request.aread()))
        return httpx.Response(200)

    def _client(self, handler: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(handler))


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[[str], World]]:
    made: list[World] = []

    def make(rules: str = "groups: []") -> World:
        made.append(World(tmp_path, rules))
        return made[-1]

    yield make
    for world in made:
        world.stop_server()
        world.loop.close()


class HookSite:
    """The ledger, a sampler that is told when to look, and the door that hooks knock at."""

    def __init__(self, folder: Path, name: str, source: JobSource) -> None:
        self.db, self.clock = Database(folder / "trackside.db"), SystemClock()
        self.ledger = JobsLedger(self.db)
        self.watch = JobsWatch({name: (source, Pace())}, Ports(self.db, self.ledger, self.clock, "test"))
        keys = Keys(self.db, folder, self.clock)
        self.key = keys.create("workers", Role.OPERATOR)
        self.looking_key = keys.create("pages", Role.VIEWER)
        console = Console(
            None, self.clock, tuple, tuple, lambda newest: (), 0, "1", "http://localhost", str, lambda: self.watch
        )
        app = Gate(
            Starlette(routes=JobReportsApi(console).routes()),
            Admission(keys, self.clock),
            "http://localhost",
            no_auth=False,
        )
        self.server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        until = time.monotonic() + 60
        while not self.server.started:
            assert time.monotonic() < until
            time.sleep(0.01)
        self.url = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.watch.stop()
        self.db.close()


@pytest.fixture
def hook_site(tmp_path: Path) -> Iterator[Callable[[str, JobSource], HookSite]]:
    """`hook_site(name, source)`: one that looks at that source under that name."""
    sites: list[HookSite] = []

    def made(name: str, source: JobSource) -> HookSite:
        sites.append(HookSite(tmp_path, name, source))
        return sites[-1]

    yield made
    for site in sites:
        site.close()
