"""The metrics backend inside this process: queries on a thread pool, with timeouts and cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from trackside.exceptions import QueryError
from trackside.model.labels import Labels
from trackside.model.matchers import Matcher
from trackside.server.promql.engine import Engine
from trackside.server.promql.limits import Cancellation, timed_out
from trackside.server.promql.select import unwrapped
from trackside.server.promql.syntax import VectorSelector
from trackside.server.series import QueryResult
from trackside.server.storage import Querier

T = TypeVar("T")


class EmbeddedBackend:
    """`MetricsBackend` over an engine. Its methods belong to one event loop; the work is done by `workers` threads."""

    def __init__(self, engine: Engine, querier: Querier, *, workers: int = 2) -> None:
        self._engine = engine
        self._querier = querier
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="trackside-query")

    async def query(self, expr: str, time_ms: int, timeout_ms: int | None = None) -> QueryResult:
        return await self._run(lambda cancel: self._engine.instant(expr, time_ms, cancel), timeout_ms)

    async def query_range(
        self, expr: str, start_ms: int, end_ms: int, step_ms: int, timeout_ms: int | None = None
    ) -> QueryResult:
        return await self._run(lambda cancel: self._engine.range(expr, start_ms, end_ms, step_ms, cancel), timeout_ms)

    async def series(self, match: Sequence[str], start_ms: int, end_ms: int) -> list[Labels]:
        def read(cancel: Cancellation) -> list[Labels]:
            every = self._each(match, lambda matchers: self._querier.series(matchers, start_ms, end_ms), cancel)
            return _union(every)

        return await self._run(read)

    async def label_names(self, match: Sequence[str], start_ms: int, end_ms: int) -> list[str]:
        def read(cancel: Cancellation) -> list[str]:
            every = self._each(match, lambda matchers: self._querier.label_names(matchers, start_ms, end_ms), cancel)
            return _union(every)

        return await self._run(read)

    async def label_values(self, name: str, match: Sequence[str], start_ms: int, end_ms: int) -> list[str]:
        def read(cancel: Cancellation) -> list[str]:
            querier = self._querier
            return _union(
                self._each(match, lambda matchers: querier.label_values(name, matchers, start_ms, end_ms), cancel)
            )

        return await self._run(read)

    def close(self) -> None:
        """Queued queries are dropped; running ones end at their next check or finish."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _each(
        self, match: Sequence[str], read: Callable[[Sequence[Matcher]], list[T]], cancel: Cancellation
    ) -> Iterator[list[T]]:
        for matchers in [self._selector(text) for text in match] or [()]:
            cancel.check()
            yield read(matchers)

    def _selector(self, text: str) -> tuple[Matcher, ...]:
        expr = unwrapped(self._engine.parsed(text))
        if not isinstance(expr, VectorSelector) or expr.offset_ms or expr.at is not None:
            raise QueryError(f'expected a series selector such as up{{job="shop"}}, found {text!r}')
        return expr.matchers

    async def _run(self, work: Callable[[Cancellation], T], timeout_ms: int | None = None) -> T:
        """`work` on the pool. Its time runs from now, waiting for a free thread included."""
        limit_ms = self._engine.limits.timeout_ms
        timeout_ms = limit_ms if timeout_ms is None else min(timeout_ms, limit_ms)
        cancel = Cancellation(timeout_ms)

        def checked() -> T:
            cancel.check()
            return work(cancel)

        try:
            future = asyncio.get_running_loop().run_in_executor(self._pool, checked)
        except RuntimeError as error:  # the pool says only so that it is closed
            raise QueryError("the server is shutting down and takes no more queries") from error
        try:
            return await asyncio.wait_for(asyncio.shield(future), timeout_ms / 1000)
        except TimeoutError as error:
            raise timed_out(timeout_ms) from error
        finally:
            # Whatever ended the wait, a thread that is still at it learns that nobody wants the answer.
            cancel.cancel()
            future.add_done_callback(_seen)


def _seen(future: asyncio.Future[T]) -> None:
    """An abandoned query that fails is no news."""
    if not future.cancelled():
        future.exception()


def _union(lists: Iterator[list[T]]) -> list[T]:
    found: set[T] = set()
    for each in lists:
        found.update(each)
    return sorted(found)  # type: ignore[type-var]
