"""`/uptime/status`: where the team writes what the world is told; by forms, so that it works without a script."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MultiDict
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from trackside.server.status.book import StatusBook
from trackside.server.status.incidents import OF_INCIDENTS, OF_MAINTENANCE, StatusError, Written
from trackside.server.status.model import Incident
from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.forms import form_of
from trackside.server.web.moments import for_input, moment_ms
from trackside.server.web.status.page import WORDS, sentence
from trackside.server.web.verdict import Level
from trackside.server.web.visitor import author_of, may_act

PATH = "/uptime/status"
AUDITS = 50
_LEVELS = {
    "up": Level.OK,
    "degraded": Level.WARN,
    "down": Level.BAD,
    "maintenance": Level.UNKNOWN,
    "unknown": Level.UNKNOWN,
}
EXAMPLE = """\
status_page:
  published: true
  title: Example
  components:
    - {name: API, check: api}
    - {name: Checkout, expr: 'min(up{job="shop"})'}
"""


@dataclass(frozen=True, slots=True)
class IncidentPages:
    console: Console
    book: StatusBook

    def routes(self) -> list[BaseRoute]:
        return [
            Route(PATH, self.show, methods=["GET"]),
            Route(PATH, _told(self.write), methods=["POST"]),
            Route(PATH + "/{id:int}", _told(self.update), methods=["POST"]),
            Route(PATH + "/{id:int}/delete", _told(self.delete), methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        # Nothing may change under the hands of somebody who writes.
        period = replace(render.period_for(request, self.console), refresh_s=0)
        view = self.book.view
        level = _LEVELS[view.state.value]
        incidents = self.book.incidents()
        facts: Mapping[str, object] = {
            "view": view,
            "sentence": sentence(view),
            "level": level,
            "levels": _LEVELS,
            "words": WORDS,
            "published": self.book.config.published,
            "going_on": [one for one in incidents if not one.state.is_over],
            "over": [one for one in incidents if one.state.is_over][:AUDITS],
            "states_of": _states_of,
            "audits": await run_in_threadpool(self.book.audits, AUDITS),
            "may_act": may_act(request),
            "example": EXAMPLE,
            "now": for_input(period.now_ms),
            "later": for_input(period.now_ms + 3_600_000),
        }
        page = render.Page("incidents.html", "uptime", "Status page", level, facts, {}, has_range=False)
        return render.respond(request, self.console, period, page)

    async def write(self, request: Request) -> Response:
        form = await form_of(request)
        written = Written(
            _one(form, "title"),
            _one(form, "text"),
            _one(form, "impact"),
            tuple(str(name) for name in form.getlist("component")),
            _moment(form, "starts"),
            _moment(form, "ends"),
        )
        await self.book.write(written, author_of(request))
        return _back()

    async def update(self, request: Request) -> Response:
        form = await form_of(request)
        id = _number(request)
        await self.book.update(id, _one(form, "state"), _one(form, "text"), author_of(request))
        return _back()

    async def delete(self, request: Request) -> Response:
        await self.book.delete(_number(request), author_of(request))
        return _back()


def _told(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        # The gate has asked for it already; what the world reads is worth asking twice.
        if not may_act(request):
            return render.error_page(403, "You may not do that", "Only operators write on the status page.")
        try:
            return await handler(request)
        except StatusError as error:
            return render.error_page(400, "That cannot stand on the page", str(error))

    return answer


def _states_of(incident: Incident) -> Sequence[str]:
    return [one.value for one in (OF_MAINTENANCE if incident.is_maintenance else OF_INCIDENTS)]


def _number(request: Request) -> int:
    id: int = request.path_params["id"]
    if id >= 2**53:
        raise StatusError("there is no such incident (any more)")
    return id


def _one(form: MultiDict, name: str) -> str:
    return str(form.get(name) or "")


def _moment(form: MultiDict, name: str) -> int | None:
    """
    Raises:
        StatusError: it is no moment.
    """
    text = _one(form, name)
    try:
        return moment_ms(text) if text else None
    except ValueError as error:
        raise StatusError(f"{name}: {error}") from error


def _back() -> Response:
    # 303: what follows is a GET, which can be reloaded without doing anything again.
    return RedirectResponse(PATH, 303)
