"""The whole HTTP application on a made-up backend, asked without sockets."""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as TookTooLong
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from trackside.exceptions import ConfigError, TracksideError
from trackside.model.labels import Labels
from trackside.server.access.admission import Admission
from trackside.server.access.keys import Keys
from trackside.server.access.roles import Role
from trackside.server.db.database import Database
from trackside.server.series import Matrix, QueryResult
from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.routes import build_app

NOW_MS = 1_764_079_335_000
ROOT = Path(__file__).parents[2]
AXE = ROOT / "frontend/node_modules/axe-core/axe.min.js"
PATIENCE_MS = 60_000
"""Of a browser on a machine that does much else."""


@dataclass
class HandClock:
    time_ms: int = NOW_MS

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_s(self) -> float:
        return self.time_ms / 1000


@dataclass
class ScriptedBackend:
    """Answers what it was told to, and remembers what it was asked."""

    answer: QueryResult | None = None
    error: Exception | None = None
    found: list = field(default_factory=list)
    asked: list[tuple] = field(default_factory=list)

    async def query(self, expr: str, time_ms: int, timeout_ms: int | None = None) -> QueryResult:
        return self._asked("query", expr, time_ms, timeout_ms)

    async def query_range(
        self, expr: str, start_ms: int, end_ms: int, step_ms: int, timeout_ms: int | None = None
    ) -> QueryResult:
        return self._asked("query_range", expr, start_ms, end_ms, step_ms, timeout_ms)

    async def series(self, match: Sequence[str], start_ms: int, end_ms: int) -> list[Labels]:
        self._asked("series", *match, start_ms, end_ms)
        return self.found

    async def label_names(self, match: Sequence[str], start_ms: int, end_ms: int) -> list[str]:
        self._asked("label_names", *match, start_ms, end_ms)
        return self.found

    async def label_values(self, name: str, match: Sequence[str], start_ms: int, end_ms: int) -> list[str]:
        self._asked("label_values", name, *match, start_ms, end_ms)
        return self.found

    def _asked(self, *what: object) -> QueryResult:
        self.asked.append(what)
        if self.error is not None:
            raise self.error
        one = Matrix((Labels.of(__name__="up"),), np.array([NOW_MS]), np.ones((1, 1)), np.ones((1, 1), dtype=bool))
        return self.answer or QueryResult(one, is_range=False)


class Site:
    """A server and the ways to ask it; `console` replaces parts of what it knows."""

    def __init__(self, db: Database, data_dir: Path) -> None:
        self.clock, self.backend = HandClock(), ScriptedBackend()
        self.keys = Keys(db, data_dir, self.clock)
        self.admission = Admission(self.keys, self.clock)
        self.key = self.keys.ensure_admin()
        self.reloads: list[str] = []
        self.reload_error = ""
        self.no_auth = False
        self.console: dict[str, object] = {}
        self.facts: dict[str, object] = {}
        """What the gate told the page about its visitor."""

    def exposition(self) -> bytes:
        return b"up 1\n"

    async def reload(self) -> None:
        if self.reload_error:
            raise ConfigError(self.reload_error)
        self.reloads.append("once")

    def get(self, url: str, **more: object) -> httpx.Response:
        return self.ask("GET", url, **more)

    def post(self, url: str, **more: object) -> httpx.Response:
        return self.ask("POST", url, **more)

    def ask(
        self,
        method: str,
        url: str,
        *,
        key: str | None = "",
        client: str = "192.0.2.7",
        base: str = "http://trackside.example:9490",
        **more: object,
    ) -> httpx.Response:
        """`key`: "" for the admin's, None for none at all."""
        headers = dict(more.pop("headers", {}))
        if key is not None:
            headers.setdefault("authorization", f"Bearer {key or self.key}")

        async def fetch() -> httpx.Response:
            transport = httpx.ASGITransport(self.app(), raise_app_exceptions=False, client=(client, 55_000))
            async with httpx.AsyncClient(transport=transport, base_url=base) as http:
                return await http.request(method, url, headers=headers, **more)

        return asyncio.run(fetch())

    def app(self):
        facts: dict[str, object] = {
            "backend": self.backend,
            "clock": self.clock,
            "targets": tuple,
            "rule_groups": tuple,
            "notifications": lambda newest: (),
            "started_ms": NOW_MS - 3_600_000,
            "version": "0.1.0",
            "external_url": "https://monitoring.example",
            "config_text": lambda: "scrape_configs: []\n",
            **self.console,
        }
        # One application for the whole life of the site, since it remembers who guessed keys.
        if not hasattr(self, "_app"):
            self._app = build_app(Console(**facts), self.admission, self._pages, self, no_auth=self.no_auth)
        return self._app

    def _pages(self) -> list:
        async def overview(request: Request) -> Response:
            self.facts = {"identity": request.state.identity, "user": request.state.user}
            return JSONResponse({"page": request.url.path}, headers=dict(request.query_params))

        async def broken(request: Request) -> Response:
            raise RuntimeError("secret of the machine room")

        async def refused(request: Request) -> Response:
            raise TracksideError("not today")

        methods = ["GET", "POST", "PUT", "DELETE"]
        return [
            Route("/", overview),
            Route("/alerts", overview, methods=methods),
            Route("/broken", broken),
            Route("/refused", refused),
            Route("/api/v1/broken", broken),
            render.static_mount(),
        ]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    db = Database(tmp_path / "trackside.db")
    yield Site(db, tmp_path)
    db.close()


@pytest.fixture
def key_of(site: Site) -> Callable[[Role], str]:
    return lambda role: site.keys.create(f"{role.value} key", role)


@pytest.fixture
def cookie_of(site: Site) -> Callable[[Role], dict[str, str]]:
    """Headers of a browser in which somebody of this role logged in."""

    def headers(role: Role) -> dict[str, str]:
        identity = site.keys.identify(site.keys.create(f"{role.value} in a browser", role))
        return {"cookie": f"trackside_session={site.keys.open_session(identity)}"}

    return headers


@pytest.fixture(scope="session")
def bundled() -> None:
    """The script and the style sheet as the sources have them now; one worker builds, the others wait."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    with (ROOT / "frontend/package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not build.bundle(ROOT, build.run) and not AXE.is_file():
            build.run([shutil.which("npm") or "npm", "ci"], ROOT / "frontend")


# Not for the session: while Playwright runs, its event loop counts as the thread's, and no other test could have one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        expect.set_options(timeout=PATIENCE_MS)
        yield chromium
        chromium.close()


@pytest.fixture
def serve(bundled: None) -> Iterator[Callable[[Callable], SimpleNamespace]]:
    """Starts an application: where it is found, and how to stop it before the test is over."""
    stops: list[Callable[[], None]] = []

    def start(app: Callable) -> SimpleNamespace:
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)

        def stop() -> None:
            server.should_exit = server.force_exit = True
            thread.join(60)

        stops.append(stop)
        port = server.servers[0].sockets[0].getsockname()[1]
        return SimpleNamespace(url=f"http://127.0.0.1:{port}", stop=stop)

    yield start
    for stop in stops:
        stop()


@pytest.fixture
def open_page(browser: Browser, server: SimpleNamespace) -> Iterator[Callable[..., Page]]:
    """Opens a page of the test's `server`; whatever the console says there fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def opened(path: str, **options: object) -> Page:
        context = browser.new_context(**{"timezone_id": "Asia/Kolkata", **options})  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: complaints.append(message.text) if _is_complaint(message) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(server.url + path)
        return page

    opened.complaints = complaints  # type: ignore[attr-defined]
    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def wider_by() -> Callable[[Page], int]:
    """Pixels by which a page is wider than its window, once its charts have followed that."""

    def pixels(page: Page) -> int:
        try:
            page.wait_for_function("() => document.documentElement.scrollWidth <= innerWidth", timeout=10_000)
        except TookTooLong:
            return page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return 0

    return pixels


@pytest.fixture
def go() -> Callable[[Page, str, str], None]:
    """`g` and a letter, which leads to that address. The two belong together for a second and a half: where a busy
    machine takes longer than that, once more."""

    def goes(page: Page, letter: str, address: str) -> None:
        for _ in range(10):
            page.keyboard.press("g")
            page.keyboard.press(letter)
            try:
                return page.wait_for_url(address, timeout=PATIENCE_MS / 10)
            except TookTooLong:
                continue
        raise AssertionError(f"{page.url} it was to the last, and not {address}")

    return goes


@pytest.fixture
def swapped() -> Callable[[Page], Callable[[], None]]:
    """From now on: waits until a refresh has been put into the page."""

    def begun(page: Page) -> Callable[[], None]:
        page.evaluate("document.addEventListener('htmx:afterSwap', () => { window.wasSwapped = true })")
        return lambda: page.wait_for_function("() => window.wasSwapped") and None

    return begun


def _is_complaint(message: ConsoleMessage) -> bool:
    return message.type == "error" and not message.location["url"].endswith("/error")


@pytest.fixture
def complaints_of(bundled: None) -> Callable[[Page], list[str]]:
    """What axe finds on a page that is open, in light and in dark."""
    rules = "{ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations'] }"

    def found(page: Page) -> list[str]:
        page.add_script_tag(path=AXE)
        complaints = []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            result = page.evaluate(f"axe.run({rules})")
            complaints += [
                f"{scheme}: {violation['id']}: {node['html'][:160]}"
                for violation in result["violations"]
                for node in violation["nodes"]
            ]
        return complaints

    return found
