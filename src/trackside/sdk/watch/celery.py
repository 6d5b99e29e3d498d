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

ENQUEUED = "trackside_enqueued"
"""The header that says when a task was sent, in seconds since 1970. Celery itself tells nobody."""

MAX_QUEUES_KNOWN = 10_000

_ENDED = {"SUCCESS": SUCCEEDED, "RETRY": RETRIED, "REVOKED": CANCELLED, "IGNORED": CANCELLED, "REJECTED": CANCELLED}


def watch(app: Any, context: WatchContext) -> object:
    if context.requests is not None:
        _Watching(app, context).connect()
    return app


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
        self._queues: dict[str, str] = {}
        """Of tasks that were received: the process that notices the death of another has nothing else of the task."""
        self._lock = Lock()

    def connect(self) -> None:
        signals: Any = sys.modules["celery"].signals
        for name in (
            "before_task_publish",
            "task_received",
            "task_prerun",
            "task_postrun",
            "task_failure",
            "task_revoked",
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
            while len(self._queues) >= MAX_QUEUES_KNOWN:
                del self._queues[next(iter(self._queues))]
            self._queues[request.id] = _queue(request)

    def task_prerun(self, task_id: str = "", task: Any = None, **about: Any) -> None:
        if not self._is_ours(task):
            return
        run = self._jobs.begin(task.name, _queue(task.request), lambda: _waited_s(task.request))
        trace = celery_ran(task)
        with self._lock:
            self._running[task_id] = _Running(run, trace)
        trace.__enter__()

    def task_postrun(self, task_id: str = "", task: Any = None, state: str | None = None, **about: Any) -> None:
        with self._lock:
            running = self._running.pop(task_id, None)
        if running is not None:
            running.run.end(_ENDED.get(state or "", FAILED))
            with suppress(Exception):
                running.trace.__exit__(None, None, None)

    def task_failure(self, sender: Any = None, task_id: str = "", **about: Any) -> None:
        """In the process that ran it a task ends anyhow. Else its process died, and this is the one that found out."""
        with self._lock:
            ran_here = task_id in self._running
        if not ran_here and self._is_ours(sender):
            self._jobs.over(sender.name, self._queues.get(task_id, ""), FAILED)

    def task_revoked(self, sender: Any = None, request: Any = None, **about: Any) -> None:
        if self._is_ours(sender):
            self._jobs.over(sender.name, _queue(request), CANCELLED)

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


def _queue(request: Any) -> str:
    """The routing key is the queue's name unless the application routes in a way of its own."""
    found = getattr(request, "delivery_info", None)
    return str(found.get("routing_key") or "") if isinstance(found, Mapping) else ""


def _waited_s(request: Any) -> float | None:
    """Since it was sent or, if it was sent for later, since it was due."""
    sent = getattr(request, ENQUEUED, None)
    if sent is None:
        headers = getattr(request, "headers", None)
        sent = headers.get(ENQUEUED) if isinstance(headers, Mapping) else None
    if not isinstance(sent, int | float):
        return None
    eta = getattr(request, "eta", None)
    due = datetime.fromisoformat(eta).timestamp() if isinstance(eta, str) and "+" in eta else 0.0
    return time() - max(float(sent), due)
