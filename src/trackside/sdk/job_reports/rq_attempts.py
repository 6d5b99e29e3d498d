"""Attempts of RQ jobs: begun and reported by the worker, which outlives the work-horse, with what that hands over.

A work-horse that is killed hands over nothing. What it spent is in memory that both share, and how much it used the
system tells the worker when it buries it.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from trackside.model.jobs import JobReport
from trackside.sdk.guard import Guard
from trackside.sdk.job_reports.attempt import Attempt, Facts
from trackside.sdk.job_reports.current import CURRENT, PROCESS, SIZE_BYTES, Spending
from trackside.sdk.job_reports.job_reports import JobReports
from trackside.sdk.job_reports.meter import Usage, usage_of_process
from trackside.sdk.job_reports.texts import MAX_RAW, error_of
from trackside.sdk.traces.carriers import KEY

LOST = "lost"
_ATTEMPTS = "attempts"
_LAST_S = 1.0
"""For what is under way when a work-horse ends."""
_MAX_HANDED = 2 * 1024 * 1024
"""Characters of reports that a work-horse hands over, of each monitor that it has."""


class RqAttempts:
    """Of one worker, which runs one job at a time. Its methods may raise: the caller shields."""

    def __init__(self, worker: Any, reports: JobReports, guard: Guard) -> None:
        self._worker = worker
        self._reports = reports
        self._guard = guard
        self._attempt: Attempt | None = None
        self._usage: Usage | None = None
        self._was_killed = False
        self._spawns = any(kind.__name__ == "SpawnWorker" for kind in type(worker).__mro__)
        wait = getattr(worker, "wait_for_horse", None)
        if wait is not None:
            worker.wait_for_horse = lambda: self._waited(wait())

    def begin(self, job: Any, queue: Any) -> None:
        """In the worker."""
        self._usage, self._was_killed = None, False
        self._attempt = self._reports.begin(self._facts(job, queue), Spending(mmap.mmap(-1, SIZE_BYTES)))

    def enter_horse(self) -> None:
        """In a process that was made for this job."""
        if self._attempt is not None:
            CURRENT.set(self._attempt.spending)
            # For the threads that the job may start.
            PROCESS.spending = self._attempt.spending

    def enter_spawned(self, job: Any, queue: Any) -> None:
        """In a work-horse that shares nothing with its worker: it reports for itself, and both reports are one."""
        self._attempt = self._reports.begin(self._facts(job, queue))
        self._attempt.enter(self._reports.meter)
        self.enter_horse()

    def enter_here(self) -> None:
        """In a worker that runs jobs itself."""
        if self._attempt is not None:
            self._attempt.enter(self._reports.meter)

    def note_trace(self) -> None:
        if self._attempt is not None:
            self._attempt.note_trace()

    def failing(self, job: Any, exc_string: str) -> None:
        """Before RQ decides what becomes of the job."""
        if self._attempt is None:
            return
        # Of a group of exceptions the word stands a little further on.
        if "Traceback (most" in exc_string[:60]:
            self._attempt.traceback = exc_string[-MAX_RAW:]
            # RQ calls this while it handles what the job raised.
            raised = sys.exc_info()[1]
            self._attempt.error = error_of(raised) if raised is not None else ""
        else:
            self._attempt.error = exc_string.strip(" ;")
        if job.retries_left:
            # RQ counts the attempts that are left, and not those that were. It saves the job now in any case.
            known = job.meta.get(KEY)
            about = dict(known) if isinstance(known, Mapping) else {}
            job.meta[KEY] = {**about, _ATTEMPTS: self._attempt.facts.attempt}

    def given(self, job: Any) -> dict[str, str]:
        """In the work-horse: what the worker is to be told."""
        attempt = self._attempt
        if attempt is None:
            return {}
        told = {
            "error": attempt.error,
            "traceback": attempt.traceback,
            "trace_id": attempt.trace_id,
            "request_id": attempt.request_id,
            "started_ms": _ms(job.started_at),
        }
        return {"attempt": json.dumps(told), "reports": json.dumps(list(map(asdict, _withdrawn())))}

    def end(self, job: Any, status: str, given: Mapping[str, str]) -> None:
        """In the worker, when the work-horse is gone."""
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            return
        for about in json.loads(given.get("reports", "[]")):
            # Of other monitors too: a process that ends had better not wait for a server.
            self._reports.send(JobReport(**about))
        told: Any = json.loads(given["attempt"]) if "attempt" in given else {"started_ms": _ms(job.started_at)}
        attempt.error = told.get("error") or attempt.error
        attempt.traceback = told.get("traceback") or attempt.traceback
        attempt.trace_id = told.get("trace_id") or attempt.trace_id
        attempt.request_id = told.get("request_id") or attempt.request_id
        # RQ's own moment, as it is stored with the job: by it this is known to be the same attempt.
        attempt.started_ms = told.get("started_ms") or attempt.started_ms
        attempt.end(LOST if self._was_killed and status == "failed" else status, self._usage)

    def _waited(self, answer: Any) -> Any:
        with self._guard.shielded("learn what a work-horse used"):
            pid, status, rusage = answer
            if pid and rusage is not None:
                used = usage_of_process(rusage)
                # The memory of a process that was not forked from this one was ours until it had begun.
                self._usage = used._replace(peak_memory_bytes=None) if self._spawns else used
                self._was_killed = os.WIFSIGNALED(status)
        return answer

    def _facts(self, job: Any, queue: Any) -> Facts:
        return Facts(
            str(job.id),
            _kind(job),
            str(getattr(queue, "name", "")),
            "rq",
            attempt=_number(job),
            enqueued_ms=_ms(job.enqueued_at),
            worker=str(getattr(self._worker, "name", "")),
        )


def _withdrawn() -> list[JobReport]:
    """What nobody in this process will send any more."""
    return [report for waiting in list(PROCESS.waiting) for report in waiting.withdraw(_MAX_HANDED, _LAST_S)]


def _number(job: Any) -> int:
    """Of the attempt that begins now. Those that ended while nothing of ours was there are not counted."""
    about = job.meta.get(KEY)
    before = about.get(_ATTEMPTS) if isinstance(about, Mapping) else None
    return (before if isinstance(before, int) else job.number_of_retries or 0) + 1


def _kind(job: Any) -> str:
    """As the server reads it from the queue."""
    description = str(job.description or "")
    name, bracket, _ = description.partition("(")
    if bracket and name and len(name) <= 200 and not any(char.isspace() or char == ")" for char in name):
        return name
    try:
        from trackside.jobs.rq.payload import call_of  # noqa: PLC0415 - seldom needed

        return str(call_of(job.data)[0])
    except Exception:  # noqa: BLE001 - of a serializer of the application's own
        return description[:200]


def _ms(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    # Without a time zone in older versions, and in UTC always.
    return round((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp() * 1000)
