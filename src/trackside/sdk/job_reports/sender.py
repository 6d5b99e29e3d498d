"""Sends reports to a Trackside server, from a thread of its own: bounded, and no job waits for it."""

from __future__ import annotations

import gzip
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from trackside.model.jobs import JobReport
from trackside.sdk.guard import Guard
from trackside.sdk.job_reports.current import PROCESS
from trackside.sdk.job_reports.texts import clean_error, clean_traceback
from trackside.sdk.push.background import Background, Wait
from trackside.sdk.push.backlog import Backlog
from trackside.sdk.push.destination import Destination
from trackside.sdk.push.outbox import DROPPED, FAILED, Outbox
from trackside.sdk.push.pusher import PushError
from trackside.sdk.push.transport import Post, post
from trackside.sdk.scrub import Scrubber
from trackside.wire.job_reports import MAX_REPORTS, PATH, body_of, encoded

MAX_BATCH = 500
MAX_BATCH_BYTES = 512 * 1024
"""Before they are compressed: a receiver takes twice as much."""
INTERVAL_S = 1.0

_OTHERWISE = 500
"""Characters of a report without its texts."""

Count = Callable[[str, int], None]
"""Of an outcome ("sent", "dropped", "refused" for good, "failed" and tried again) and how many reports."""

assert MAX_BATCH <= MAX_REPORTS


def destination(server_url: str, key: str) -> Destination:
    """
    Raises:
        ValueError: no URL of a web server.
    """
    found = Destination.of("job_reports", server_url.rstrip("/") + PATH, password=key)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip", **found.headers}
    return replace(found, headers=headers)


class Sender:
    def __init__(self, to: Destination, count: Count, guard: Guard, post: Post = post) -> None:
        self._count = count
        self._guard = guard
        self._post = post
        self._scrubber = Scrubber()
        self._sizes: deque[int] = deque()
        """How many reports are in each body of the outbox."""
        self._outbox = Outbox(to, self._counted)
        self._reports: Backlog[JobReport] = Backlog(_characters, lambda dropped: count(DROPPED, dropped))
        self._background = Background(self, "trackside-job-reports")
        PROCESS.waiting.add(self)

    def add(self, report: JobReport) -> None:
        self._reports.add(report)
        self._background.hold(self)

    def ask(self) -> Wait:
        return self._background.ask()

    def withdraw(self, room: int, timeout_s: float) -> list[JobReport]:
        """Take back what is not under way yet, the oldest so many characters of it; the rest is sent, if that is done
        within the time."""
        withdrawn = self._reports.take(len(self._reports), room)
        if self._background.is_running:
            self._background.flush(timeout_s)
        return withdrawn

    def round(self, *, at_once: bool = False) -> None:
        """Pack what waits, and send."""
        while self._reports:
            self._pack()
        trouble = self._outbox.ship(self._post, time.monotonic, at_once=at_once)
        if trouble is not None:
            self._guard.failed("send job reports", PushError(trouble.reason))

    def wait_s(self) -> float:
        return INTERVAL_S

    def holds(self) -> bool:
        return bool(self._reports) or bool(self._outbox)

    def failed(self, error: Exception) -> None:
        self._guard.failed("send job reports", error)

    def in_child(self, *, ran: bool) -> None:
        # The parent sends what waited; the child's first report starts a thread of its own.
        self._reports.clear()
        self._outbox.clear()
        self._sizes.clear()

    def _pack(self) -> None:
        ready: list[bytes] = []
        size = 0
        while len(ready) < MAX_BATCH and size < MAX_BATCH_BYTES and (taken := self._reports.take()):
            with self._guard.shielded("write a job report"):
                ready.append(encoded(self._clean(taken[0])))
                size += len(ready[-1])
        if ready:
            self._sizes.append(len(ready))
            self._outbox.add(gzip.compress(body_of(ready), compresslevel=1))

    def _clean(self, report: JobReport) -> JobReport:
        # Only what was raised is anybody's words. An id must stay as it is: by it the report joins what else is known.
        error, traceback = clean_error(report.error, self._scrubber), clean_traceback(report.traceback, self._scrubber)
        return replace(report, error=error, traceback=traceback)

    def _counted(self, outcome: str) -> None:
        # The outbox tells of its oldest body; one that failed stays there.
        self._count(outcome, self._sizes[0] if outcome == FAILED else self._sizes.popleft())


def _characters(report: JobReport) -> int:
    return len(report.traceback) + len(report.error) + _OTHERWISE
