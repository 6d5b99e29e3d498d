"""Background jobs as metrics, whatever library runs them: how many, how long, how late, and how they ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from threading import RLock
from time import perf_counter, time

from trackside.instruments.counter import CounterChild
from trackside.instruments.gauge import Gauge, GaugeChild
from trackside.instruments.histogram import HistogramChild
from trackside.instruments.measured import OVERFLOW
from trackside.model.cheap_typing import NamedTuple
from trackside.sdk.families.maker import Maker
from trackside.sdk.watch.bounded import Bounded
from trackside.sdk.watch.context import WatchContext

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.sdk.job_reports.attempt import Attempt, Facts
    from trackside.sdk.job_reports.job_reports import JobReports

BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Seconds: jobs take, and wait, from an instant to an hour."""
MAX_NAMES = 200
MAX_QUEUES = 100
MAX_CELLS = 1_000
"""Pairs of name and queue."""

SUCCEEDED, FAILED, CANCELLED = "succeeded", "failed", "cancelled"
RETRIED = "retried"
"""Of an attempt: the job is not over, so it is no status of `jobs_total`."""


class JobCell(NamedTuple):
    """Where the jobs of one name and queue are counted."""

    by_status: dict[str, CounterChild]
    seconds: HistogramChild
    in_progress: GaugeChild
    retries: CounterChild
    waits: HistogramChild


class JobMetrics:
    """One for a monitor. The methods that count never raise."""

    def __init__(self, context: WatchContext) -> None:
        make = Maker.of(context)
        self.guard = context.guard
        by_job = ("job_name", "queue")
        self._total = make.counter("jobs_total", "Jobs that are over, by how they ended.", (*by_job, "status"))
        self._seconds = make.histogram(
            "job_duration_seconds", "Time a job ran, each attempt for itself, without waiting.", by_job, BUCKETS
        )
        self._in_progress = make.gauge("jobs_in_progress", "Jobs that are running.", by_job)
        self._waits = make.histogram(
            "job_wait_seconds", "From the moment a job was due until it began.", ("queue",), BUCKETS
        )
        self._retries = make.counter("job_retries_total", "Attempts that failed and will be made again.", by_job)
        self._make = make
        self._names = Bounded(MAX_NAMES)
        self._queues = Bounded(MAX_QUEUES)
        self._cells: dict[tuple[str, str], JobCell] = {}
        self._lock = RLock()
        self.reports = _reports(context)
        """None: there is no server to report to."""

    @classmethod
    def of(cls, context: WatchContext) -> JobMetrics:
        return context.shared.the(cls, lambda: cls(context))

    def begin(
        self,
        name: str,
        queue: str = "",
        waited_s: Callable[[], float | None] | None = None,
        facts: Callable[[], Facts | None] | None = None,
    ) -> JobRun:
        """A job begins now. `waited_s` is asked how long it was due before, None when that is not known; `facts`, where
        somebody is reported to, what the attempt is: what runs from here on in this thread and context is its."""
        cell = None
        try:
            cell = self.cell(name, queue)
            cell.in_progress.inc()
            waited = None if waited_s is None else waited_s()
            if waited is not None:
                # Below zero the clock of the machine that enqueued it goes ahead of ours.
                cell.waits.observe(max(0.0, waited))
        except Exception as error:  # noqa: BLE001 - the host must not notice us
            self.guard.failed("measure the beginning of a job", error)
        return JobRun(self, cell, None if facts is None else self._attempt(facts))

    def _attempt(self, facts: Callable[[], Facts | None]) -> Attempt | None:
        if self.reports is None:
            return None
        try:
            about = facts()
            attempt = None if about is None else self.reports.begin(about)
            if attempt is not None:
                attempt.enter(self.reports.meter)
            return attempt
        except Exception as error:  # noqa: BLE001 - the host must not notice us
            self.guard.failed("report the beginning of a job", error)
            return None

    def over(self, name: str, queue: str, status: str) -> None:
        """A job that ended without having run here: it was cancelled, or its process died."""
        try:
            self.ended(self.cell(name, queue), status)
        except Exception as error:  # noqa: BLE001 - see `begin`
            self.guard.failed("count a job", error)

    def ended(self, cell: JobCell, status: str) -> None:
        (cell.retries if status == RETRIED else cell.by_status.get(status, cell.by_status[FAILED])).inc()

    def worker_lives(self, queues: Iterable[str]) -> None:
        """For adapters whose library tells, while nothing is to be done too."""
        try:
            for queue in queues:
                self._seen.labels(self._queues.of(str(queue))).set(time())
        except Exception as error:  # noqa: BLE001 - see `begin`
            self.guard.failed("note that a worker lives", error)

    @cached_property
    def _seen(self) -> Gauge:
        return self._make.gauge(
            "job_worker_last_seen_timestamp_seconds",
            "When a worker of the queue last showed that it lives.",
            ("queue",),
        )

    def cell(self, name: str, queue: str) -> JobCell:
        cell = self._cells.get((name, queue))
        return cell if cell is not None else self._new_cell(name, queue)

    def _new_cell(self, name: str, queue: str) -> JobCell:
        pair = self._names.of(str(name)), self._queues.of(str(queue))
        with self._lock:
            if len(self._cells) >= MAX_CELLS and pair not in self._cells:
                pair = OVERFLOW, OVERFLOW
            found = self._cells.get(pair)
            if found is None:
                # Every status from the start, so that the first failure is an increase.
                found = self._cells[pair] = JobCell(
                    {status: self._total.labels(*pair, status) for status in (SUCCEEDED, FAILED, CANCELLED)},
                    self._seconds.labels(*pair),
                    self._in_progress.labels(*pair),
                    self._retries.labels(*pair),
                    self._waits.labels(pair[1]),
                )
            return found


class JobRun:
    """One attempt of one job, from its beginning to the first `end`."""

    __slots__ = ("_all", "_began_s", "_cell", "attempt")

    def __init__(self, metrics: JobMetrics, cell: JobCell | None, attempt: Attempt | None = None) -> None:
        self._all = metrics
        self._cell = cell
        self.attempt = attempt
        """What will be reported of it; None: nothing."""
        self._began_s = perf_counter()

    def note_trace(self) -> None:
        """Within the trace that it belongs to."""
        if self.attempt is not None:
            self.attempt.note_trace()

    def end(self, status: str, error: BaseException | None = None) -> None:
        """`error`: what it raised, though it may be only a wish to be run again."""
        cell, self._cell = self._cell, None
        if cell is None:
            return
        try:
            cell.seconds.observe(perf_counter() - self._began_s)
            cell.in_progress.dec()
            self._all.ended(cell, status)
            if self.attempt is not None:
                if error is not None:
                    self.attempt.raised(error)
                self.attempt.end(status)
        except Exception as failure:  # noqa: BLE001 - the host must not notice us
            self._all.guard.failed("measure a job", failure)


def _reports(context: WatchContext) -> JobReports | None:
    if not context.settings.server_url:
        return None
    from trackside.sdk.job_reports.job_reports import JobReports  # noqa: PLC0415 - not where nobody is reported to

    return JobReports.of(context)
