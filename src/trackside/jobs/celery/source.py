"""Celery on Redis as a source of jobs: what was heard, reconciled with what the broker and the results say."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from trackside.jobs.celery.broker import Broker, Settings
from trackside.jobs.celery.inspection import Inspection
from trackside.jobs.celery.listener import Listener
from trackside.jobs.celery.look import Look
from trackside.jobs.celery.search import detail, page
from trackside.jobs.celery.tasks import Tasks
from trackside.jobs.redis_store import RedisStore
from trackside.jobs.source import Measure
from trackside.model.jobs import Fidelity, JobDetail, JobQuery, JobsPage, JobsSample

_FIRST_WAIT_S = 2.0
EVENTS_RULES = "+psubscribe +punsubscribe"
"""What the user of this source needs besides READ_ONLY_RULES."""


class CelerySource:
    def __init__(
        self,
        store: RedisStore,
        *,
        is_secret: Callable[[str], bool],
        settings: Settings | None = None,
        asks_by: RedisStore | None = None,
    ) -> None:
        """Listens from now on. Workers say the most when they are started with -E. `store` needs EVENTS_RULES too.
        `asks_by`: another connection, which may write: workers are asked each minute what they run and take from."""
        self._store = store
        self._settings = settings or Settings()
        self._is_secret = is_secret
        self._broker = Broker(store, self._settings)
        self._listener = Listener(store, self._settings, Tasks())
        self._inspection = None if asks_by is None else Inspection(asks_by, self._settings, self._listener)
        self._run = uuid.uuid4().hex
        self._look = Look(self._broker, self._listener, self._run)

    @property
    def backend(self) -> str:
        return "celery"

    @property
    def fidelity(self) -> Mapping[Measure, Fidelity]:
        has_task_events = self._look.has_task_events
        return {
            Measure.DEPTH: Fidelity.EXACT,
            # A message does not say when it was sent; `task-sent` does, and else since when we have seen it.
            Measure.OLDEST: Fidelity.INFERRED,
            # Without events of tasks workers still say how many they run.
            Measure.RUNNING: Fidelity.EXACT if has_task_events else Fidelity.INFERRED,
            Measure.WORKERS: Fidelity.EXACT if self._look.has_events else Fidelity.INFERRED,
            # What is said while nobody listens is said once.
            Measure.THROUGHPUT: Fidelity.SAMPLED,
            Measure.LATENCY: Fidelity.SAMPLED if has_task_events else Fidelity.NEEDS_HOOK,
            Measure.TRACEBACK: Fidelity.SAMPLED,
        }

    def sample(self, cursor: Any = None) -> JobsSample:
        self._listener.wait_until_listening(_FIRST_WAIT_S)
        sample = self._look.sample(cursor)
        error = self._inspection.error if self._inspection is not None else ""
        return replace(sample, notes=(*sample.notes, f"Workers cannot be asked: {error}")) if error else sample

    def find(self, query: JobQuery, after: str = "", limit: int = 50) -> JobsPage:
        return page(self._look, query, after, limit, self._is_secret)

    def get(self, id: str) -> JobDetail | None:
        return detail(self._look, id, self._is_secret)

    def close(self) -> None:
        if self._inspection is not None:
            self._inspection.close()
        self._listener.close()
        self._store.close()
