"""`monitor.span`: a part of a trace in the application's own words, and nothing at all where nothing traces."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from trackside.sdk.logs.fields import CURRENT


class Span:
    """`with monitor.span("price the cart", items=3) as span:`; `span.set(total=12.5)` says more within it."""

    __slots__ = ("_attributes", "_kind", "_manager", "_name", "_span")

    def __init__(self, name: str, attributes: dict[str, object], kind: str = "INTERNAL") -> None:
        self._name = name
        self._attributes = attributes
        self._kind = kind
        self._manager: Any = None
        self._span: Any = None

    def set(self, **attributes: object) -> None:
        if self._span is not None:
            for name, value in attributes.items():
                self._span.set_attribute(name, as_attribute(value))

    def fail(self, why: str) -> None:
        """An error that raised nothing."""
        if self._span is not None:
            from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - loaded, if there is a span

            self._span.set_status(Status(StatusCode.ERROR, why))

    def __enter__(self) -> Span:
        try:
            self._begin()
        except Exception:  # noqa: BLE001 - a sampler or a processor of the application: its work goes on without a span
            self._manager = self._span = None
        return self

    def _begin(self) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - loaded by what set traces up

        tracer = trace.get_tracer("trackside")
        given = {name: as_attribute(value) for name, value in self._attributes.items()}
        manager = tracer.start_as_current_span(self._name, kind=trace.SpanKind[self._kind], attributes=given)
        self._span = manager.__enter__()
        self._manager = manager

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._manager is None:
            return
        try:
            if error is not None:
                remember_trace(self._span)
            self._manager.__exit__(kind, error, traceback)
        except Exception:  # noqa: BLE001 - as at the beginning; the error of the block is raised all the same
            self._manager = None


class NoSpan:
    """Where nothing traces."""

    __slots__ = ()

    def set(self, **attributes: object) -> None:
        return None

    def fail(self, why: str) -> None:
        return None

    def __enter__(self) -> NoSpan:
        return self

    def __exit__(self, *error: object) -> None:
        return None


NO_SPAN = NoSpan()


def span(name: str, attributes: dict[str, object], kind: str = "INTERNAL") -> Span | NoSpan:
    """For adapters too: a span where something traces (`monitor.traces()`, or what the application has set up)."""
    return Span(name, attributes, kind) if "opentelemetry.sdk.trace" in sys.modules else NO_SPAN


def as_attribute(value: object) -> Any:
    """OpenTelemetry takes texts, numbers and lists of them, and complains in the log about anything else."""
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple) and len({type(item) for item in value}) == 1 and isinstance(value[0], str):
        return list(value)
    return str(value)


def remember_trace(span: Any) -> None:
    """For the line that somebody further out writes about the error that leaves this span."""
    scope = CURRENT.get()
    if scope is not None and scope.trace is None:
        context = span.get_span_context()
        scope.trace = (f"{context.trace_id:032x}", f"{context.span_id:016x}")
