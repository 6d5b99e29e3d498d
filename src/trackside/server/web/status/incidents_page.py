"""`/uptime/status`: where the team writes what the world is told; by forms, so that it works without a script."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MultiDict
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from trackside.server.access.roles import Identity, Role
from trackside.server.status.book import StatusBook
from trackside.server.status.incidents import OF_INCIDENTS, OF_MAINTENANCE, StatusError, Written
from trackside.server.status.model import Incident
from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.forms import form_of
from trackside.server.web.status.page import WORDS, sentence
from trackside.server.web.verdict import Level

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
        facts: Mapping[str, object] = {
            "view": view,
            "sentence": sentence(view),
            "level": _LEVELS[view.state.value],
            "levels": _LEVELS,
            "words": WORDS,
            "published": self.book.config.published,
            "going_on": [one for one in self.book.incidents() if not one.state.is_over],
            "over": [one for one in self.book.incidents() if one.state.is_over][:AUDITS],
            "states_of": _states_of,
            "audits": await run_in_threadpool(self.book.audits, AUDITS),
            "may_write": may_write(request),
            "example": EXAMPLE,
            "now": _for_input(period.now_ms),
            "later": _for_input(period.now_ms + 3_600_000),
        }
        level = _LEVELS[view.state.value]
        page = render.Page("incidents.html", "uptime", "Status page", level, facts, {})
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
        await self.book.write(written, _author(request))
        return _back()

    async def update(self, request: Request) -> Response:
        form = await form_of(request)
        id = _number(request)
        await self.book.update(id, _one(form, "state"), _one(form, "text"), _author(request))
        return _back()

    async def delete(self, request: Request) -> Response:
        await self.book.delete(_number(request), _author(request))
        return _back()


def may_write(request: Request) -> bool:
    identity = getattr(request.state, "identity", None)
    return isinstance(identity, Identity) and identity.role.allows(Role.OPERATOR)


def _told(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        # The gate has asked for it already; what the world reads is worth asking twice.
        if not may_write(request):
            return render.error_page(403, "You may not do that", "Only operators write on the status page.")
        try:
            return await handler(request)
        except StatusError as error:
            return render.error_page(400, "That cannot stand on the page", str(error))

    return answer


def _states_of(incident: Incident) -> Sequence[str]:
    return [one.value for one in (OF_MAINTENANCE if incident.is_maintenance else OF_INCIDENTS)]


def _author(request: Request) -> str:
    identity = getattr(request.state, "identity", None)
    return identity.name if isinstance(identity, Identity) else "unknown"


def _number(request: Request) -> int:
    id: int = request.path_params["id"]
    if id >= 2**53:
        raise StatusError("there is no such incident (any more)")
    return id


def _one(form: MultiDict, name: str) -> str:
    return str(form.get(name) or "")


def _moment(form: MultiDict, name: str) -> int | None:
    """As a browser writes it, in UTC.

    Raises:
        StatusError: it is no moment.
    """
    text = _one(form, name)
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return int((found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise StatusError(f"{name}: expected a day and a time, such as 2026-03-01T22:00") from error


def _for_input(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M")


def _back() -> Response:
    # 303: what follows is a GET, which can be reloaded without doing anything again.
    return RedirectResponse(PATH, 303)
