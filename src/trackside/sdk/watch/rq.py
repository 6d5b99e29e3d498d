"""Watches RQ workers, from the process that outlives the jobs: a work-horse that is killed is counted too. And RQ's
queues, whose jobs then belong to the trace of the request that enqueued them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from trackside.sdk.flushing import Flushing
from trackside.sdk.guard import Guard
from trackside.sdk.handover import Handover
from trackside.sdk.job_metrics import CANCELLED, FAILED, RETRIED, SUCCEEDED, JobMetrics
from trackside.sdk.traces.carriers import rq_enqueued, rq_performed
from trackside.sdk.watch.context import WatchContext

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.sdk.job_reports.rq_attempts import RqAttempts

# RQ describes a job by its call unless the application says otherwise. Its name is otherwise in a pickle, which only
# the work-horse opens.
_CALL = re.compile(r"([\w.<>]{1,200})\(")
_UNNAMED = "(unnamed)"
_FLUSH_S = 3.0
_ENDED = {"finished": SUCCEEDED, "failed": FAILED, "stopped": CANCELLED, "canceled": CANCELLED}


def watch(thing: Any, context: WatchContext) -> object:
    if context.requests is not None:
        if hasattr(thing, "execute_job"):
            _Watching(thing, context)
        else:
            _carry_trace(thing, context.guard)
    return thing


def _carry_trace(queue: Any, guard: Guard) -> None:
    """Jobs that the queue makes, one or many, and those that were made elsewhere and are given to it."""
    theirs_create, theirs_enqueue = queue.create_job, queue.enqueue_job

    def create_job(*arguments: Any, **named: Any) -> Any:
        job = theirs_create(*arguments, **named)
        with guard.shielded("send a trace along with a job"):
            rq_enqueued(job)
        return job

    def enqueue_job(job: Any, *more: Any, **named: Any) -> Any:
        with guard.shielded("send a trace along with a job"):
            rq_enqueued(job)
        return theirs_enqueue(job, *more, **named)

    queue.create_job, queue.enqueue_job = create_job, enqueue_job


class _Watching:
    """Of one worker. Its methods are RQ's own with ours around them; what ours do wrong stays here."""

    def __init__(self, worker: Any, context: WatchContext) -> None:
        self._worker = worker
        self._context = context
        self._guard = context.guard
        self._jobs = JobMetrics.of(context)
        self._handover: Handover | None = None
        self._attempts: RqAttempts | None = None
        if self._jobs.reports is not None:
            from trackside.sdk.job_reports.rq_attempts import RqAttempts  # noqa: PLC0415 - not everybody reports

            self._attempts = RqAttempts(worker, self._jobs.reports, self._guard)
        self._outcome = ""
        self._execute = worker.execute_job
        self._perform = worker.perform_job
        worker.execute_job = self.execute_job
        worker.perform_job = self.perform_job
        self._hear()
        self._note("handle_job_success", lambda job: SUCCEEDED)
        self._note("handle_job_failure", _failed)
        self._note("handle_job_retry", _failed)

    def _hear(self) -> None:
        heartbeat = getattr(self._worker, "heartbeat", None)
        if heartbeat is None:
            return

        def heard(*arguments: Any, **named: Any) -> Any:
            self._jobs.worker_lives(queue.name for queue in self._worker.queues)
            return heartbeat(*arguments, **named)

        self._worker.heartbeat = heard

    def execute_job(self, job: Any, queue: Any, *more: Any, **named: Any) -> Any:
        """In the worker: around the life of a work-horse, or around the job where there is none."""
        run = self._jobs.begin(_name(job), str(getattr(queue, "name", "")), lambda: _waited_s(job))
        self._outcome, self._handover, given = "", None, {}
        with self._guard.shielded("prepare for a work-horse"):
            self._handover = Handover(self._context.registry)
        if self._attempts is not None:
            with self._guard.shielded("begin the report of a job"):
                self._attempts.begin(job, queue)
        try:
            return self._execute(job, queue, *more, **named)
        finally:
            status = FAILED
            with self._guard.shielded("take over from a work-horse"):
                given = self._handover.take() if self._handover is not None else {}
            with self._guard.shielded("learn how a job ended"):
                status = self._outcome or given.get("outcome") or _stored_outcome(job)
            run.end(status)
            if self._attempts is not None:
                with self._guard.shielded("report a job"):
                    self._attempts.end(job, status, given)

    def perform_job(self, job: Any, queue: Any, *more: Any, **named: Any) -> Any:
        """In the work-horse, if there is one."""
        with self._guard.shielded("continue the trace of a job"):
            self._continue_trace(job)
        if not self._is_horse():
            if self._attempts is not None:
                with self._guard.shielded("begin the report of a job"):
                    self._attempts.enter_here()
            return self._perform(job, queue, *more, **named)
        handover = self._handover
        if handover is None:
            return self._perform_spawned(job, queue, *more, **named)
        with self._guard.shielded("begin in a work-horse"):
            # The worker pushes what it is given. A series for each job would be one more than anybody reads.
            self._context.pushing.stop()
            handover.begin()
            if self._attempts is not None:
                self._attempts.enter_horse()
        try:
            return self._perform(job, queue, *more, **named)
        finally:
            with self._guard.shielded("hand over to the worker"):
                more_given = self._attempts.given(job) if self._attempts is not None else {}
                handover.give(outcome=self._outcome, **more_given)
            # A work-horse ends by `os._exit`, which runs nothing more.
            Flushing.of(self._context).flush(_FLUSH_S)

    def _perform_spawned(self, job: Any, queue: Any, *more: Any, **named: Any) -> Any:
        """In a work-horse that was not forked from its worker, which counts the job."""
        self._context.pushing.stop()
        if self._attempts is not None:
            with self._guard.shielded("begin the report of a job"):
                self._attempts.enter_spawned(job, queue)
        try:
            return self._perform(job, queue, *more, **named)
        finally:
            if self._attempts is not None and self._outcome:
                with self._guard.shielded("report a job"):
                    self._attempts.end(job, self._outcome, {})
            Flushing.of(self._context).flush(_FLUSH_S)

    def _is_horse(self) -> bool:
        return bool(getattr(self._worker, "is_horse", False))

    def _continue_trace(self, job: Any) -> None:
        perform = job.perform

        def traced() -> Any:
            with rq_performed(job):
                if self._attempts is not None:
                    self._attempts.note_trace()
                return perform()

        job.perform = traced

    def _note(self, method: str, outcome: Callable[[Any], str]) -> None:
        """Remember what RQ decides about a job: afterwards a job that is repeated or forgotten no longer says."""
        decide = getattr(self._worker, method, None)
        if decide is None:
            return

        def noted(job: Any, *more: Any, **named: Any) -> Any:
            if method == "handle_job_failure" and self._attempts is not None:
                with self._guard.shielded("keep the traceback of a job"):
                    self._attempts.failing(job, str(named.get("exc_string", "")))
            answer = decide(job, *more, **named)
            with self._guard.shielded("learn how a job ended"):
                self._outcome = outcome(job)
            return answer

        setattr(self._worker, method, noted)


def _failed(job: Any) -> str:
    return _outcome(job.get_status(refresh=False))


def _stored_outcome(job: Any) -> str:
    """Of a job that ended in a process we know nothing of."""
    try:
        status = job.get_status()
    except Exception as error:
        if type(error).__name__ != "InvalidJobOperation":
            raise
        status = None
    # Only what went well is forgotten at once.
    return SUCCEEDED if status is None else _outcome(status)


def _outcome(status: Any) -> str:
    """Anything else means that the job waits to be run again."""
    return _ENDED.get(str(getattr(status, "value", status)), RETRIED)


def _name(job: Any) -> str:
    try:
        found = _CALL.match(job.description or "")
        return found[1] if found else _UNNAMED
    except Exception:  # noqa: BLE001 - a job without a name is run all the same
        return _UNNAMED


def _waited_s(job: Any) -> float | None:
    enqueued = job.enqueued_at
    if enqueued is None:
        return None
    # Without a time zone in older versions, and in UTC always.
    aware = enqueued if enqueued.tzinfo is not None else enqueued.replace(tzinfo=UTC)
    waited: float = (datetime.now(UTC) - aware).total_seconds()
    return waited
