"""`/jobs/actions/…`: what an action would do, and how far it is; by forms, so that it works without a script."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MultiDict
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from trackside.exceptions import TracksideError
from trackside.jobs.actor import Verb
from trackside.server.jobs.actions.actions import JobActions, Told
from trackside.server.jobs.actions.plan import Asked, Person
from trackside.server.jobs.actions.refusal import ActionError, Kind
from trackside.server.web import render
from trackside.server.web.action_status import STATUS
from trackside.server.web.console import Console
from trackside.server.web.figures import count, plural
from trackside.server.web.forms import form_of
from trackside.server.web.origin import local_path
from trackside.server.web.pages.jobs.audit_page import level_of
from trackside.server.web.pages.jobs.choice import job_path
from trackside.server.web.verdict import Level
from trackside.server.web.visitor import may_act

_SHOWN = 100
_TITLES = {
    Kind.WRONG: "That cannot be done",
    Kind.FORBIDDEN: "You may not do that",
    Kind.UNKNOWN: "That is not there",
    Kind.BUSY: "Not now",
    Kind.UNREACHABLE: "The queue does not answer",
}
_OPEN_REFRESH_S = 2
_STILL = 0


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
        facts = {"plan": plan, "told": None, "back": back, "shown": plan.ids[:_SHOWN], "job_path": job_path}
        what = "queues" if plan.asked.verb.is_for_queues else "jobs"
        level = Level.WARN if plan.will_change else Level.UNKNOWN
        # What is shown here stays as it is; and a plan that is over can only be made again.
        return self._page(request, f"{plan.asked.verb.value.capitalize()} {what}?", level, facts, _STILL)

    async def confirm(self, request: Request) -> Response:
        form, person = await form_of(request), self.person(request)
        id = await run_in_threadpool(self.actions(self.console).confirm, person, request.path_params["token"])
        return _to(f"/jobs/actions/{id}", back=_back(form))

    async def progress(self, request: Request) -> Response:
        id, actions = request.path_params["id"], self.actions(self.console)
        told = await run_in_threadpool(actions.action, id, _SHOWN) if id < 2**53 else None
        if told is None:
            raise ActionError("there is no such action (any more)", Kind.UNKNOWN)
        back, said = _back(await form_of(request)), said_of(told)
        facts = {
            "plan": None,
            "told": told,
            "back": back,
            "shown": told.targets,
            "job_path": job_path,
            "said": said,
            "are_queues": told.are_queues,
            "is_open": told.is_open,
            "may_stop": may_act(request),
        }
        return self._page(request, said, level_of(told), facts, _OPEN_REFRESH_S if told.is_open else _STILL)

    async def stop(self, request: Request) -> Response:
        form, person = await form_of(request), self.person(request)
        id = request.path_params["id"]
        if id < 2**53:
            await run_in_threadpool(self.actions(self.console).stop, person, id)
        return _to(f"/jobs/actions/{id}", back=_back(form))

    def _page(
        self, request: Request, title: str, level: Level, facts: Mapping[str, object], refresh_s: int
    ) -> Response:
        params = {"back": str(facts["back"])}
        page = render.Page("job_action.html", "jobs", title, level, {**facts, "level": level}, params, has_range=False)
        period = replace(render.period_for(request, self.console), refresh_s=refresh_s)
        return render.respond(request, self.console, period, page)


def said_of(told: Told) -> str:
    """What became of it so far, in a sentence."""
    action, verb = told.action, Verb(told.action.verb)
    one = "queue" if told.are_queues else "job"
    what = f"{plural(action.jobs, one)} of {action.source}"
    if told.state == "waiting":
        return f"{verb.value.capitalize()} {what}: another action is under way there, this one waits for its turn."
    if told.state == "running":
        return f"{verb.value.capitalize()} {what}: {count(action.done)} done so far."
    if not action.done:
        what = f"No {one} of {action.source}"
    elif action.done < action.jobs:
        what = f"Only {count(action.done)} of {what}"
    were = "was" if action.done <= 1 else "were"
    how = {"stopped": ", then it was stopped", "failed": ", then it failed", "interrupted": ", then it was interrupted"}
    return f"{what} {were} {verb.past}{how.get(told.state, '')}."


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
