"""Sends reports to a Trackside server, from a thread of its own: bounded, and no job waits for it."""

from __future__ import annotations

import atexit
import gzip
import os
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from threading import Condition, Thread

from trackside.model.jobs import JobReport
from trackside.sdk.guard import Guard
from trackside.sdk.job_reports.current import PROCESS
from trackside.sdk.job_reports.texts import clean_error, clean_traceback
from trackside.sdk.push.destination import Destination
from trackside.sdk.push.outbox import DROPPED, FAILED, Outbox
from trackside.sdk.push.pusher import PushError
from trackside.sdk.push.transport import Post, post
from trackside.sdk.scrub import Scrubber
from trackside.wire.job_reports import MAX_REPORTS, PATH, body_of, encoded

MAX_WAITING = 10_000
"""Reports. Beyond it the oldest go: what happens now is what one will ask for."""
MAX_WAITING_CHARACTERS = 16 * 1024 * 1024
"""Of their texts."""
MAX_BATCH = 500
MAX_BATCH_BYTES = 512 * 1024
"""Before they are compressed: a receiver takes twice as much."""
INTERVAL_S = 1.0
FLUSH_TIMEOUT_S = 3.0

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
        self._begin()
        self._registered = False

    def _begin(self) -> None:
        self._reports: deque[JobReport] = deque()
        self._characters = 0
        self._condition = Condition()
        self._thread: Thread | None = None
        self._asked = self._answered = 0

    def add(self, report: JobReport) -> None:
        dropped = 0
        with self._condition:
            self._reports.append(report)
            self._characters += _characters(report)
            while len(self._reports) > MAX_WAITING or self._characters > MAX_WAITING_CHARACTERS:
                self._characters -= _characters(self._reports.popleft())
                dropped += 1
        if dropped:
            self._count(DROPPED, dropped)
        if self._thread is None:
            self._start()

    def flush(self, timeout_s: float = FLUSH_TIMEOUT_S) -> bool:
        """Whether everything was tried within the time; it may not have been taken."""
        if self._thread is None:
            if not self._reports:
                return True
            self._start()
        until_s = time.monotonic() + timeout_s
        with self._condition:
            self._asked += 1
            asked = self._asked
            self._condition.notify_all()
            while self._answered < asked and time.monotonic() < until_s:
                self._condition.wait(max(0.0, until_s - time.monotonic()))
            return self._answered >= asked

    def withdraw(self, room: int, timeout_s: float) -> list[JobReport]:
        """Take back what is not under way yet, the oldest so many characters of it; the rest is sent, if that is done
        within the time."""
        withdrawn: list[JobReport] = []
        with self._condition:
            while self._reports and (room := room - _characters(self._reports[0])) >= 0:
                withdrawn.append(self._reports.popleft())
                self._characters -= _characters(withdrawn[-1])
        if self._thread is not None:
            self.flush(timeout_s)
        return withdrawn

    def round(self, *, at_once: bool = False) -> None:
        """Pack what waits, and send."""
        while self._reports:
            self._pack()
        trouble = self._outbox.ship(self._post, time.monotonic, at_once=at_once)
        if trouble is not None:
            self._guard.failed("send job reports", PushError(trouble.reason))

    def _pack(self) -> None:
        ready: list[bytes] = []
        size = 0
        while len(ready) < MAX_BATCH and size < MAX_BATCH_BYTES:
            report = self._taken()
            if report is None:
                break
            with self._guard.shielded("write a job report"):
                ready.append(encoded(self._clean(report)))
                size += len(ready[-1])
        if ready:
            self._sizes.append(len(ready))
            self._outbox.add(gzip.compress(body_of(ready), compresslevel=1))

    def _taken(self) -> JobReport | None:
        with self._condition:
            if not self._reports:
                return None
            report = self._reports.popleft()
            self._characters -= _characters(report)
            return report

    def _clean(self, report: JobReport) -> JobReport:
        # Only what was raised is anybody's words. An id must stay as it is: by it the report joins what else is known.
        error, traceback = clean_error(report.error, self._scrubber), clean_traceback(report.traceback, self._scrubber)
        return replace(report, error=error, traceback=traceback)

    def _counted(self, outcome: str) -> None:
        # The outbox tells of its oldest body; one that failed stays there.
        self._count(outcome, self._sizes[0] if outcome == FAILED else self._sizes.popleft())

    def _start(self) -> None:
        with self._guard.shielded("start to send job reports"), self._condition:
            if self._thread is None:
                self._register()
                thread = Thread(target=self._loop, args=(self._condition,), name="trackside-job-reports", daemon=True)
                self._thread = thread
                thread.start()

    def _loop(self, condition: Condition) -> None:
        while condition is self._condition:
            with condition:
                if self._asked == self._answered:
                    condition.wait(INTERVAL_S)
                asked = self._asked
            with self._guard.shielded("send job reports"):
                self.round(at_once=asked > self._answered)
            with condition:
                self._answered = asked
                condition.notify_all()

    def _register(self) -> None:
        if self._registered:
            return
        self._registered = True
        PROCESS.waiting.add(self)
        mine = weakref.ref(self)

        def flush() -> None:
            sender = mine()
            if sender is not None:
                sender.flush()

        def begin() -> None:
            sender = mine()
            if sender is not None:
                # The parent sends what waited; the child's first report starts a thread of its own.
                sender._begin()
                sender._outbox.clear()
                sender._sizes.clear()

        atexit.register(flush)
        os.register_at_fork(after_in_child=begin)


def _characters(report: JobReport) -> int:
    return len(report.traceback) + len(report.error) + _OTHERWISE
