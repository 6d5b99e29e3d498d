"""Watches arq workers by their functions, since arq's own hooks know neither what a job is called nor how it ended, and
the pools that jobs are enqueued through, so that a job belongs to the trace it was enqueued in."""

from __future__ import annotations

import sys
from asyncio import CancelledError
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from time import monotonic, time
from typing import Any

from trackside.sdk.job_metrics import CANCELLED, FAILED, RETRIED, SUCCEEDED, JobMetrics
from trackside.sdk.traces.carriers import arq_deserialized, arq_ran, arq_serialized
from trackside.sdk.watch import redis
from trackside.sdk.watch.context import WatchContext

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.sdk.job_reports.attempt import Facts

_DEFAULT_TRIES = 5
# arq's clock for a timeout starts a moment before ours.
_CLOSE_S = 0.02


def watch(thing: Any, context: WatchContext) -> object:
    if hasattr(thing, "enqueue_job"):
        if context.requests is not None:
            _carry(thing)
        # It is a client of redis-py as well.
        return redis.watch(thing, context)
    if context.requests is not None:
        jobs = JobMetrics.of(context)
        for name, function in list(thing.functions.items()):
            # Anew and not in place: workers may share their functions.
            thing.functions[name] = replace(function, coroutine=_measured(thing, name, function, jobs))
        _hear(thing, jobs)
        thing.job_deserializer = _continuing(thing.job_deserializer or _own_pickle().loads)
    return thing


def _hear(worker: Any, jobs: JobMetrics) -> None:
    heart_beat = getattr(worker, "heart_beat", None)
    if heart_beat is None:
        return

    async def heard() -> None:
        jobs.worker_lives([getattr(worker, "queue_name", "")])
        await heart_beat()

    worker.heart_beat = heard


class _Carrying:
    """In the place of a pool's serializer."""

    def __init__(self, theirs: Callable[[Any], bytes]) -> None:
        self._theirs = theirs

    def __call__(self, data: Any) -> bytes:
        try:
            return self._theirs(arq_serialized(data))
        except Exception:  # noqa: BLE001 - a serializer that knows the keys it may see: a job without its trace
            return self._theirs(data)


def _carry(pool: Any) -> None:
    if not isinstance(pool.job_serializer, _Carrying):
        pool.job_serializer = _Carrying(pool.job_serializer or _own_pickle().dumps)


def _continuing(theirs: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def deserialize(stored: bytes) -> Any:
        data = theirs(stored)
        arq_deserialized(data)
        return data

    return deserialize


def _own_pickle() -> Any:
    """What arq takes where it is given nothing. Whoever could put a job into its queue can do as much without us."""
    return sys.modules["arq.jobs"].pickle


def _measured(worker: Any, name: str, function: Any, jobs: JobMetrics) -> Any:
    coroutine = function.coroutine

    @wraps(coroutine)
    async def measured(ctx: Any, *arguments: Any, **named: Any) -> Any:
        began_s = monotonic()
        queue = str(getattr(worker, "queue_name", ""))
        run = jobs.begin(name, queue, lambda: _waited_s(ctx), lambda: _facts(ctx, name, queue))
        try:
            with jobs.guard.shielded("send traces along with jobs"):
                # Of the worker, which makes it when it starts.
                _carry(ctx["redis"])
            with arq_ran(name):
                run.note_trace()
                result = await coroutine(ctx, *arguments, **named)
        except BaseException as error:
            status = FAILED
            with jobs.guard.shielded("learn how a job ended"):
                status = _outcome(worker, function, ctx, error, monotonic() - began_s)
            run.end(status, error)
            raise
        run.end(SUCCEEDED)
        return result

    return measured


def _facts(ctx: Any, name: str, queue: str) -> Facts:
    from trackside.sdk.job_reports.attempt import Facts  # noqa: PLC0415 - not where nobody is reported to

    attempt, enqueued, due_ms = int(ctx.get("job_try", 1)), ctx.get("enqueue_time"), ctx.get("score")
    facts = Facts(str(ctx["job_id"]), name, queue, "arq", attempt=attempt)
    if attempt > 1:
        # When it was due again is not known.
        return facts
    enqueued_ms = round(enqueued.timestamp() * 1000) if enqueued is not None else None
    return facts._replace(enqueued_ms=enqueued_ms, due_ms=int(due_ms) if due_ms else None)


def _outcome(worker: Any, function: Any, ctx: Any, error: BaseException, took_s: float) -> str:
    if isinstance(error, CancelledError):
        # So come a timeout, somebody who aborts the job, and a worker that shuts down.
        timeout_s = _either(function.timeout_s, getattr(worker, "job_timeout_s", None))
        if timeout_s is not None and took_s >= timeout_s - _CLOSE_S:
            return FAILED
        if ctx.get("job_id") in getattr(worker, "aborting_tasks", ()):
            return CANCELLED
        return _retried(worker, function, ctx)
    return _retried(worker, function, ctx) if _is_retry(error) else FAILED


def _retried(worker: Any, function: Any, ctx: Any) -> str:
    """Unless it was the last attempt: the worker fails the next one without calling anything."""
    tries = _either(function.max_tries, getattr(worker, "max_tries", _DEFAULT_TRIES))
    last = tries is not None and ctx.get("job_try", 1) >= tries
    return FAILED if last or not getattr(worker, "retry_jobs", True) else RETRIED


def _either(first: Any, second: Any) -> Any:
    return second if first is None else first


def _is_retry(error: BaseException) -> bool:
    module = sys.modules.get("arq.worker")
    kinds = tuple(kind for name in ("Retry", "RetryJob") if isinstance(kind := getattr(module, name, None), type))
    return isinstance(error, kinds)


def _waited_s(ctx: Any) -> float | None:
    """Since it was due, which arq knows of the first attempt only."""
    due_ms = ctx.get("score")
    return time() - due_ms / 1000 if due_ms is not None and ctx.get("job_try", 1) == 1 else None
