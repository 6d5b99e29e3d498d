"""`/jobs/actions/…`: what an action would do, and how far it is; by forms, so that it works without a script."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MultiDict
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from trackside.exceptions import TracksideError
from trackside.server.jobs.actions.actions import JobActions
from trackside.server.jobs.actions.plan import Asked, Person
from trackside.server.jobs.actions.refusal import ActionError, Kind
from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.forms import form_of
from trackside.server.web.origin import local_path
from trackside.server.web.verdict import Level

_SHOWN = 100
_TITLES = {
    Kind.WRONG: "That cannot be done",
    Kind.FORBIDDEN: "You may not do that",
    Kind.UNKNOWN: "That is not there",
    Kind.BUSY: "Not now",
    Kind.UNREACHABLE: "The queue does not answer",
}
STATUS = {Kind.WRONG: 400, Kind.FORBIDDEN: 403, Kind.UNKNOWN: 404, Kind.BUSY: 429, Kind.UNREACHABLE: 503}
_LEVELS = {"done": Level.OK, "failed": Level.BAD, "interrupted": Level.BAD, "stopped": Level.WARN}


@dataclass(frozen=True, slots=True)
class JobActionPages:
    console: Console
    asked: Callable[[MultiDict], Asked]
    person: Callable[[Request], Person]
    actions: Callable[[Console], JobActions]

    def routes(self) -> list[BaseRoute]:
        path = "/jobs/actions"
        return [
            Route(path, _shown(self.plan), methods=["POST"]),
            Route(f"{path}/{{id:int}}", _shown(self.progress), methods=["GET"]),
            Route(f"{path}/{{id:int}}/stop", _shown(self.stop), methods=["POST"]),
            Route(f"{path}/{{token}}", _shown(self.show), methods=["GET"]),
            Route(f"{path}/{{token}}", _shown(self.confirm), methods=["POST"]),
        ]

    async def plan(self, request: Request) -> Response:
        form = await form_of(request)
        person, actions = self.person(request), self.actions(self.console)
        plan = await run_in_threadpool(actions.plan, person, self.asked(form))
        return _to(f"/jobs/actions/{plan.token}", back=_back(form))

    async def show(self, request: Request) -> Response:
        token, person = request.path_params["token"], self.person(request)
        plan = await run_in_threadpool(self.actions(self.console).planned, person, token)
        back = _back(await form_of(request))
        facts = {"plan": plan, "told": None, "back": back, "shown": plan.ids[:_SHOWN]}
        return self._page(request, f"{plan.asked.verb.value.capitalize()} jobs", Level.WARN, facts, {"back": back})

    async def confirm(self, request: Request) -> Response:
        form, person = await form_of(request), self.person(request)
        id = await run_in_threadpool(self.actions(self.console).confirm, person, request.path_params["token"])
        return _to(f"/jobs/actions/{id}", back=_back(form))

    async def progress(self, request: Request) -> Response:
        id, actions = request.path_params["id"], self.actions(self.console)
        told = await run_in_threadpool(actions.action, id, _SHOWN) if id < 2**53 else None
        if told is None:
            raise ActionError("there is no such action (any more)", Kind.UNKNOWN)
        back = _back(await form_of(request))
        facts = {"plan": None, "told": told, "back": back, "shown": told.targets}
        level = _LEVELS.get(told.state, Level.UNKNOWN)
        return self._page(request, f"Action {told.action.id}", level, facts, {"back": back})

    async def stop(self, request: Request) -> Response:
        form, person = await form_of(request), self.person(request)
        id = request.path_params["id"]
        if id < 2**53:
            await run_in_threadpool(self.actions(self.console).stop, person, id)
        return _to(f"/jobs/actions/{id}", back=_back(form))

    def _page(
        self, request: Request, title: str, level: Level, facts: Mapping[str, object], params: Mapping[str, str]
    ) -> Response:
        page = render.Page("job_action.html", "jobs", title, level, {**facts, "level": level}, params)
        return render.respond(request, self.console, render.period_for(request, self.console), page)


def _shown(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except ActionError as error:
            return render.error_page(STATUS[error.kind], _TITLES[error.kind], str(error))
        except TracksideError as error:
            return render.error_page(400, "That cannot be read", str(error))

    return answer


def _back(form: MultiDict) -> str:
    """The page it came from."""
    path = local_path(str(form.get("back") or "/jobs"))
    return path if path != "/" and urlsplit(path).path != "/jobs/actions" else "/jobs"


def _to(path: str, back: str) -> Response:
    # 303: what follows is a GET, which can be reloaded without doing anything again.
    return RedirectResponse(f"{path}?{urlencode({'back': back})}", 303)
