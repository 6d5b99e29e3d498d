"""What pollers and workers count while they run. What must be known when none runs is asked of the tables."""

from __future__ import annotations

from typing import cast

from trackside.instruments.counter import Counter
from trackside.instruments.histogram import Histogram
from trackside.outbox.work_queue import Claimed
from trackside.sdk.switched_off import NO_INSTRUMENT

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.sdk.monitor import Monitor

_BATCHES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
_ATTEMPTS = (1, 2, 3, 5, 10, 20, 50)
_DELAYS = (0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400)


class PollMetrics:
    def __init__(self, monitor: Monitor) -> None:
        by = ("poller",)
        self._polls = monitor.counter("poller_polls_total", "Rounds of pollers, by what they found.", (*by, "result"))
        self._claimed = monitor.counter("poller_claimed_total", "Rows that pollers queued work for.", by)
        self._sizes = monitor.histogram("poller_batch_size", "Rows of a round that found some.", by, buckets=_BATCHES)
        self._seconds = monitor.histogram("poller_query_seconds", "Time a round took.", by)

    @classmethod
    def of(cls, monitor: Monitor | None) -> PollMetrics:
        return cls(cast("Monitor", _Off()) if monitor is None else monitor)

    def polled(self, poller: str, result: str, taken: int = 0, took_s: float | None = None) -> None:
        """`result` is "work", "empty" or "error"."""
        self._polls.labels(poller, result).inc()
        if taken:
            self._claimed.labels(poller).inc(taken)
            self._sizes.labels(poller).observe(taken)
        if took_s is not None:
            self._seconds.labels(poller).observe(took_s)


class WorkMetrics:
    def __init__(self, monitor: Monitor) -> None:
        by = ("queue",)
        self._abandoned = monitor.counter(
            "leases_expired_total", "Work taken up again after its worker disappeared.", by
        )
        self._stale = monitor.counter(
            "stale_completions_total", "Results that were refused: somebody else had taken the work up.", by
        )
        self._attempts = monitor.histogram("attempts", "Attempts when work ended.", by, buckets=_ATTEMPTS)
        self._dead = monitor.counter("dead_total", "Work that was given up.", by)
        self._published = monitor.counter("outbox_published_total", "Work done.", by)
        self._errors = monitor.counter("outbox_publish_errors_total", "Attempts that failed.", (*by, "reason"))
        self._delay = monitor.histogram(
            "outbox_publish_delay_seconds", "From the push to the end of the work.", by, buckets=_DELAYS
        )

    @classmethod
    def of(cls, monitor: Monitor | None) -> WorkMetrics:
        return cls(cast("Monitor", _Off()) if monitor is None else monitor)

    def begin(self, queue: str) -> None:
        """Everything is 0 from the start: then the first failure is an increase."""
        for counter in (self._abandoned, self._stale, self._dead, self._published):
            counter.labels(queue)
        for reason in ("retried", "dead"):
            self._errors.labels(queue, reason)
        self._attempts.labels(queue)
        self._delay.labels(queue)

    def claimed(self, work: Claimed) -> None:
        if work.was_abandoned:
            self._abandoned.labels(work.queue).inc()

    def ended(self, work: Claimed, outcome: str, took_s: float = 0.0) -> None:
        """`outcome` is "succeeded", or what the queue says of a failure. `took_s`: how long the work took."""
        if outcome == "stale":
            self._stale.labels(work.queue).inc()
            return
        if outcome == "succeeded":
            self._published.labels(work.queue).inc()
            waited_ms = max(0, work.started_ms - work.created_ms)
            self._delay.labels(work.queue).observe(waited_ms / 1000 + took_s)
        else:
            self._errors.labels(work.queue, outcome).inc()
        if outcome == "dead":
            self._dead.labels(work.queue).inc()
        if outcome != "retried":
            self._attempts.labels(work.queue).observe(work.attempt)


class _Off:
    """In place of a monitor, for who has none."""

    def counter(self, *about: object, **named: object) -> Counter:
        return cast(Counter, NO_INSTRUMENT)

    def histogram(self, *about: object, **named: object) -> Histogram:
        return cast(Histogram, NO_INSTRUMENT)
