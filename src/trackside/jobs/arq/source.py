"""arq as a source of jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trackside.jobs.arq.look import Look
from trackside.jobs.arq.search import detail, page
from trackside.jobs.arq.wire import QUEUE
from trackside.jobs.redis_store import RedisStore
from trackside.jobs.source import Measure
from trackside.model.jobs import Fidelity, JobDetail, JobQuery, JobsPage, JobsSample


class ArqSource:
    def __init__(
        self, store: RedisStore, *, is_secret: Callable[[str], bool], queues: Sequence[str] = (QUEUE,)
    ) -> None:
        """A queue of another name is known once a job of it has ended: better to name all. `is_secret` says which named
        arguments stay hidden."""
        self._store = store
        self._is_secret = is_secret
        self._look = Look(store, queues, is_secret)

    @property
    def backend(self) -> str:
        return "arq"

    @property
    def fidelity(self) -> Mapping[Measure, Fidelity]:
        return {
            Measure.DEPTH: Fidelity.EXACT,
            Measure.OLDEST: Fidelity.EXACT,
            # By their leases: one that was killed runs until its lease ends, and is queued then.
            Measure.RUNNING: Fidelity.EXACT,
            # One health check for each queue, however many workers it has.
            Measure.WORKERS: Fidelity.INFERRED,
            # Where results are kept for long enough to be seen.
            Measure.THROUGHPUT: Fidelity.SAMPLED,
            # A result does not say when its job was due.
            Measure.LATENCY: Fidelity.SAMPLED,
            Measure.TRACEBACK: Fidelity.NEEDS_HOOK,
        }

    def sample(self, cursor: Any = None) -> JobsSample:
        return self._look.sample(cursor)

    def find(self, query: JobQuery, after: str = "", limit: int = 50) -> JobsPage:
        return page(self._look, query, after, limit, self._is_secret)

    def get(self, id: str) -> JobDetail | None:
        return detail(self._look, id, self._is_secret)

    def close(self) -> None:
        self._store.close()
