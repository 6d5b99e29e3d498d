"""What an expression is evaluated against: the query it belongs to, and the steps asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from trackside.server.promql.annotations import Annotations
from trackside.server.promql.limits import Cancellation, QueryLimits
from trackside.server.promql.syntax import At, AtEdge, Expr
from trackside.server.promql.vector import Numbers, Value, Vector
from trackside.server.series import Float64s, Frame, Int64s
from trackside.server.storage import Querier


@dataclass(slots=True, eq=False)
class Query:
    """One query from beginning to end, with what it has cost so far."""

    querier: Querier
    evaluate: Callable[[Expr, Context], Value]
    limits: QueryLimits
    cancel: Cancellation
    annotations: Annotations
    lookback_ms: int
    subquery_step_ms: int
    """Of a subquery that names none."""
    start_ms: int
    end_ms: int
    step_ms: int
    """0 for an instant query."""
    is_range: bool
    left_closed: bool = False
    """Whether the sample at the very beginning of a window is in it, as in Prometheus 2."""
    samples_read: int = field(default=0)
    _held: int = field(default=0)
    _series: int = field(default=0)

    def reads(self, frame: Frame) -> None:
        """Account for a frame, before anything is computed from it."""
        self.cancel.check()
        self.samples_read += frame.values.size
        self._series += len(frame.labels)
        self.limits.check_series(self._series)
        self.limits.check_samples(self._held + frame.values.size)

    def holds(self, values: int) -> None:
        """Account for an intermediate result."""
        self._held += values
        self.limits.check_samples(self._held)

    def time_of(self, at: At | None) -> int | None:
        if at is AtEdge.START:
            return self.start_ms
        if at is AtEdge.END:
            return self.end_ms
        return at


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    query: Query
    steps_ms: Int64s
    """Shape (t,), increasing."""

    @property
    def steps(self) -> int:
        return len(self.steps_ms)

    def evaluate(self, expr: Expr) -> Value:
        return self.query.evaluate(expr, self)

    def vector(self, expr: Expr) -> Vector:
        value = self.evaluate(expr)
        assert isinstance(value, Vector), f"the checker let {type(value).__name__} pass for an instant vector"
        return value

    def numbers(self, expr: Expr) -> Float64s:
        """Shape (t,)."""
        value = self.evaluate(expr)
        assert isinstance(value, Numbers), f"the checker let {type(value).__name__} pass for a scalar"
        return value.values

    def text(self, expr: Expr) -> str:
        value = self.evaluate(expr)
        assert isinstance(value, str), f"the checker let {type(value).__name__} pass for a string"
        return value

    def constant(self, value: float) -> Numbers:
        return Numbers(np.full(self.steps, value))

    def references(self, at: At | None, offset_ms: int) -> Int64s:
        """The time each step looks at through `@` and `offset`; shape (t,)."""
        fixed = self.query.time_of(at)
        if fixed is None:
            return self.steps_ms - offset_ms
        return np.full(self.steps, fixed - offset_ms, dtype=np.int64)
