"""`monitor.job(...)`: measures background work that no library of ours knows, as a block or around a function."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar

from trackside.sdk.job_metrics import CANCELLED, FAILED, RETRIED, SUCCEEDED, JobMetrics, JobRun
from trackside.sdk.traces.finished import traces_are_on
from trackside.sdk.traces.spans import NO_SPAN, NoSpan, Span

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class Job:
    """One job, as a `with` or `async with` block; or, as a decorator, every call of a function.

    A block that raises is a failed job; one that was cancelled (asyncio, a shutdown) is a cancelled one.
    """

    __slots__ = ("_all", "_name", "_queue", "_run", "_span", "_status")

    def __init__(self, metrics: JobMetrics, name: str, queue: str) -> None:
        self._all = metrics
        self._name = name
        self._queue = queue
        self._run: JobRun | None = None
        self._status = SUCCEEDED
        self._span: Span | NoSpan = NO_SPAN

    def failed(self) -> None:
        """The job did not work, though it raises nothing."""
        self._status = FAILED

    def will_be_retried(self) -> None:
        """The attempt did not work, and there will be another: a retry, and not yet a failed job."""
        self._status = RETRIED

    def __enter__(self) -> Job:
        self._status = SUCCEEDED
        self._run = self._all.begin(self._name, self._queue)
        if traces_are_on():
            self._span = Span(self._name, {"messaging.destination.name": self._queue}, "CONSUMER")
            self._span.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._run is not None:
            span, self._span = self._span, NO_SPAN
            span.__exit__(kind, error, at)
            self._run.end(self._status if error is None or self._status == RETRIED else status_of(error))

    async def __aenter__(self) -> Job:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, at)

    def __call__(self, function: FunctionT) -> FunctionT:
        metrics, name, queue = self._all, self._name, self._queue

        @wraps(function)
        def measured(*args: Any, **named: Any) -> Any:
            with Job(metrics, name, queue):
                return function(*args, **named)

        @wraps(function)
        async def measured_async(*args: Any, **named: Any) -> Any:
            with Job(metrics, name, queue):
                return await function(*args, **named)

        from inspect import iscoroutinefunction  # noqa: PLC0415 - a tenth of our whole import

        return measured_async if iscoroutinefunction(function) else measured  # type: ignore[return-value]


def status_of(error: BaseException) -> str:
    """How a job ended that raised `error`."""
    return FAILED if isinstance(error, Exception) and not _is_cancellation(error) else CANCELLED


def _is_cancellation(error: Exception) -> bool:
    """`concurrent.futures.CancelledError` is an ordinary exception."""
    futures = sys.modules.get("concurrent.futures")
    return futures is not None and isinstance(error, futures.CancelledError)
