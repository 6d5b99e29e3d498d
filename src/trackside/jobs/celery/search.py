"""Celery's tasks by what is asked of them: those that wait, in their queues, and those that were heard of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from trackside.jobs.celery.look import Look
from trackside.jobs.celery.messages import TaskMessage, TaskResult, literal
from trackside.jobs.celery.tasks import FINAL, Task, by_newest
from trackside.jobs.failures import shown_traceback
from trackside.jobs.payloads import IsSecret, shown
from trackside.jobs.source import MAX_SEARCHED
from trackside.model.jobs import Attempt, Job, JobDetail, JobQuery, JobsPage, JobState

MAX_LIMIT = 1_000
# A message takes some 40 µs to read; the search goes on at the next page.
MAX_READ = min(10_000, MAX_SEARCHED)
_CHUNK = 500
# How far a queue may have moved between two pages, and the place is still found.
_SHIFT = 2_000
_WAITING = frozenset((JobState.QUEUED, JobState.SCHEDULED, JobState.RETRYING))
# No queue is called so.
_HEARD = ""


@dataclass(frozen=True, slots=True)
class _Found:
    """A job, what it was called with, and where it was."""

    job: Job
    args: Any
    kwargs: Any
    lane: str
    at: int


def page(look: Look, query: JobQuery, after: str, limit: int, is_secret: IsSecret) -> JobsPage:
    """What was heard of, newest first, then queue by queue what nobody has taken."""
    limit = max(1, min(limit, MAX_LIMIT))
    jobs: list[Job] = []
    last: _Found | None = None
    for read, found in enumerate(_all(look, query, _position(after))):
        if len(jobs) == limit or read == MAX_READ:
            next_page = json.dumps([last.lane, last.at, last.job.id]) if last is not None else ""
            return JobsPage(tuple(jobs), next_page, is_cut=len(jobs) < limit)
        last = found
        if _matches(found, query, is_secret):
            jobs.append(found.job)
    return JobsPage(tuple(jobs))


def _all(look: Look, query: JobQuery, position: tuple[str, int, str] | None) -> Iterator[_Found]:
    states = query.states or frozenset(JobState)
    lane = position[0] if position else _HEARD
    if lane == _HEARD:
        yield from _heard(look, position)
    if JobState.QUEUED not in states or query.worker:
        return
    queues = [query.queue] if query.queue else look.queues or look.broker.queues()
    begin = queues.index(lane) if lane in queues else 0
    for queue in queues[begin:]:
        yield from _waiting(look, queue, position if queue == lane else None)


def _heard(look: Look, position: tuple[str, int, str] | None) -> Iterator[_Found]:
    tasks = look.listener.tasks
    with look.listener.lock:
        fetched = {one.task.id for one in look.fetched}
        known = by_newest(
            task
            for task in tasks.all()
            # What waits in a queue is found there.
            if task.state.is_final or task.state is JobState.RUNNING or task.id in fetched
        )
        found = [
            _Found(look.job(task), task.args, task.kwargs, _HEARD, task.ended_ms or task.started_ms or task.changed_ms)
            for task in known
        ]
    for one in found:
        if position is None or (one.at, one.job.id) < (position[1], position[2]):
            yield one


def _waiting(look: Look, queue: str, position: tuple[str, int, str] | None) -> Iterator[_Found]:
    first, anchor = (position[1], position[2]) if position else (0, "")
    if anchor:
        # New ones came in front of it.
        window = look.broker.messages(queue, first, _SHIFT)
        place = next((at for at, one in enumerate(window) if one is not None and one.id == anchor), 0)
        first += place + 1
    while True:
        messages = look.broker.messages(queue, first, _CHUNK)
        with look.listener.lock:
            jobs = [None if one is None else _waiting_job(look, one) for one in messages]
        for at, (message, job) in enumerate(zip(messages, jobs, strict=True), start=first):
            if message is not None and job is not None:
                yield _Found(job, message.args, message.kwargs, queue, at)
        if len(messages) < _CHUNK:
            return
        first += len(messages)


def _waiting_job(look: Look, message: TaskMessage) -> Job:
    known = look.listener.tasks.known(message.id)
    return Job(
        id=message.id,
        kind=message.kind,
        queue=message.queue,
        state=JobState.QUEUED,
        raw_state="PENDING",
        enqueued_ms=None if known is None else known.sent_ms,
        due_ms=message.due_ms,
        attempt=message.retries + 1 if message.retries else None,
    )


def _matches(found: _Found, query: JobQuery, is_secret: IsSecret) -> bool:
    job = found.job
    if query.states and job.state not in query.states:
        return False
    if (query.queue and job.queue != query.queue) or (query.worker and job.worker != query.worker):
        return False
    if query.kind and job.kind != query.kind:
        return False
    if not query.text:
        return True
    wanted = query.text.casefold()
    # Only in what would be shown: a search that finds secrets tells them.
    said = json.dumps([shown(found.args, is_secret), shown(found.kwargs, is_secret)], ensure_ascii=False)
    return wanted in f"{job.id} {job.kind} {job.error or ''} {said}".casefold()


def detail(look: Look, id: str, is_secret: IsSecret) -> JobDetail | None:
    result = look.broker.results([id]).get(id)
    with look.listener.lock:
        task = look.listener.tasks.known(id)
        job = look.job(task) if task is not None else None
        attempts = tuple(task.attempts) if task is not None else ()
    attempts = tuple(replace(one, traceback=shown_traceback(one.traceback or "") or None) for one in attempts)
    is_waiting = job is None or job.state in _WAITING
    queues = look.queues or look.broker.queues()
    message = look.broker.message(id, queues) if is_waiting and (task is None or task.args is None) else None
    if task is not None and job is not None and message is None:
        return _detail(task, job, attempts, result, is_secret)
    if message is not None:
        with look.listener.lock:
            job = _waiting_job(look, message)
        return JobDetail(
            job=job,
            args=_shown_args(message.args, is_secret),
            kwargs=_shown_kwargs(message.kwargs, is_secret),
            attempts=attempts,
            parents=(message.parent,) if message.parent not in ("", id) else (),
            extra={"sent by": message.origin, "priority": str(message.priority)},
        )
    return None if result is None else _of_result(result, is_secret)


def _detail(
    task: Task, job: Job, attempts: tuple[Attempt, ...], result: TaskResult | None, is_secret: IsSecret
) -> JobDetail:
    kept = None if result is None or result.status != "SUCCESS" else shown(result.result, is_secret)
    if not attempts and result is not None and result.status in FINAL:
        attempts = (_attempt(result),)
    return JobDetail(
        job=job,
        args=_shown_args(task.args, is_secret),
        kwargs=_shown_kwargs(task.kwargs, is_secret),
        result=kept if kept is not None else shown(literal(task.result), is_secret),
        attempts=attempts,
        parents=(task.parent,) if task.parent else (),
        children=_children(result),
    )


def _of_result(result: TaskResult, is_secret: IsSecret) -> JobDetail:
    """Of a task that was never heard of: only its result is left."""
    more = result.more
    state = FINAL.get(result.status, JobState.RETRYING if result.status == "RETRY" else JobState.RUNNING)
    args, kwargs = more.get("args"), more.get("kwargs")
    return JobDetail(
        job=Job(
            id=result.id,
            kind=str(more.get("name") or "?")[:200],
            queue=str(more.get("queue") or ""),
            state=state,
            raw_state=result.status,
            finished_ms=result.ended_ms if state.is_final else None,
            worker=str(more.get("worker") or "") or None,
            error=result.error or None,
        ),
        args=_shown_args(literal(args) if isinstance(args, str) else args, is_secret),
        kwargs=_shown_kwargs(literal(kwargs) if isinstance(kwargs, str) else kwargs, is_secret),
        result=shown(result.result, is_secret) if result.status == "SUCCESS" else None,
        attempts=(_attempt(result),) if state.is_final else (),
        children=_children(result),
    )


def _attempt(result: TaskResult) -> Attempt:
    retries = result.more.get("retries")
    return Attempt(
        number=retries + 1 if isinstance(retries, int) else 1,
        outcome={"SUCCESS": "succeeded", "REVOKED": "cancelled"}.get(result.status, "failed"),
        finished_ms=result.ended_ms,
        worker=str(result.more.get("worker") or "") or None,
        error=result.error or None,
        traceback=shown_traceback(result.traceback) or None,
    )


def _children(result: TaskResult | None) -> tuple[str, ...]:
    """Of [[id, parent], their children] each."""
    listed = result.more.get("children") if result is not None else None
    found = []
    for one in listed[:200] if isinstance(listed, list) else []:
        id = one[0][0] if isinstance(one, list) and one and isinstance(one[0], list) and one[0] else None
        if isinstance(id, str) and result is not None and id != result.id:
            found.append(id)
    return tuple(found)


def _shown_args(args: Any, is_secret: IsSecret) -> tuple[Any, ...]:
    return tuple(shown(args, is_secret)) if isinstance(args, list | tuple) else ()


def _shown_kwargs(kwargs: Any, is_secret: IsSecret) -> dict[str, Any]:
    return shown(kwargs, is_secret) if isinstance(kwargs, dict) else {}


def _position(after: str) -> tuple[str, int, str] | None:
    try:
        found = json.loads(after) if after else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or len(found) != 3:
        return None
    lane, at, id = found
    is_one = isinstance(lane, str) and isinstance(at, int) and isinstance(id, str)
    return (lane, max(0, at), id) if is_one else None
