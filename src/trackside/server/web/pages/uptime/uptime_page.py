"""`/uptime`: every check and heartbeat, what is wrong with them, and how they did in the period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from trackside.model.labels import quoted
from trackside.server.probes.heartbeats.book import HeartbeatView
from trackside.server.probes.source import CheckView
from trackside.server.web import render
from trackside.server.web.ask import Question, ask
from trackside.server.web.console import Console
from trackside.server.web.pages.uptime.timeline import Timeline, timeline
from trackside.server.web.pages.uptime.words import (
    calm_line,
    findings_of,
    level_of,
    level_of_heartbeat,
    word_of,
    word_of_heartbeat,
)
from trackside.server.web.period import Period
from trackside.server.web.verdict import Level

DURATIONS = 'avg by (check) (avg_over_time(probe_duration_seconds{{job="uptime"}}[{window}]))'
EXAMPLE = """\
uptime:
  checks:
    - {name: api, url: "https://api.example.com/health", interval: 1m, timeout: 10s}
    - {name: websocket, url: "wss://api.example.com/ws", interval: 5m, timeout: 30s}
  heartbeats:
    - {name: nightly backup, schedule: "30 2 * * *", grace: 30m}
"""


@dataclass(frozen=True, slots=True)
class CheckRow:
    view: CheckView
    level: Level
    word: str
    href: str
    timeline: Timeline
    duration_s: float | None
    """On average over the period."""
    duration_href: str
    certificate_days: float | None
    next_ms: int | None


@dataclass(frozen=True, slots=True)
class HeartbeatRow:
    view: HeartbeatView
    level: Level
    word: str
    href: str


async def show(console: Console, request: Request) -> Response:
    period = render.period_for(request, console)
    views, heartbeats = console.checks(), console.heartbeats()
    rows, beats = await _check_rows(console, views, period), _heartbeat_rows(heartbeats, period)
    findings = findings_of(
        [(row.view, row.href) for row in rows], [(row.view, row.href) for row in beats], console.doubt()
    )
    facts: Mapping[str, object] = {
        "findings": findings,
        "groups": _groups(rows),
        "heartbeats": beats,
        "calm": calm_line(views, heartbeats),
        "example": EXAMPLE,
        "any": bool(views or heartbeats),
    }
    level = findings[0].level if findings else Level.OK if views or heartbeats else Level.UNKNOWN
    title = f"{findings[0].subject} {findings[0].predicate}".strip() if findings else "Uptime"
    return render.respond(request, console, period, render.Page("uptime.html", "uptime", title, level, facts, {}))


def check_path(name: str) -> str:
    return f"/uptime/checks/{quote(name, safe='')}"


def heartbeat_path(name: str) -> str:
    return f"/uptime/heartbeats/{quote(name, safe='')}"


def selector(view: CheckView) -> str:
    return f'{{job="uptime", check="{quoted(view.check.name)}"}}'


def certificate_days(view: CheckView, now_ms: int) -> float | None:
    tls = view.result.tls if view.result is not None else None
    if tls is None or tls.earliest_expiry_s is None:
        return None
    return (tls.earliest_expiry_s - now_ms / 1000) / 86_400


async def _check_rows(console: Console, views: Sequence[CheckView], period: Period) -> list[CheckRow]:
    expr = DURATIONS.format(window=period.span_text)
    answer = await ask(console.backend, console.clock, period, Question(expr)) if views else None
    took = answer.by("check") if answer is not None else {}
    lines = await run_in_threadpool(_timelines, console, views, period)
    rows = [
        CheckRow(
            view,
            level_of(view),
            word_of(view),
            period.link(check_path(view.check.name)),
            line,
            took.get((view.check.name,)),
            period.explore(f"probe_duration_seconds{selector(view)}"),
            certificate_days(view, period.now_ms),
            view.next_ms,
        )
        for view, line in zip(views, lines, strict=True)
    ]
    # The worst first; else as in the configuration.
    return sorted(rows, key=lambda row: -row.level)


def _timelines(console: Console, views: Sequence[CheckView], period: Period) -> list[Timeline]:
    return [
        timeline(console.check_changes(view.check.name, period.start_ms), period.start_ms, period.until_ms)
        for view in views
    ]


def _heartbeat_rows(views: Sequence[HeartbeatView], period: Period) -> list[HeartbeatRow]:
    rows = [
        HeartbeatRow(
            view,
            level_of_heartbeat(view),
            word_of_heartbeat(view),
            period.link(heartbeat_path(view.config.name)),
        )
        for view in views
    ]
    return sorted(rows, key=lambda row: -row.level)


def _groups(rows: Sequence[CheckRow]) -> list[tuple[str, list[CheckRow]]]:
    groups: dict[str, list[CheckRow]] = {}
    for row in rows:
        groups.setdefault(row.view.check.group, []).append(row)
    return list(groups.items())
