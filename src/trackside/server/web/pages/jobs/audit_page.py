"""The page of what people did to jobs: who, when, to which, and what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from trackside.server.jobs.actions.actions import Told
from trackside.server.jobs.actions.store import Wanted
from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.figures import plural
from trackside.server.web.pages.jobs.choice import MAX_TEXT, job_path
from trackside.server.web.verdict import Level

PATH = "/jobs/audit"
PAGE = 50
IDS_SHOWN = 3
_STATE_LEVELS = {
    "done": Level.OK,
    "failed": Level.BAD,
    "interrupted": Level.BAD,
    "stopped": Level.WARN,
}


@dataclass(frozen=True, slots=True)
class AuditRow:
    told: Told
    level: Level
    what: str
    """ "3 jobs"."""
    ids: tuple[str, ...]
    """The first ones, of an action that was no filter's."""
    result: tuple[tuple[str, Level], ...]
    """How many of them came to what."""

    @property
    def more(self) -> int:
        return self.told.action.jobs - len(self.ids) if self.ids else 0


@dataclass(frozen=True, slots=True)
class Audit:
    rows: tuple[AuditRow, ...]
    before: int
    """Where the next page begins; 0: nowhere."""


def page_of(console: Console) -> Callable[[Request], Awaitable[Response]]:
    async def show(request: Request) -> Response:
        wanted = Wanted(*(request.query_params.get(name, "")[:MAX_TEXT] for name in ("source", "job", "who")))
        before = _number(request.query_params.get("before", ""))
        audit = await run_in_threadpool(_audit, console, wanted, before)
        period = render.period_for(request, console)
        params = {"source": wanted.source, "job": wanted.job, "who": wanted.who}
        chips = [(name, value) for name, value in params.items() if value]
        facts: dict[str, Any] = {
            "audit": audit,
            "chips": chips,
            "link": lambda **changed: period.link(PATH, **{**params, **changed}),
            "is_later": bool(before),
            "job_path": job_path,
        }
        kept = {**params, "before": str(before or "")}
        page = render.Page("job_audit.html", "jobs", "What people did to jobs", Level.OK, facts, kept, has_range=False)
        return render.respond(request, console, period, page)

    return show


def level_of(told: Told) -> Level:
    level = _STATE_LEVELS.get(told.state, Level.UNKNOWN)
    return Level.WARN if level is Level.OK and told.action.done < told.action.jobs else level


def result_of(told: Told) -> tuple[tuple[str, Level], ...]:
    """In words."""
    action, is_open = told.action, told.is_open
    if told.state == "done" and action.done == action.jobs:
        return (("done", Level.OK),)
    counts = (
        (action.done, "done", Level.OK),
        (action.untouched, "to come" if is_open else "untouched", Level.UNKNOWN if is_open else Level.WARN),
        (action.left_alone, "left alone", Level.UNKNOWN),
        (action.begun, "under way" if is_open else "unclear", Level.UNKNOWN if is_open else Level.BAD),
    )
    found = tuple((f"{count} {word}", level) for count, word, level in counts if count)
    return found if told.state == "done" else ((told.state, _STATE_LEVELS.get(told.state, Level.UNKNOWN)), *found)


def _audit(console: Console, wanted: Wanted, before: int) -> Audit | None:
    """None: this server watches no jobs."""
    actions = console.job_actions()
    if actions is None:
        return None
    found = actions.audit(wanted, before, PAGE + 1, IDS_SHOWN)
    return Audit(tuple(map(_row, found[:PAGE])), found[PAGE - 1].action.id if len(found) > PAGE else 0)


def _row(told: Told) -> AuditRow:
    return AuditRow(
        told,
        level_of(told),
        plural(told.action.jobs, "queue" if told.are_queues else "job"),
        tuple(target.job for target in told.targets),
        result_of(told),
    )


def _number(text: str) -> int:
    """0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
