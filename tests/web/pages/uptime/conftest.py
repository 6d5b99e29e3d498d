"""Checks and heartbeats as they may stand: one down, one flapping, one about to lose its certificate."""

import pytest

from trackside.server.probes.config import UptimeConfig
from trackside.server.probes.heartbeats.book import HeartbeatView
from trackside.server.probes.heartbeats.state import Heartbeat, Ping, PingKind, Plan, heartbeat_now, pinged
from trackside.server.probes.heartbeats.store import StoredPing
from trackside.server.probes.result import HttpFacts, Kind, ProbeResult, Reason, TlsFacts
from trackside.server.probes.source import CheckView
from trackside.server.probes.state import Condition, ProbeState
from trackside.server.probes.store import Change

NOW_MS = 1_764_079_335_000
MINUTE, HOUR = 60_000, 3_600_000
KEY = "k" * 32

CONFIG = UptimeConfig.model_validate(
    {
        "checks": [
            {"name": "api", "url": "https://api.example.com/api/v1/health", "group": "shop"},
            {
                "name": "checkout",
                "url": "https://shop.example.com/checkout",
                "group": "shop",
                "labels": {"team": "web"},
            },
            {"name": "websocket", "url": "wss://api.example.com/ws", "interval": "5m", "timeout": "30s"},
            {"name": "a/b c", "url": "tcp://queue.example.com:5672"},
            {"name": "name server", "url": "dns://192.0.2.53/example.com"},
        ],
        "heartbeats": [
            {"name": "nightly backup", "schedule": "30 2 * * *", "grace": "30m"},
            {"name": "invoices", "period": "1h", "grace": "5m"},
        ],
    }
)
PHASES = {"resolve": 0.004, "connect": 0.012, "tls": 0.021, "processing": 0.087, "transfer": 0.003}


def checks():
    states = [
        (Condition.UP, 26 * HOUR, Reason.NONE, "", 62),
        (Condition.DOWN, 12 * MINUTE, Reason.STATUS, "HTTP 503; expected 200-299", 62),
        (Condition.FLAPPING, 3 * MINUTE, Reason.NONE, "", 9),
        (Condition.MAINTENANCE, 40 * MINUTE, Reason.NONE, "", None),
        (Condition.UNKNOWN, 0, Reason.NONE, "", None),
    ]
    return [
        CheckView(
            check,
            ProbeState(condition, NOW_MS - since, condition is not Condition.DOWN),
            None
            if condition is Condition.UNKNOWN
            else ProbeResult(
                check.kind,
                reason is Reason.NONE,
                0.127,
                reason,
                error,
                phases_s=PHASES if check.kind in (Kind.HTTP, Kind.WEBSOCKET) else {"resolve": 0.004, "connect": 0.012},
                ip="192.0.2.10",
                tls=None if days is None else TlsFacts("TLS 1.3", "", NOW_MS / 1000 + days * 86_400),
                http=HttpFacts(503 if error else 200) if check.kind is Kind.HTTP else None,
            ),
            None if condition is Condition.UNKNOWN else NOW_MS - 21_000,
            None if condition is Condition.UNKNOWN else NOW_MS + 39_000,
        )
        for check, (condition, since, reason, error, days) in zip(CONFIG.checks, states, strict=True)
    ]


def check_changes(name, since_ms):
    first = Change(NOW_MS - 26 * HOUR, Condition.UP)
    if name == "checkout":
        return [
            first,
            Change(NOW_MS - 45 * MINUTE, Condition.DOWN, "timeout", "no complete answer within 10 s"),
            Change(NOW_MS - 41 * MINUTE, Condition.UP),
            Change(NOW_MS - 12 * MINUTE, Condition.DOWN, "status", "HTTP 503; expected 200-299"),
        ]
    if name == "a/b c":
        return [first, Change(NOW_MS - 40 * MINUTE, Condition.MAINTENANCE)]
    return [] if name == "name server" else [first]


def heartbeats():
    views = []
    for config, pings in zip(
        CONFIG.heartbeats,
        [
            [(PingKind.START, 11 * HOUR + 30 * MINUTE), (PingKind.SUCCESS, 11 * HOUR)],
            [(PingKind.SUCCESS, 2 * HOUR), (PingKind.FAIL, 20 * MINUTE)],
        ],
        strict=True,
    ):
        plan, heartbeat = Plan.of(config), Heartbeat(NOW_MS - 30 * HOUR)
        for kind, ago in pings:
            heartbeat = pinged(heartbeat, Ping(kind, NOW_MS - ago), plan)
        views.append(HeartbeatView(config, KEY, heartbeat, heartbeat_now(heartbeat, plan, NOW_MS)))
    return views


def pings(name, count):
    told = [
        Ping(PingKind.FAIL, NOW_MS - 20 * MINUTE, "7", "could not reach <the bank>\nexit 1"),
        Ping(PingKind.START, NOW_MS - 25 * MINUTE, "7"),
        Ping(PingKind.SUCCESS, NOW_MS - 2 * HOUR),
    ]
    return [StoredPing(ping, "192.0.2.20") for ping in told][:count]


@pytest.fixture
def uptime():
    """What the console knows, to be handed to `visit` or `make_console`."""
    return {
        "checks": checks,
        "heartbeats": heartbeats,
        "check_changes": check_changes,
        "heartbeat_pings": pings,
    }


@pytest.fixture
def ask_for(make_console, make_app):
    """The answer to a GET, whatever its status."""
    import asyncio

    import httpx

    def get(path, **console):
        async def fetch():
            transport = httpx.ASGITransport(make_app(make_console(**console)))
            async with httpx.AsyncClient(transport=transport, base_url="http://trackside") as client:
                return await client.get(path)

        return asyncio.run(fetch())

    return get
