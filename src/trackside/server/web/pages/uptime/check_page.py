"""`/uptime/checks/<name>`: one check: how it did, how long each phase took, its certificate, and its downs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from trackside.server.probes.result import Kind
from trackside.server.probes.source import CheckView
from trackside.server.web import render
from trackside.server.web.ask import Question, ask
from trackside.server.web.chart import Chart, Line, lines_of, onto_grid
from trackside.server.web.console import Console
from trackside.server.web.pages.uptime.timeline import timeline
from trackside.server.web.pages.uptime.uptime_page import certificate_days, selector
from trackside.server.web.pages.uptime.words import PHASES, check_finding, level_of, phases_of, word_of
from trackside.server.web.period import Period

BARS = 90
DOWNS = 50
_PHASE_METRICS: Mapping[Kind, str] = {
    Kind.HTTP: "probe_http_duration_seconds",
    Kind.WEBSOCKET: "probe_http_duration_seconds",
    Kind.DNS: "probe_dns_duration_seconds",
}


async def show(console: Console, request: Request) -> Response:
    period = render.period_for(request, console)
    name = request.path_params["name"]
    view = next((one for one in console.checks() if one.check.name == name), None)
    if view is None:
        return render.error_page(404, "There is no such check", "The configuration has none of this name (any more).")
    changes = await run_in_threadpool(console.check_changes, name, period.start_ms)
    line = timeline(changes, period.start_ms, period.until_ms, BARS)
    finding = check_finding(view, "")
    facts: Mapping[str, object] = {
        "findings": [finding] if finding is not None else [],
        "view": view,
        "word": word_of(view),
        "level": level_of(view),
        "timeline": line,
        "downs": line.downs[:DOWNS],
        "chart": await _chart(console, view, period),
        "phases": phases_of(view.check.kind, view.result),
        "certificate_days": certificate_days(view, period.now_ms),
        "up_link": period.explore(f"avg_over_time(probe_success{selector(view)}[{period.span_text}])"),
        "labels_shown": sorted(view.check.labels.items()),
    }
    title = f"{name} {finding.predicate}" if finding is not None else name
    # The section is the list's: the rail shows where one is.
    page = render.Page("check.html", "uptime", title, level_of(view), facts, {})
    return render.respond(request, console, period, page)


async def _chart(console: Console, view: CheckView, period: Period) -> Chart:
    metric = _PHASE_METRICS.get(view.check.kind, "probe_duration_seconds")
    expr = f"{metric}{selector(view)}"
    answer = await ask(console.backend, console.clock, period, Question(expr, is_range=True))
    lines: tuple[Line, ...] = ()
    if answer.matrix is not None:
        grid = onto_grid(answer.matrix, period.start_ms, period.end_ms, period.step_ms)
        found, _ = lines_of(grid, ("phase",), limit=len(PHASES[view.check.kind]))
        by_name = {line.name: line for line in found}
        order = [name for name in PHASES[view.check.kind] if name in by_name] or list(by_name)
        # The last phase on top, as it comes last; each keeps its colour whatever others there are.
        lines = tuple(replace(by_name[name], hue=index) for index, name in reversed(list(enumerate(order))))
        if metric == "probe_duration_seconds":
            lines = tuple(replace(line, name="whole probe") for line in lines)
    return Chart(
        "response",
        "Response time by phase" if view.check.kind in _PHASE_METRICS else "Response time",
        "seconds",
        period.start_ms,
        period.end_ms,
        period.step_ms,
        lines,
        period.explore(expr),
        0,
        answer.reason,
        stacked=True,
    )
