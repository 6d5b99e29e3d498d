"""Watches dramatiq's workers by a middleware of the broker that they take their messages from."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, suppress
from threading import Lock
from time import time
from typing import Any, NamedTuple

from trackside.sdk.job_metrics import CANCELLED, FAILED, RETRIED, SUCCEEDED, JobMetrics, JobRun
from trackside.sdk.traces.carriers import KEY, continued, inject
from trackside.sdk.watch.context import WatchContext

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.sdk.job_reports.attempt import Facts

_NAME = "TracksideMiddleware"
_ENQUEUED = "enqueued_ms"


def watch(broker: Any, context: WatchContext) -> object:
    if context.requests is not None and not any(type(one).__name__ == _NAME for one in broker.middleware):
        # Before all others, so that what follows a message reaches it after all others: they decide what becomes of it.
        first = type(broker.middleware[0]) if broker.middleware else None
        broker.add_middleware(_middleware(JobMetrics.of(context), context), before=first)
    return broker


class _Hooks:
    def __init__(self, jobs: JobMetrics, context: WatchContext) -> None:
        self._jobs = jobs
        self._flush = context.pushing.flush
        self._running: dict[str, _Running] = {}
        self._lock = Lock()

    def before_enqueue(self, broker: Any, message: Any, delay: int | None) -> None:
        carrier = message.options.get(KEY)
        if carrier is None:
            carrier = message.options[KEY] = inject()
        # A delayed message is enqueued once more when it is due, and no longer says when that was.
        carrier[_ENQUEUED] = round(time() * 1000)

    def before_process_message(self, broker: Any, message: Any) -> None:
        run = self._jobs.begin(
            message.actor_name, message.queue_name, lambda: _waited_s(message), lambda: _facts(message)
        )
        trace = continued(message.options.get(KEY), message.actor_name)
        with self._lock:
            self._running[message.message_id] = _Running(run, trace, _retries(message))
        trace.__enter__()
        run.note_trace()

    def after_process_message(
        self, broker: Any, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        status = SUCCEEDED
        if exception is not None:
            status = RETRIED if self._is_retried(message) else FAILED
        self._end(message, status, exception)

    def after_skip_message(self, broker: Any, message: Any) -> None:
        self._end(message, CANCELLED)

    def after_worker_shutdown(self, broker: Any, worker: Any) -> None:
        self._flush()

    def _is_retried(self, message: Any) -> bool:
        with self._lock:
            running = self._running.get(message.message_id)
        return running is not None and not message.failed and _retries(message) > running.retries

    def _end(self, message: Any, status: str, exception: BaseException | None = None) -> None:
        with self._lock:
            running = self._running.pop(message.message_id, None)
        if running is not None:
            running.run.end(status, exception)
            # What the message raised is not to be raised here anew.
            with suppress(BaseException):
                running.trace.__exit__(type(exception) if exception else None, exception, None)


class _Running(NamedTuple):
    run: JobRun
    trace: AbstractContextManager[None]
    retries: int
    """How many there had been when it began."""


def _middleware(jobs: JobMetrics, context: WatchContext) -> object:
    # Of dramatiq's own class, which has all the hooks that there are. Whatever one of ours raises dramatiq only logs.
    theirs: Any = sys.modules["dramatiq"]
    return type(_NAME, (_Hooks, theirs.Middleware), {})(jobs, context)


def _retries(message: Any) -> int:
    retries = message.options.get("retries", 0)
    return retries if isinstance(retries, int) else 0


def _facts(message: Any) -> Facts:
    from trackside.sdk.job_reports.attempt import Facts  # noqa: PLC0415 - not where nobody is reported to

    return Facts(
        message.message_id,
        message.actor_name,
        message.queue_name,
        "dramatiq",
        attempt=_retries(message) + 1,
        enqueued_ms=round(_enqueued_ms(message)),
    )


def _waited_s(message: Any) -> float:
    return time() - _enqueued_ms(message) / 1000


def _enqueued_ms(message: Any) -> float:
    carrier = message.options.get(KEY) or {}
    return float(carrier.get(_ENQUEUED, message.message_timestamp))
