"""The page of all queues: what is wrong, the lanes, the picture, kinds, failures, jobs, workers and schedules."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from textwrap import shorten
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from trackside.jobs.actor import Verb
from trackside.model.jobs import JobState
from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.pages.jobs.beside import beside, with_lines
from trackside.server.web.pages.jobs.choice import Choice, Tab, choice_of, job_path
from trackside.server.web.pages.jobs.flow import flow_of
from trackside.server.web.pages.jobs.glance import Glance, glance
from trackside.server.web.pages.jobs.words import lasted, per_time, usd
from trackside.server.web.verdict import Level
from trackside.server.web.visitor import may_act

TITLE_CHARACTERS = 80
PLACEHOLDER = 'state:failed kind:images.enhance run:>30s args.user.id:42 "timeout"'
EXAMPLE = """\
jobs:
  sources:
    - {name: rq, type: rq, url: "redis://localhost:6379/0"}
"""


def page_of(console: Console, backend: str = "") -> Callable[[Request], Awaitable[Response]]:
    async def show(request: Request) -> Response:
        period = render.period_for(request, console)
        choice = choice_of(request.query_params, request.url.path, backend)
        seen, flow, lines = await asyncio.gather(
            run_in_threadpool(glance, console, choice, period, may=may_act(request)),
            flow_of(console, period, choice),
            beside(console, period, choice),
        )
        facts: dict[str, Any] = {
            "choice": choice,
            "glance": seen,
            "chart": with_lines(seen.chart, lines, choice.tab) if seen is not None else None,
            "tabs": _tabs(seen, choice),
            "Verb": Verb,
            "here": choice.link(period),
            "example": EXAMPLE,
            "job_path": job_path,
            "usd": usd,
            "lasted": lasted,
            "per_time": per_time,
            "states": list(JobState),
            "state_of": {state.value: state for state in JobState},
            "placeholder": PLACEHOLDER,
            "flow": flow,
        }
        title, level = _title(seen)
        page = render.Page("jobs.html", "jobs", title, level, facts, choice.params())
        return render.respond(request, console, period, page)

    return show


def _tabs(seen: Glance | None, choice: Choice) -> list[Tab]:
    """That of costs only where somebody has said what jobs cost, or may cost."""
    has_costs = seen is not None and (seen.spent.budget_usd or seen.spent.range_usd or choice.tab is Tab.COST)
    return [tab for tab in Tab if tab is not Tab.COST or has_costs]


def _title(seen: Glance | None) -> tuple[str, Level]:
    if seen is None:
        return "Jobs", Level.OK
    worst = seen.verdicts[0] if seen.verdicts else None
    if worst is None or worst.level <= Level.OK:
        return "Jobs", Level.OK
    return shorten(worst.text, TITLE_CHARACTERS, placeholder=" …"), worst.level
