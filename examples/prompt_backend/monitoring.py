"""The monitor of this service, and the names under which the team's dashboards ask for its jobs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from time import perf_counter

from trackside import Monitor
from trackside.outbox.work_queue import Claimed

# ENABLE_PROMETHEUS_METRICS=false switches all of it off: no middleware, no /metrics, every call does nothing.
monitor = Monitor("prompt-backend")

_BY = ("queue", "kind")
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

# The team's dashboards were written for a service whose queue was apalis', and ask for these four. No version of apalis
# has them under these names. Here an attempt is what is counted: a session that is published at the third attempt is
# three jobs, two of them failed. `jobs_total` and `job_duration_seconds`, which every Trackside worker has, tell
# attempts and jobs apart.
_ended = monitor.counter("apalis_jobs_total", "Attempts that ended, those that failed too.", _BY)
_failed = monitor.counter("apalis_jobs_failed_total", "Attempts that failed, those that were made again too.", _BY)
_seconds = monitor.histogram("apalis_jobs_duration_seconds", "How long attempts ran.", _BY, buckets=_BUCKETS)
_active = monitor.gauge("apalis_active_jobs", "Attempts that run now, in this process.", _BY)

Handler = Callable[[Claimed], object]


def counted(queue: str, kind: str, handler: Handler) -> Handler:
    """`handler`, under the four names. They are there from now on: the first failure is an increase, and where nobody
    publishes there is a rate, of 0."""
    ended, failed = _ended.labels(queue, kind), _failed.labels(queue, kind)
    seconds, active = _seconds.labels(queue, kind), _active.labels(queue, kind)

    @wraps(handler)
    def handle(work: Claimed) -> None:
        began_s = perf_counter()
        active.inc()
        try:
            handler(work)
        except BaseException:
            failed.inc()
            raise
        finally:
            active.dec()
            seconds.observe(perf_counter() - began_s)
            ended.inc()

    return handle
