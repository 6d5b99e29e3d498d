"""What the health check of an arq queue says: the last worker that reported."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trackside.jobs.arq.wire import HEALTH
from trackside.model.jobs import Job, WorkerNow

_DEFAULT_INTERVAL_MS = 3_600_000
_QUARTER_MS = 900_000
_HEALTH = re.compile(
    r"\d\d:(\d\d):(\d\d) j_complete=(\d{1,15}) j_failed=(\d{1,15}) j_retried=(\d{1,15}) j_ongoing=(\d{1,15})"
)


def workers_of(queue: str, said: str, left_ms: int, running: Sequence[Job], at_ms: int) -> list[WorkerNow]:
    found = _HEALTH.search(said)
    if found is None or left_ms < 0:
        return []
    minute, second, complete, failed, retried, ongoing = (int(number) for number in found.groups())
    ends_ms = at_ms + left_ms
    # The time is without a year and of an unknown zone; zones differ by quarters of an hour. An interval is less than
    # that, or, as far as it can be told, the default.
    since_ms = (ends_ms - 1_000 - (minute * 60 + second) * 1000) % _QUARTER_MS
    is_default = since_ms < 2_000 or since_ms > _QUARTER_MS - 1_000
    interval_ms = _DEFAULT_INTERVAL_MS if is_default else since_ms
    jobs = tuple(job.id for job in running if job.queue == queue)
    return [
        WorkerNow(
            id=queue + HEALTH,
            queues=(queue,),
            state="busy" if ongoing or jobs else "idle",
            beat_ms=min(at_ms, ends_ms - 1_000 - interval_ms),
            expected_ms=ends_ms,
            jobs=jobs,
            succeeded=complete,
            failed_attempts=failed + retried,
            is_inferred=True,
        )
    ]
