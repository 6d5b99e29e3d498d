"""dramatiq on Redis as a source of jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trackside.jobs.dramatiq.broker import Broker
from trackside.jobs.dramatiq.look import Look
from trackside.jobs.dramatiq.search import Search
from trackside.jobs.redis_store import RedisStore
from trackside.jobs.source import Measure
from trackside.model.jobs import Fidelity, JobDetail, JobQuery, JobsPage, JobsSample


class DramatiqSource:
    def __init__(
        self,
        store: RedisStore,
        *,
        is_secret: Callable[[str], bool],
        namespace: str = "dramatiq",
        queues: Sequence[str] = (),
    ) -> None:
        """`namespace` is that of the application's RedisBroker. `queues`: those that are watched; empty: all that are
        found. `is_secret` says which named arguments stay hidden."""
        self._store = store
        self._is_secret = is_secret
        self._look = Look(Broker(store, namespace, queues))

    @property
    def backend(self) -> str:
        return "dramatiq"

    @property
    def fidelity(self) -> Mapping[Measure, Fidelity]:
        return {
            Measure.DEPTH: Fidelity.EXACT,
            # A message that was delayed forgets when it was due; it is known if it was seen before.
            Measure.OLDEST: Fidelity.INFERRED,
            # What is fetched may still wait in the worker's memory.
            Measure.RUNNING: Fidelity.INFERRED,
            Measure.WORKERS: Fidelity.INFERRED,
            # A success leaves no trace.
            Measure.THROUGHPUT: Fidelity.NEEDS_HOOK,
            Measure.LATENCY: Fidelity.NEEDS_HOOK,
            # Of the attempt before the last.
            Measure.TRACEBACK: Fidelity.SAMPLED,
        }

    def sample(self, cursor: Any = None) -> JobsSample:
        return self._look.sample(cursor)

    def find(self, query: JobQuery, after: str = "", limit: int = 50) -> JobsPage:
        return Search(self._look, self._is_secret).page(query, after, limit)

    def get(self, id: str) -> JobDetail | None:
        return Search(self._look, self._is_secret).detail(id)

    def close(self) -> None:
        self._store.close()
