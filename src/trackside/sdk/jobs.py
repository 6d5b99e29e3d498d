"""`monitor.job(...)`: measures background work that no library of ours knows, as a block or around a function."""

from __future__ import annotations

import sys
from contextvars import Token
from types import TracebackType

from trackside.instruments.around import FunctionT, around
from trackside.sdk.job_metrics import CANCELLED, FAILED, RETRIED, SUCCEEDED, JobMetrics, JobRun
from trackside.sdk.job_reports.current import current_spending, spend
from trackside.sdk.logs.fields import Scope, close_scope, open_scope, remember_scope
from trackside.sdk.traces.finished import traces_are_on
from trackside.sdk.traces.spans import NO_SPAN, NoSpan, Span

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.sdk.job_reports.attempt import Facts


Which = tuple[str, int | None, str]
"""Of what queue a job is: its id there, the number of the attempt, and the source."""
ANY: Which = ("", None, "")


class Job:
    """One job, as a `with` or `async with` block; or, as a decorator, every call of a function.

    A block that raises is a failed job; one that was cancelled (asyncio, a shutdown) is a cancelled one.
    """

    __slots__ = ("_all", "_name", "_queue", "_run", "_scope", "_span", "_status", "_which")

    def __init__(self, metrics: JobMetrics, name: str, queue: str, which: Which = ANY) -> None:
        self._all = metrics
        self._name = name
        self._queue = queue
        self._which = which
        self._run: JobRun | None = None
        self._status = SUCCEEDED
        self._span: Span | NoSpan = NO_SPAN
        self._scope: Token[Scope | None] | None = None

    def failed(self) -> None:
        """The job did not work, though it raises nothing."""
        self._status = FAILED

    def will_be_retried(self) -> None:
        """The attempt did not work, and there will be another: a retry, and not yet a failed job."""
        self._status = RETRIED

    def cost(self, usd: float | None = None, tokens: int | None = None) -> None:
        """Add to what this run costs. What `monitor.ai` counts is in it already."""
        attempt = self._run.attempt if self._run is not None else None
        if attempt is not None:
            attempt.spending.add(usd, tokens)
        else:
            spend(usd, tokens)

    def __enter__(self) -> Job:
        self._status = SUCCEEDED
        # What is bound to the lines of one job must not be on those of the next in this thread.
        self._scope = open_scope({})
        self._run = self._all.begin(self._name, self._queue, facts=self._facts)
        if traces_are_on():
            self._span = Span(self._name, {"messaging.destination.name": self._queue}, "CONSUMER")
            self._span.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._run is not None:
            span, self._span = self._span, NO_SPAN
            self._run.note_trace()
            span.__exit__(kind, error, at)
            self._run.end(self._status if error is None or self._status == RETRIED else status_of(error), error)
        if error is not None:
            remember_scope(error)
        if self._scope is not None:
            scope, self._scope = self._scope, None
            close_scope(scope)

    def _facts(self) -> Facts | None:
        from trackside.sdk.job_reports.attempt import Facts  # noqa: PLC0415 - not where nobody is reported to

        id, attempt, source = self._which
        if not id:
            if current_spending() is not None:
                # A part of the job around, which is reported with what this part costs.
                return None
            from uuid import uuid4  # noqa: PLC0415 - as above

            return Facts(uuid4().hex, self._name, self._queue, attempt=1)
        return Facts(id, self._name, self._queue, source=source, attempt=attempt)

    async def __aenter__(self) -> Job:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, at)

    def __call__(self, function: FunctionT) -> FunctionT:
        metrics, name, queue, which = self._all, self._name, self._queue, self._which

        return around(function, lambda: Job(metrics, name, queue, which))


def status_of(error: BaseException) -> str:
    """How a job ended that raised `error`."""
    return FAILED if isinstance(error, Exception) and not _is_cancellation(error) else CANCELLED


def _is_cancellation(error: Exception) -> bool:
    """`concurrent.futures.CancelledError` is an ordinary exception."""
    futures = sys.modules.get("concurrent.futures")
    return futures is not None and isinstance(error, futures.CancelledError)
