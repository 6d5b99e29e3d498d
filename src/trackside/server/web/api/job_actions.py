"""`/api/v1/jobs/actions` and `audit`: what people do to jobs. The forms of the pages are answered beside it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MultiDict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trackside.jobs.actor import Verb
from trackside.model.jobs import JobQuery, JobState
from trackside.server.access.roles import Identity, Role
from trackside.server.jobs.actions.actions import JobActions, Told
from trackside.server.jobs.actions.plan import Asked, Person, Plan
from trackside.server.jobs.actions.refusal import ActionError, Kind
from trackside.server.jobs.actions.store import OPEN, Target, Wanted
from trackside.server.web.action_status import STATUS
from trackside.server.web.api.answers import Handler, answering, failure, success
from trackside.server.web.api.times import rfc3339
from trackside.server.web.body import body_of
from trackside.server.web.console import Console
from trackside.server.web.forms import MAX_FORM_BYTES, ParameterError, form_of

_MAX_AUDIT = 500
_MAX_ACTION = 2**53
_FILTER = ("queue", "kind", "worker", "text")


@dataclass(frozen=True, slots=True)
class JobActionsApi:
    console: Console

    def routes(self) -> list[BaseRoute]:
        path = "/api/v1/jobs/actions"
        return [
            Route(path, _answering(self.plan), methods=["POST"]),
            Route(f"{path}/{{id:int}}", _answering(self.progress), methods=["GET"]),
            Route(f"{path}/{{id:int}}/stop", _answering(self.stop), methods=["POST"]),
            Route(f"{path}/{{token}}", _answering(self.confirm), methods=["POST"]),
            Route("/api/v1/jobs/audit", _answering(self.audit), methods=["GET"]),
        ]

    def pages(self) -> list[BaseRoute]:
        """Before all other pages: `/jobs/actions/…` looks like a job of a source with that name."""
        from trackside.server.web.pages.job_action_page import JobActionPages  # noqa: PLC0415 - as late.py says

        return JobActionPages(self.console, asked_in_form, person_of, actions_of).routes()

    async def plan(self, request: Request) -> Response:
        actions, person = actions_of(self.console), person_of(request)
        plan = await run_in_threadpool(actions.plan, person, await _asked(request))
        return success(_plan(plan, self.console.clock.now_ms()))

    async def confirm(self, request: Request) -> Response:
        actions, person = actions_of(self.console), person_of(request)
        id = await run_in_threadpool(actions.confirm, person, request.path_params["token"])
        answer = success({"id": id, "url": f"/api/v1/jobs/actions/{id}"})
        answer.status_code = 202
        return answer

    async def progress(self, request: Request) -> Response:
        return success(_told(await told_of(self.console, request), with_targets=True))

    async def stop(self, request: Request) -> Response:
        person, told = person_of(request), await told_of(self.console, request)
        is_asked = await run_in_threadpool(actions_of(self.console).stop, person, told.action.id)
        return success({"id": told.action.id, "stopping": is_asked})

    async def audit(self, request: Request) -> Response:
        form = await form_of(request)
        limit, before = _whole(form, "limit", 50, _MAX_AUDIT), _whole(form, "before", 0, _MAX_ACTION)
        wanted = Wanted(form.get("source", ""), form.get("job", ""), form.get("who", ""))
        actions = actions_of(self.console)
        if wanted.job and wanted.source and not wanted.who and not before:
            found = await run_in_threadpool(actions.of_job, wanted.source, wanted.job, limit)
        else:
            found = await run_in_threadpool(actions.audit, wanted, before, limit)
        more = str(found[-1].action.id) if len(found) == limit else ""
        return success({"actions": [_told(one, with_targets=bool(one.targets)) for one in found], "before": more})


def actions_of(console: Console) -> JobActions:
    """
    Raises:
        ActionError: this server watches no jobs.
    """
    actions = console.job_actions()
    if actions is None:
        raise ActionError("this server watches no job queues: jobs.sources in its configuration", Kind.UNKNOWN)
    return actions


def person_of(request: Request) -> Person:
    """
    Raises:
        ActionError: they may look, but not act. The door has said so already; nobody comes here around it.
    """
    identity = getattr(request.state, "identity", None)
    if not isinstance(identity, Identity) or not identity.role.allows(Role.OPERATOR):
        raise ActionError("only operators may act on jobs", Kind.FORBIDDEN)
    return Person(f"{identity.key_id}:{identity.name}", identity.name)


async def told_of(console: Console, request: Request) -> Told:
    """
    Raises:
        ActionError: there is no such action.
    """
    id = request.path_params["id"]
    told = None
    if id <= _MAX_ACTION:
        told = await run_in_threadpool(actions_of(console).action, id)
    if told is None:
        raise ActionError("there is no such action (any more)", Kind.UNKNOWN)
    return told


def asked_in_form(form: MultiDict) -> Asked:
    """Fields `verb`, `source`, and `id` (again and again), `ids` (a line each), or `state`, `queue`, `kind`, `worker`,
    `text`.

    Raises:
        ParameterError: one of them makes no sense.
    """
    lines = [line.strip() for text in form.getlist("ids") for line in str(text).splitlines()]
    ids = tuple(filter(None, (*(str(id) for id in form.getlist("id")), *lines)))
    filter_ = {name: str(form.get(name, "")) for name in _FILTER}
    return _made(form.get("verb"), form.get("source"), ids, _query(form.getlist("state"), filter_))


async def _asked(request: Request) -> Asked:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return asked_in_form(await form_of(request))
    body = await body_of(request, MAX_FORM_BYTES, "question")
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ParameterError("body", f"it is no JSON: {error}") from error
    if not isinstance(given, dict):
        raise ParameterError("body", "expected an object with verb, source, and ids or query")
    unknown = given.keys() - {"verb", "source", "ids", "query"}
    if unknown:
        raise ParameterError(min(unknown)[:80], "there is no such field; there are verb, source, ids and query")
    ids = given.get("ids") or []
    if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
        raise ParameterError("ids", "expected a list of texts")
    return _made(given.get("verb"), given.get("source"), tuple(ids), _query_in(given.get("query") or {}))


def _query_in(given: Any) -> JobQuery:
    if not isinstance(given, dict) or not all(isinstance(given.get(name, ""), str) for name in _FILTER):
        raise ParameterError("query", "expected an object with state, queue, kind, worker and text")
    unknown = given.keys() - {"state", *_FILTER}
    if unknown:
        # Left out unseen, it would let through what it was meant to keep away.
        raise ParameterError("query", f"there is no {min(unknown)[:80]!r}; there are state, {', '.join(_FILTER)}")
    states = given.get("state") or []
    return _query(states if isinstance(states, list) else [states], given)


def _query(states: list[Any], given: Mapping[str, Any]) -> JobQuery:
    try:
        wanted = frozenset(JobState(state) for state in states if state)
    except ValueError:
        expected = ", ".join(state.value for state in JobState)
        raise ParameterError("state", f"expected one of {expected}") from None
    return JobQuery(wanted, **{name: given.get(name, "") for name in _FILTER})


def _made(verb: Any, source: Any, ids: tuple[str, ...], query: JobQuery) -> Asked:
    try:
        known = Verb(verb)
    except ValueError:
        raise ParameterError("verb", f"expected one of {', '.join(one.value for one in Verb)}") from None
    if not isinstance(source, str) or not source:
        raise ParameterError("source", "it is required, and missing")
    return Asked(known, source, ids, None if query == JobQuery() else query)


def _whole(form: MultiDict, name: str, default: int, most: int) -> int:
    text = str(form.get(name) or default)
    if not text.isascii() or not text.isdigit() or len(text) > 16 or int(text) > most:
        raise ParameterError(name, f"expected a whole number up to {most:,}")
    return int(text)


def _answering(handler: Callable[[Request], Awaitable[Response]]) -> Handler:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except ActionError as error:
            return failure(str(error), error.kind.value, STATUS[error.kind])

    return answering(answer)


def _plan(plan: Plan, now_ms: int) -> dict[str, object]:
    return {
        "token": plan.token,
        "verb": plan.asked.verb.value,
        "source": plan.asked.source,
        "filter": plan.filter,
        "matched": plan.matched,
        "will_change": plan.will_change,
        "sentence": plan.sentence,
        "expires_in_s": max(0, plan.expires_ms - now_ms) // 1000,
        "jobs": [{"id": id, "left_out": plan.left_out.get(id, "")} for id in plan.ids],
    }


def _told(told: Told, *, with_targets: bool) -> dict[str, object]:
    action = told.action
    shown: dict[str, object] = {
        "id": action.id,
        "at": rfc3339(action.at_ms),
        "ended": None if action.ended_ms is None else rfc3339(action.ended_ms),
        "who": action.who,
        "verb": action.verb,
        "source": action.source,
        "filter": action.filter,
        "state": told.state,
        "stopped_by": action.stopped_by,
        "reason": action.reason,
        "jobs": action.jobs,
        "done": action.done,
        "left_alone": action.left_alone,
        "unclear": action.begun,
        "untouched": action.untouched,
    }
    if with_targets:
        shown["targets"] = [
            {"id": one.job, "state": state_of(one, told.state), "reason": one.outcome or ""} for one in told.targets
        ]
    return shown


def state_of(target: Target, action_state: str) -> str:
    """Of one job: "done", "left alone", "under way", "unclear", "waiting" or "untouched"."""
    is_over = action_state not in OPEN
    if target.outcome is not None:
        return "left alone" if target.outcome else "done"
    if target.begun_ms is not None:
        return "unclear" if is_over else "under way"
    return "untouched" if is_over else "waiting"
