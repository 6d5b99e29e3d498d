"""Watches a Celery application by its signals: the tasks it sends, and those that its workers run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from threading import Lock
from time import time
from typing import Any, NamedTuple

from trackside.sdk.job_metrics import CANCELLED, FAILED, RETRIED, SUCCEEDED, JobMetrics, JobRun
from trackside.sdk.traces.carriers import celery_published, celery_ran
from trackside.sdk.watch.context import WatchContext

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.sdk.job_reports.attempt import Facts

ENQUEUED = "trackside_enqueued"
"""The header that says when a task was sent, in seconds since 1970. Celery itself tells nobody."""

MAX_KNOWN = 10_000
"""Tasks that were received and have not begun here."""
LOST = "lost"

_ENDED = {"SUCCESS": SUCCEEDED, "RETRY": RETRIED, "REVOKED": CANCELLED, "IGNORED": CANCELLED, "REJECTED": CANCELLED}


def watch(app: Any, context: WatchContext) -> object:
    if context.requests is not None:
        _Watching(app, context).connect()
    return app


class _Received(NamedTuple):
    queue: str = ""
    retries: int | None = None


class _Running(NamedTuple):
    run: JobRun
    trace: AbstractContextManager[None]


class _Watching:
    """Of one application. Celery logs what a receiver of its signals raises, and goes on."""

    def __init__(self, app: Any, context: WatchContext) -> None:
        self._app = app
        self._jobs = JobMetrics.of(context)
        self._guard = context.guard
        self._flush = context.pushing.flush
        self._running: dict[str, _Running] = {}
        self._received: dict[str, _Received] = {}
        """The process that notices the death of another has nothing else of the task."""
        self._lock = Lock()

    def connect(self) -> None:
        signals: Any = sys.modules["celery"].signals
        for name in (
            "before_task_publish",
            "task_received",
            "task_prerun",
            "task_postrun",
            "task_retry",
            "task_failure",
            "task_revoked",
            "heartbeat_sent",
            "worker_process_shutdown",
            "worker_shutdown",
        ):
            # Not weakly: nothing else holds these methods.
            getattr(signals, name).connect(getattr(self, name), weak=False, dispatch_uid=f"trackside-{id(self)}-{name}")

    def before_task_publish(self, headers: Any = None, **about: Any) -> None:
        if isinstance(headers, dict):
            headers[ENQUEUED] = time()
            celery_published(headers)

    def task_received(self, request: Any = None, **about: Any) -> None:
        with self._lock:
            while len(self._received) >= MAX_KNOWN:
                del self._received[next(iter(self._received))]
            self._received[request.id] = _Received(_queue(request), _retries(request))

    def task_prerun(self, task_id: str = "", task: Any = None, **about: Any) -> None:
        if not self._is_ours(task):
            return
        run = self._jobs.begin(
            task.name, _queue(task.request), lambda: _waited_s(task.request), lambda: _facts(task_id, task)
        )
        trace = celery_ran(task)
        with self._lock:
            self._running[task_id] = _Running(run, trace)
        trace.__enter__()
        run.note_trace()

    def task_retry(self, request: Any = None, reason: Any = None, einfo: Any = None, **about: Any) -> None:
        # A wish to be run again tells what made it.
        self._raised(getattr(request, "id", ""), getattr(reason, "exc", None) or reason, einfo)

    def task_postrun(self, task_id: str = "", task: Any = None, state: str | None = None, **about: Any) -> None:
        with self._lock:
            running = self._running.pop(task_id, None)
        if running is not None:
            running.run.end(_ENDED.get(state or "", FAILED))
            with suppress(Exception):
                running.trace.__exit__(None, None, None)

    def task_failure(
        self, sender: Any = None, task_id: str = "", exception: Any = None, einfo: Any = None, **about: Any
    ) -> None:
        """In the process that ran it a task ends anyhow. Else its process died, and this is the one that found out."""
        if not self._raised(task_id, exception, einfo) and self._is_ours(sender):
            received = self._received.get(task_id, _Received())
            self._jobs.over(sender.name, received.queue, FAILED)
            is_lost = type(exception).__name__ in ("WorkerLostError", "Terminated")
            self._report(sender.name, task_id, received, LOST if is_lost else FAILED, exception)

    def task_revoked(self, sender: Any = None, request: Any = None, **about: Any) -> None:
        if self._is_ours(sender):
            self._jobs.over(sender.name, _queue(request), CANCELLED)
            received = _Received(_queue(request), _retries(request))
            self._report(sender.name, str(getattr(request, "id", "")), received, CANCELLED)

    def _raised(self, task_id: str, error: Any, einfo: Any) -> bool:
        """Whether it runs here."""
        with self._lock:
            running = self._running.get(task_id)
        attempt = running.run.attempt if running is not None else None
        if attempt is not None and isinstance(error, BaseException):
            with self._guard.shielded("keep the traceback of a job"):
                attempt.raised(error)
                # An exception that was made anew, so that it can be sent, has lost where it came from.
                attempt.traceback = str(getattr(einfo, "traceback", None) or attempt.traceback)
        return running is not None

    def _report(
        self, name: str, task_id: str, received: _Received, outcome: str, error: BaseException | None = None
    ) -> None:
        if self._jobs.reports is None:
            return
        from trackside.sdk.job_reports.attempt import Facts  # noqa: PLC0415 - not where nobody is reported to

        attempt = None if received.retries is None else received.retries + 1
        facts = Facts(task_id, name, received.queue, "celery", attempt=attempt)
        self._jobs.reports.over(facts, outcome, error)

    def heartbeat_sent(self, sender: Any = None, **about: Any) -> None:
        eventer: Any = getattr(sender, "eventer", None)
        if eventer is not None and eventer.app is self._app:
            self._jobs.worker_lives(self._app.amqp.queues.consume_from)

    def worker_process_shutdown(self, **about: Any) -> None:
        # Such a process ends without its exit handlers.
        self._flush()

    def worker_shutdown(self, **about: Any) -> None:
        self._flush()

    def _is_ours(self, task: Any) -> bool:
        app = getattr(task, "app", None)
        # Tasks of `shared_task` belong to a stand-in for the current application.
        current = getattr(app, "_get_current_object", None)
        return (current() if callable(current) else app) is self._app


def _facts(task_id: str, task: Any) -> Facts:
    from trackside.sdk.job_reports.attempt import Facts  # noqa: PLC0415 - not where nobody is reported to

    request = task.request
    sent_s, due_s = _sent_s(request), _due_s(request)
    return Facts(
        task_id,
        task.name,
        _queue(request),
        "celery",
        attempt=int(getattr(request, "retries", 0) or 0) + 1,
        enqueued_ms=None if sent_s is None else round(sent_s * 1000),
        due_ms=round(due_s * 1000) if due_s else None,
        worker=str(getattr(request, "hostname", None) or ""),
    )


def _retries(request: Any) -> int | None:
    """Of a task as a worker received it."""
    found = getattr(request, "request_dict", None)
    retries = found.get("retries") if isinstance(found, Mapping) else getattr(request, "retries", None)
    return retries if isinstance(retries, int) else None


def _queue(request: Any) -> str:
    """The routing key is the queue's name unless the application routes in a way of its own."""
    found = getattr(request, "delivery_info", None)
    return str(found.get("routing_key") or "") if isinstance(found, Mapping) else ""


def _waited_s(request: Any) -> float | None:
    """Since it was sent or, if it was sent for later, since it was due."""
    sent_s = _sent_s(request)
    return None if sent_s is None else time() - max(sent_s, _due_s(request))


def _sent_s(request: Any) -> float | None:
    sent = getattr(request, ENQUEUED, None)
    if sent is None:
        headers = getattr(request, "headers", None)
        sent = headers.get(ENQUEUED) if isinstance(headers, Mapping) else None
    return float(sent) if isinstance(sent, int | float) else None


def _due_s(request: Any) -> float:
    """0: at once."""
    eta = getattr(request, "eta", None)
    return datetime.fromisoformat(eta).timestamp() if isinstance(eta, str) and "+" in eta else 0.0
