"""A console with plausible facts and no server behind it: a shop that fails some checkouts, a target that is down."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trackside.exceptions import QueryError
from trackside.model.alerts import Alert, AlertState, NotificationRecord
from trackside.model.labels import Labels
from trackside.model.rules import RuleGroupStatus, RuleStatus
from trackside.model.targets import TargetHealth, TargetStatus
from trackside.server.series import Matrix, QueryResult, Scalar, Series
from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.pages.all import page_routes

NOW_MS = 1_764_079_335_000
MINUTE_MS = 60_000

ROUTES = (
    ("GET", "/products", 14.0, 0.0004, 0.032),
    ("GET", "/products/{id}", 9.2, 0.0, 0.021),
    ("GET", "/cart", 4.1, 0.0, 0.045),
    ("POST", "/cart/items", 2.6, 0.0, 0.064),
    ("POST", "/checkout", 1.4, 0.81, 0.412),
    ("GET", "/orders/{id}", 0.9, 0.0, 0.085),
    ("GET", "/search", 0.62, 0.0, 0.230),
    ("POST", "/login", 0.21, 0.0, 0.190),
)
METRICS = (
    "http_request_duration_seconds_bucket",
    "http_request_duration_seconds_count",
    "http_request_duration_seconds_sum",
    "http_requests_in_progress",
    "http_requests_total",
    "jobs_processed_total",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_resident_memory_bytes",
    "up",
)


@dataclass
class HandClock:
    time_ms: int = NOW_MS

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_s(self) -> float:
        return self.time_ms / 1000


@dataclass
class FakeBackend:
    """Reads just enough of a query to give the numbers a shop would."""

    now_ms: Callable[[], int]
    incident_ms: int = 12 * MINUTE_MS
    """How long checkouts have been failing."""
    refuse: str = ""
    """Queries that contain this text fail."""
    metrics: Sequence[str] = METRICS
    asked: list[str] = field(default_factory=list)

    async def query(self, expr: str, time_ms: int, timeout_ms: int | None = None) -> QueryResult:
        if expr == "1":
            return QueryResult(Scalar(time_ms, 1.0), is_range=False)
        if re.fullmatch(r"\w+\[\w+\]", expr):
            times = np.arange(time_ms - 4 * 15_000, time_ms + 1, 15_000, dtype=np.int64)
            one = Series(Labels.of(__name__="up", job="shop"), times, np.ones(len(times)))
            return QueryResult((one,), is_range=False)
        return QueryResult(self._matrix(expr, np.array([time_ms], dtype=np.int64)), is_range=False, samples_read=4_320)

    async def query_range(
        self, expr: str, start_ms: int, end_ms: int, step_ms: int, timeout_ms: int | None = None
    ) -> QueryResult:
        steps_ms = np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64)
        return QueryResult(self._matrix(expr, steps_ms), is_range=True, samples_read=51_840)

    async def series(self, match: Sequence[str], start_ms: int, end_ms: int) -> list[Labels]:
        return []

    async def label_names(self, match: Sequence[str], start_ms: int, end_ms: int) -> list[str]:
        selector = match[0]
        if 'job="worker"' in selector or not self.metrics:
            return []
        base = ["__name__", "instance", "job", "method", "path"]
        if selector.startswith("http_requests_in_progress"):
            return base
        return [*base, "status"] if selector.startswith(("http_requests_total", "http_request_duration")) else []

    async def label_values(self, name: str, match: Sequence[str], start_ms: int, end_ms: int) -> list[str]:
        # Of the services of this store only "worker" has no HTTP metrics.
        return list(self.metrics) if name == "__name__" and 'job="worker"' not in "".join(match) else []

    def _matrix(self, expr: str, steps_ms: np.ndarray) -> Matrix:
        self.asked.append(expr)
        if self.refuse and self.refuse in expr:
            raise QueryError("the query reads more than 50,000,000 samples; ask for a shorter range", query=expr)
        if "(((" in expr:
            at = expr.index("(((") + 3
            raise QueryError('unexpected "{", expected an expression', query=expr, start=at, end=at + 1)
        rows = [(labels, values) for labels, values in self._rows(expr, steps_ms)]
        labels = tuple(labels for labels, _ in rows)
        values = np.array([values for _, values in rows]).reshape(len(rows), len(steps_ms))
        return Matrix(labels, steps_ms, values, ~np.isnan(values) & (steps_ms > self.now_ms() - 50 * MINUTE_MS))

    def _rows(self, expr: str, steps_ms: np.ndarray) -> list[tuple[Labels, np.ndarray]]:
        if "probe_" in expr:
            return self._probes(expr, steps_ms)
        if "up" in expr.split("(")[-1] and "rate" not in expr:
            down = np.where(steps_ms > self.now_ms() - 7 * MINUTE_MS, 0.0, 1.0)
            return [(Labels.of(job="payments"), down), (Labels.of(job="shop"), np.ones(len(steps_ms)))]
        if expr.startswith("many"):
            return [(Labels.of(__name__="many", i=str(i)), self._wave(steps_ms, i + 1.0, i)) for i in range(640)]
        if expr.startswith("nothing"):
            return []
        if "(method, path)" in expr or "by (job" not in expr:
            if "quantile(" in expr and "(le)" in expr:
                return [(Labels.of(), self._wave(steps_ms, 0.04 * self._spread(expr), 1))]
            return [
                (Labels.of(method=route[0], path=route[1]), self._values(expr, steps_ms, route, i))
                for i, route in enumerate(ROUTES)
                if "status" not in expr or route[3]
            ]
        whole = ("", "", sum(route[2] for route in ROUTES), 0.041, 0.038)
        shop = (Labels.of(job="shop"), self._values(expr, steps_ms, whole, 3))
        if "status" in expr:
            return [shop]
        return [shop, (Labels.of(job="gateway"), self._values(expr, steps_ms, ("", "", 52.0, 0.0, 0.012), 5))]

    def _probes(self, expr: str, steps_ms: np.ndarray) -> list[tuple[Labels, np.ndarray]]:
        if "by (check)" in expr:
            return [(Labels.of(check="api"), self._wave(steps_ms, 0.12, 1))]
        phases = (("resolve", 0.004), ("connect", 0.012), ("tls", 0.021), ("processing", 0.087), ("transfer", 0.003))
        return [(Labels.of(phase=name), self._wave(steps_ms, s, i)) for i, (name, s) in enumerate(phases)]

    def _values(self, expr: str, steps_ms: np.ndarray, route: tuple, seed: int) -> np.ndarray:
        if "status" in expr:
            failing = steps_ms > self.now_ms() - self.incident_ms
            return np.where(failing, self._wave(steps_ms, route[3], seed, 0.05), self._wave(steps_ms, 0.0005, seed))
        if "quantile(" in expr:
            return self._wave(steps_ms, route[4] * self._spread(expr), seed)
        if "in_progress" in expr:
            return np.round(self._wave(steps_ms, route[2] * route[4] * 7, seed, 0.1))
        return self._wave(steps_ms, route[2], seed)

    def _spread(self, expr: str) -> float:
        return {"0.5": 1.0, "0.95": 3.4, "0.99": 7.0}[re.search(r"quantile\(([\d.]+)", expr)[1]]  # type: ignore[index]

    def _wave(self, steps_ms: np.ndarray, level: float, seed: int, noise: float = 0.12) -> np.ndarray:
        """Slow swell and a jitter that depends on the time alone, so that a refresh repeats it."""
        jitter = np.sin(steps_ms / 7_919.0 + seed * 1.7) * np.sin(steps_ms / 23_456.0 + seed)
        swell = np.sin(steps_ms / 1_400_000.0 + seed * 0.6) * 0.22
        return np.maximum(0.0, level * (1 + swell + noise * jitter))


def target(job: str, address: str, **more: object) -> TargetStatus:
    labels = Labels.of(job=job, instance=address, **({"region": "eu-west"} if job == "shop" else {}))
    status = TargetStatus(
        job, f"http://{address}/metrics", labels, labels, TargetHealth.UP, "", NOW_MS - 4_000, 0.0123, 1_482
    )
    return replace(status, **more)  # type: ignore[arg-type]


def targets() -> list[TargetStatus]:
    refused = "connection refused: nothing listens on payments:8001; is the service running, and on this port?"
    return [
        target("shop", "shop-1:8000"),
        target("shop", "shop-2:8000", last_scrape_s=0.0187),
        target("gateway", "gateway:8080", samples=931),
        target("worker", "worker:9100", samples=211, last_scrape_ms=NOW_MS - 190_000),
        target("payments", "payments:8001", health=TargetHealth.DOWN, last_error=refused, samples=0),
    ]


def alert(name: str, state: AlertState, minutes: int, value: float, severity: str, **more: str) -> Alert:
    fired = NOW_MS - minutes * MINUTE_MS if state is AlertState.FIRING else None
    annotations = {
        "summary": more.pop("summary"),
        **({"runbook_url": more.pop("runbook")} if "runbook" in more else {}),
    }
    return Alert(
        Labels.of(alertname=name, severity=severity, **more),
        Labels.of(annotations),
        state,
        value,
        NOW_MS - (minutes + 2) * MINUTE_MS,
        fired,
    )


def rule(name: str, query: str, *alerts: Alert, **more: object) -> RuleStatus:
    status = RuleStatus(
        name,
        "alerting",
        query,
        Labels.of(severity="critical"),
        for_ms=120_000,
        health="ok",
        last_evaluation_ms=NOW_MS - 9_000,
        evaluation_s=0.0021,
        alerts=alerts,
    )
    return replace(status, **more)  # type: ignore[arg-type]


def rule_groups() -> list[RuleGroupStatus]:
    ratio = (
        'sum by (job) (rate(http_requests_total{status=~"5.."}[5m]))\n'
        "  / sum by (job) (rate(http_requests_total[5m])) > 0.02"
    )
    p95 = "histogram_quantile(0.95, sum by (job, le) (rate(http_request_duration_seconds_bucket[5m]))) > 0.5"
    summary = "shop fails 4.1 % of its requests"
    fails = alert(
        "ErrorRatioHigh",
        AlertState.FIRING,
        9,
        0.0412,
        "critical",
        job="shop",
        summary=summary,
        runbook="https://runbooks.example/errors",
    )
    down = alert(
        "TargetDown",
        AlertState.FIRING,
        5,
        0.0,
        "warning",
        job="payments",
        instance="payments:8001",
        summary="payments:8001 does not answer",
    )
    slow = alert(
        "SlowCheckout",
        AlertState.PENDING,
        0,
        0.612,
        "warning",
        job="shop",
        path="/checkout",
        summary="95 % of checkouts take up to 612 ms",
    )
    broken = 'found duplicate series for the match group {job="shop"} on the right side: add a label to on(...)'
    http = (
        rule("ErrorRatioHigh", ratio, fails),
        rule("SlowCheckout", p95, slow),
        rule("job:http_requests:rate5m", "sum by (job) (rate(http_requests_total[5m]))", kind="recording", for_ms=0),
    )
    hosts = (
        rule("TargetDown", "up == 0", down),
        rule("MemoryHigh", "process_resident_memory_bytes / on(job) limits > 0.9", health="err", last_error=broken),
    )
    return [
        RuleGroupStatus("http", "rules/http.yml", 15_000, http, NOW_MS - 9_000, 0.0063),
        RuleGroupStatus("hosts", "rules/hosts.yml", 30_000, hosts, NOW_MS - 9_000, 0.0018),
    ]


def notifications(newest: int) -> list[NotificationRecord]:
    refused = "POST https://hooks.example/T0: 503 Service Unavailable; tried 4 times, next in 2 min"
    rows = [
        ("pager", "webhook", "firing", ("ErrorRatioHigh",), 9, 0.31, 1, ""),
        ("chat", "slack", "firing", ("TargetDown",), 5, None, 4, refused),
        ("chat", "slack", "resolved", ("SlowCheckout", "QueueLong"), 55, 0.52, 1, ""),
    ]
    return [
        NotificationRecord(
            str(i),
            receiver,
            kind,
            "{}",
            status,
            names,
            len(names),
            NOW_MS - minutes * MINUTE_MS,
            None if delay is None else NOW_MS - minutes * MINUTE_MS + int(delay * 1000),
            attempts,
            error,
        )
        for i, (receiver, kind, status, names, minutes, delay, attempts, error) in enumerate(rows)
    ][:newest]


def console(**more: object) -> Console:
    clock = HandClock()
    whole = Console(
        FakeBackend(clock.now_ms),
        clock,
        targets,
        rule_groups,
        notifications,
        NOW_MS - 3 * 3_600_000,
        "0.1.0",
        "http://localhost:9490",
        lambda: "",
    )
    return replace(whole, **more)  # type: ignore[arg-type]


def app(of: Console) -> Starlette:
    server = Starlette(routes=page_routes(of))
    server.add_middleware(GZipMiddleware, minimum_size=500)
    server.add_middleware(Policy)
    return server


class Policy:
    """The content security policy under which the pages must work."""

    def __init__(self, inner: ASGIApp) -> None:
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", b"default-src 'self'")]
            await send(message)

        await self.inner(scope, receive, with_policy)


@pytest.fixture
def make_console() -> Callable[..., Console]:
    return console


@pytest.fixture
def make_app() -> Callable[[Console], Starlette]:
    return app


@pytest.fixture
def visit() -> Callable[..., str]:
    """The HTML of a page, for a console as it is or with parts of it replaced."""

    def get(url: str, headers: dict[str, str] | None = None, **more: object) -> str:
        async def fetch() -> httpx.Response:
            transport = httpx.ASGITransport(app(console(**more)))
            async with httpx.AsyncClient(transport=transport, base_url="http://trackside") as client:
                return await client.get(url, headers=headers)

        response = asyncio.run(fetch())
        assert response.status_code == 200
        return response.text

    return get


@pytest.fixture
def fakes() -> SimpleNamespace:
    """What a test may put together anew."""
    return SimpleNamespace(
        NOW_MS=NOW_MS, Backend=FakeBackend, target=target, alert=alert, rule=rule, groups=rule_groups, targets=targets
    )


@pytest.fixture
def own_pages() -> Callable[[Starlette], None]:
    """Adds the pages that whoever composes the server serves himself: the log-in, and an error."""

    def add(server: Starlette) -> None:
        async def login(request: Request) -> Response:
            return render.login_page("This key is not known.", "/")

        async def error(request: Request) -> Response:
            return render.error_page(404, "Nothing here", "This address leads nowhere.", "GET /error")

        server.router.routes[:0] = [Route("/login", login), Route("/error", error)]

    return add
