"""Calls of other services: how many, how long, and what went wrong, by blocks of code and by watched HTTP clients."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import wraps
from threading import RLock
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar

from trackside.instruments.counter import CounterChild
from trackside.instruments.histogram import HistogramChild
from trackside.instruments.measured import OVERFLOW
from trackside.model.cheap_typing import NamedTuple
from trackside.sdk.families.maker import Maker
from trackside.sdk.integration_errors import error_kind
from trackside.sdk.integration_names import IntegrationNames
from trackside.sdk.traces.finished import finished
from trackside.sdk.watch.bounded import Bounded
from trackside.sdk.watch.context import WatchContext

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds: other people's services are slower than one's own."""
MAX_OPERATIONS = 200
MAX_ERRORS = 50
MAX_CELLS = 1_000
"""Pairs of integration and operation."""

SUCCESS, ERROR, CANCELLED = "success", "error", "cancelled"

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_inside: ContextVar[str] = ContextVar("trackside_integration", default="")
"""The integration whose block runs now: what a watched client calls within it is the same call."""


class Cell(NamedTuple):
    """Where the calls of one integration and operation are counted."""

    integration: str
    operation: str
    succeeded: CounterChild
    failed: CounterChild
    seconds: HistogramChild


class Integrations:
    """One for a monitor. The methods that count never raise."""

    def __init__(self, context: WatchContext) -> None:
        make = Maker.of(context)
        self.guard = context.guard
        self.names = IntegrationNames()
        by_call = ("integration", "operation")
        self._calls = make.counter(
            "integration_calls_total", "Calls of other services, by how they ended.", (*by_call, "outcome")
        )
        self._seconds = make.histogram(
            "integration_call_duration_seconds", "Time a call took, failed ones too.", by_call, buckets=BUCKETS
        )
        self._errors = make.counter(
            "integration_errors_total", "Calls of other services that failed, by reason.", (*by_call, "error")
        )
        self._operations = Bounded(MAX_OPERATIONS)
        self._kinds = Bounded(MAX_ERRORS)
        self._cells: dict[tuple[str, str], Cell] = {}
        self._lock = RLock()

    @classmethod
    def of(cls, context: WatchContext) -> Integrations:
        return context.shared.the(cls, lambda: cls(context))

    def call(self, name: str, operation: str = "") -> Call:
        return Call(self, name, operation)

    def cell(self, name: str, operation: str) -> Cell:
        cell = self._cells.get((name, operation))
        return cell if cell is not None else self._new_cell(name, operation)

    def is_inside(self, name: str) -> bool:
        """Whether a block of this integration runs here, which counts the call itself."""
        return _inside.get() == name

    def succeeded(self, cell: Cell, took_s: float) -> None:
        cell.seconds.observe(took_s)
        cell.succeeded.inc()

    def failed(self, cell: Cell, kind: str, took_s: float) -> None:
        cell.seconds.observe(took_s)
        cell.failed.inc()
        self._errors.labels(cell.integration, cell.operation, self._kinds.of(kind)).inc()

    def raised(self, cell: Cell, error: BaseException, took_s: float) -> None:
        """A call that was cancelled is no error of the other service."""
        if isinstance(error, Exception):
            self.failed(cell, error_kind(error), took_s)
        else:
            cell.seconds.observe(took_s)
            self._calls.labels(cell.integration, cell.operation, CANCELLED).inc()

    def _new_cell(self, name: str, operation: str) -> Cell:
        integration, bounded = self.names.bounded(name), self._operations.of(str(operation))
        with self._lock:
            if len(self._cells) >= MAX_CELLS and (integration, bounded) not in self._cells:
                integration = bounded = OVERFLOW
            found = self._cells.get((integration, bounded))
            if found is None:
                # Both outcomes from the start, so that the first error is an increase.
                found = self._cells[integration, bounded] = Cell(
                    integration,
                    bounded,
                    self._calls.labels(integration, bounded, SUCCESS),
                    self._calls.labels(integration, bounded, ERROR),
                    self._seconds.labels(integration, bounded),
                )
            return found


class Call:
    """One call, as a `with` or `async with` block; or, as a decorator, every call of a function."""

    __slots__ = ("_all", "_began", "_kind", "_name", "_operation", "_token")

    def __init__(self, integrations: Integrations, name: str, operation: str) -> None:
        self._all = integrations
        self._name = name
        self._operation = operation
        self._kind = ""
        self._began = 0.0
        self._token: Token[str] | None = None

    def failed(self, error: str = "failed") -> None:
        """The call did not work, though it raises nothing: an answer that says "error". `error` is a label."""
        self._kind = error

    def __enter__(self) -> Call:
        self._kind = ""
        self._token = _inside.set(self._name)
        self._began = perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        took_s = perf_counter() - self._began
        try:
            if self._token is not None:
                _inside.reset(self._token)
        except ValueError:
            # A generator that was begun in another context.
            pass
        try:
            cell = self._all.cell(self._name, self._operation)
            failure = type(error).__name__ if error is not None else self._kind
            finished("call", f"{self._name} {self._operation}".rstrip(), took_s, {"peer.service": self._name}, failure)
            if error is not None:
                self._all.raised(cell, error, took_s)
            elif self._kind:
                self._all.failed(cell, self._kind, took_s)
            else:
                self._all.succeeded(cell, took_s)
        except Exception as ours:  # noqa: BLE001 - the host must not notice us
            self._all.guard.failed("measure an integration", ours)

    async def __aenter__(self) -> Call:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, at)

    def __call__(self, function: FunctionT) -> FunctionT:
        integrations, name, operation = self._all, self._name, self._operation

        @wraps(function)
        def measured(*args: Any, **named: Any) -> Any:
            with Call(integrations, name, operation):
                return function(*args, **named)

        @wraps(function)
        async def measured_async(*args: Any, **named: Any) -> Any:
            with Call(integrations, name, operation):
                return await function(*args, **named)

        from inspect import iscoroutinefunction  # noqa: PLC0415 - a tenth of our whole import

        return measured_async if iscoroutinefunction(function) else measured  # type: ignore[return-value]
