"""RQ 3's jobs that wait until another one of their rate limit has ended: kept by limit, not by queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from trackside.jobs.redis_store import text
from trackside.jobs.rq.keys import Keys

MAX_LIMITS = 200
_MAX_JOBS = 1_000
"""Of which the queue is looked up."""


class RateLimits:
    """Asks in three steps, beside what else is asked."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._names: list[str] = []
        self._ids: list[str] = []

    def ask_names(self, pipeline: Any) -> None:
        pipeline.srandmember(self._keys.of("rl-keys"), MAX_LIMITS)

    def take_names(self, answers: Iterator[Any]) -> None:
        self._names = sorted(text(name) for name in next(answers) or ())

    def ask_ids(self, pipeline: Any) -> None:
        for name in self._names:
            pipeline.zrange(self._keys.limited(name), 0, _MAX_JOBS - 1)

    def take_ids(self, answers: Iterator[Any]) -> None:
        self._ids = [text(id) for _ in self._names for id in next(answers) or ()][:_MAX_JOBS]

    def ask_queues(self, pipeline: Any) -> None:
        for id in self._ids:
            pipeline.hget(self._keys.job(id), "origin")

    def take_queues(self, answers: Iterator[Any]) -> Counter[str]:
        """How many wait, by queue."""
        return Counter(text(next(answers)) for _ in self._ids)
