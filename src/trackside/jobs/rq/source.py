"""RQ 2 and 3 as a source of jobs. RQ's own readers clean up while they count; these keys are only looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trackside.jobs.redis_store import RedisStore
from trackside.jobs.rq.detail import detail_of
from trackside.jobs.rq.keys import Keys
from trackside.jobs.rq.look import Look
from trackside.jobs.rq.search import Search
from trackside.jobs.source import Measure
from trackside.model.jobs import Fidelity, JobDetail, JobQuery, JobsPage, JobsSample


class RqSource:
    def __init__(self, store: RedisStore, *, is_secret: Callable[[str], bool], prefix: str = "rq") -> None:
        """`prefix` is what the application's RQ_KEY_PREFIX says. `is_secret` says which named arguments stay hidden."""
        self._store = store
        self._keys = Keys(prefix)
        self._is_secret = is_secret

    @property
    def backend(self) -> str:
        return "rq"

    @property
    def fidelity(self) -> Mapping[Measure, Fidelity]:
        return {
            Measure.DEPTH: Fidelity.EXACT,
            Measure.OLDEST: Fidelity.EXACT,
            Measure.RUNNING: Fidelity.EXACT,
            Measure.WORKERS: Fidelity.EXACT,
            # Counters of the workers; jobs whose results are kept for less than a look are counted, not seen.
            Measure.THROUGHPUT: Fidelity.EXACT,
            Measure.LATENCY: Fidelity.SAMPLED,
            # Of the last attempt: RQ keeps none of one that will be tried again.
            Measure.TRACEBACK: Fidelity.SAMPLED,
        }

    def sample(self, cursor: Any = None) -> JobsSample:
        return Look(self._store, self._keys).sample(cursor)

    def find(self, query: JobQuery, after: str = "", limit: int = 50) -> JobsPage:
        return Search(self._store, self._keys, query, self._is_secret).page(after, limit)

    def get(self, id: str) -> JobDetail | None:
        return detail_of(self._store, self._keys, id, self._is_secret)

    def close(self) -> None:
        self._store.close()
