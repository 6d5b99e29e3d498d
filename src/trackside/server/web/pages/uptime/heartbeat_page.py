"""`/uptime/heartbeats/<name>`: one job: when it is expected, what it told, and where it has to tell it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.pages.uptime.words import heartbeat_finding, level_of_heartbeat, word_of_heartbeat
from trackside.server.web.visitor import may_act

PINGS = 100


async def show(console: Console, request: Request) -> Response:
    period = render.period_for(request, console)
    name = request.path_params["name"]
    view = next((one for one in console.heartbeats() if one.config.name == name), None)
    if view is None:
        return render.error_page(404, "There is no such heartbeat", "The configuration has none of this name any more.")
    pings = await run_in_threadpool(console.heartbeat_pings, name, PINGS)
    finding = heartbeat_finding(view, "")
    level = level_of_heartbeat(view)
    facts: Mapping[str, object] = {
        "findings": [finding] if finding is not None else [],
        "view": view,
        "level": level,
        "word": word_of_heartbeat(view),
        "pings": pings,
        # Whoever knows the address can feign the job: for those who may act, and nobody else.
        "address": f"{console.external_url}/ping/{view.key}" if may_act(request) else "",
    }
    title = f"{name} {finding.predicate}" if finding is not None else name
    page = render.Page("heartbeat.html", "uptime", title, level, facts, {})
    return render.respond(request, console, period, page)
