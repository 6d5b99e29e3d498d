"""Watches APScheduler's schedulers by their events. Jobs run in threads, processes or a loop of theirs: a measured run
begins when a job is handed to those, so that waiting for a free thread is part of its duration."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from trackside.sdk.job_metrics import CANCELLED, FAILED, SUCCEEDED, JobMetrics, JobRun
from trackside.sdk.watch.context import WatchContext

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.sdk.job_reports.attempt import Facts

MAX_KNOWN = 1_000
"""Jobs whose names, and runs whose ends, are remembered."""
_UNNAMED = "(unnamed)"


def watch(scheduler: Any, context: WatchContext) -> object:
    if context.requests is not None:
        _Watching(scheduler, JobMetrics.of(context)).connect()
    return scheduler


class _Watching:
    """Of one scheduler. APScheduler logs what a listener raises, and goes on."""

    def __init__(self, scheduler: Any, jobs: JobMetrics) -> None:
        self._scheduler = scheduler
        self._jobs = jobs
        self._events: Any = sys.modules["apscheduler.events"]
        self._lock = Lock()
        self._names: dict[str, tuple[str, str]] = {}
        """Job id → name, executor. A job that runs once is gone from the scheduler when its event comes."""
        self._running: dict[tuple[str, datetime], JobRun] = {}
        self._over: dict[tuple[str, datetime], JobRun] = {}
        """The event of a beginning may come later than that of the end."""

    def connect(self) -> None:
        events = self._events
        for listener, mask in (
            (self.look_around, events.EVENT_SCHEDULER_STARTED | events.EVENT_EXECUTOR_ADDED),
            (self.added, events.EVENT_JOB_ADDED | events.EVENT_JOB_MODIFIED),
            (self.submitted, events.EVENT_JOB_SUBMITTED),
            (self.ended, events.EVENT_JOB_EXECUTED | events.EVENT_JOB_ERROR),
            (self.missed, events.EVENT_JOB_MISSED | events.EVENT_JOB_MAX_INSTANCES),
        ):
            self._scheduler.add_listener(listener, mask)
        self.look_around()

    def look_around(self, event: Any = None) -> None:
        """For jobs that were there before us, and for executors, which tell the moment of a beginning exactly."""
        if getattr(self._scheduler, "state", 0):
            for job in self._scheduler.get_jobs():
                self._remember(job)
        # Not public. Without it the event tells, which comes when all due jobs were handed over, and then a short job
        # may have ended already: it takes no time.
        executors: dict[str, Any] = getattr(self._scheduler, "_executors", None) or {}
        for executor in executors.values():
            self._hear(executor)

    def added(self, event: Any) -> None:
        job = self._scheduler.get_job(event.job_id, event.jobstore)
        if job is not None:
            self._remember(job)

    def submitted(self, event: Any) -> None:
        for run_time in event.scheduled_run_times:
            self._begin(event.job_id, run_time)

    def ended(self, event: Any) -> None:
        run = self._begin(event.job_id, event.scheduled_run_time)
        with self._lock:
            key = event.job_id, event.scheduled_run_time
            self._running.pop(key, None)
            _make_room(self._over)
            self._over[key] = run
        if run.attempt is not None and event.exception is not None:
            with self._jobs.guard.shielded("keep the traceback of a job"):
                run.attempt.raised(event.exception)
                # Of a process of its own only this text has come.
                run.attempt.traceback = str(event.traceback or run.attempt.traceback)
        run.end(SUCCEEDED if event.code == self._events.EVENT_JOB_EXECUTED else FAILED)

    def missed(self, event: Any) -> None:
        """It did not run: too late, or too many of it are running."""
        times = getattr(event, "scheduled_run_times", None) or [event.scheduled_run_time]
        for run_time in times:
            with self._lock:
                run = self._running.pop((event.job_id, run_time), None)
            if run is not None:
                run.end(CANCELLED)
            else:
                self._jobs.over(*self._known(event.job_id), CANCELLED)
                if self._jobs.reports is not None:
                    self._jobs.reports.over(self._facts(event.job_id, run_time), CANCELLED)

    def _hear(self, executor: Any) -> None:
        if "submit_job" in vars(executor):
            return
        submit = executor.submit_job

        def submit_job(job: Any, run_times: Any) -> Any:
            with self._jobs.guard.shielded("measure the beginning of a job"):
                self._remember(job)
                for run_time in run_times:
                    self._begin(job.id, run_time)
            return submit(job, run_times)

        executor.submit_job = submit_job

    def _begin(self, job_id: str, run_time: datetime) -> JobRun:
        """The run that began before, even if it is over; or one that begins now."""
        key = job_id, run_time
        with self._lock:
            run = self._running.get(key) or self._over.get(key)
        if run is None:
            run = self._jobs.begin(*self._known(job_id), lambda: _late_s(run_time))
            if self._jobs.reports is not None:
                # Not entered: its code runs in another thread, or another process.
                run.attempt = self._jobs.reports.begin(self._facts(job_id, run_time))
            with self._lock:
                self._running[key] = run
        return run

    def _facts(self, job_id: str, run_time: datetime) -> Facts:
        from trackside.sdk.job_reports.attempt import Facts  # noqa: PLC0415 - not where nobody is reported to

        name, executor = self._known(job_id)
        due_ms = round(run_time.timestamp() * 1000)
        return Facts(f"{job_id}@{due_ms}", name, executor, "apscheduler", attempt=1, due_ms=due_ms)

    def _remember(self, job: Any) -> None:
        with self._lock:
            _make_room(self._names)
            self._names[job.id] = str(job.name or _UNNAMED), str(job.executor)

    def _known(self, job_id: str) -> tuple[str, str]:
        with self._lock:
            return self._names.get(job_id, (_UNNAMED, ""))


def _make_room(known: dict[Any, Any]) -> None:
    while len(known) >= MAX_KNOWN:
        del known[next(iter(known))]


def _late_s(run_time: datetime) -> float:
    return (datetime.now(UTC) - run_time).total_seconds()
