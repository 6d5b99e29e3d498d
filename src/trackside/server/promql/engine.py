"""PromQL on numpy columns: all steps of all series of a query at once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from trackside.exceptions import QueryError
from trackside.model.labels import Labels
from trackside.server.promql.annotations import Annotations
from trackside.server.promql.context import Context, Query
from trackside.server.promql.evaluate import evaluate
from trackside.server.promql.limits import Cancellation, QueryLimits
from trackside.server.promql.parser import parse
from trackside.server.promql.select import raw_series, unwrapped
from trackside.server.promql.syntax import Expr, MatrixSelector, StringLiteral, Subquery
from trackside.server.promql.vector import Numbers, Vector
from trackside.server.series import Int64s, Matrix, QueryResult, Scalar, Series, Text
from trackside.server.storage import Querier

# Dashboards and rules ask the same few hundred expressions again and again.
PARSED_QUERIES = 1024
DEFAULT_LOOKBACK_MS = 300_000
DEFAULT_SUBQUERY_STEP_MS = 60_000


class Engine:
    """Called from any thread; holds nothing but its configuration and parsed expressions."""

    def __init__(
        self,
        querier: Querier,
        limits: QueryLimits | None = None,
        lookback_ms: int = DEFAULT_LOOKBACK_MS,
        subquery_step_ms: int = DEFAULT_SUBQUERY_STEP_MS,
        *,
        left_closed: bool = False,
    ) -> None:
        """`left_closed`: with the sample at the very beginning of each window, as Prometheus 2 had it."""
        self._querier = querier
        self.limits = limits or QueryLimits()
        self._lookback_ms = lookback_ms + left_closed
        self._left_closed = left_closed
        self._subquery_step_ms = subquery_step_ms
        self._parse = lru_cache(maxsize=PARSED_QUERIES)(parse)

    def parsed(self, query: str) -> Expr:
        """
        Raises:
            QueryError: `query` is no valid expression.
        """
        return self._parse(query)

    def instant(self, query: str, time_ms: int, cancel: Cancellation | None = None) -> QueryResult:
        """
        Raises:
            QueryError: the expression is wrong; a `QueryLimitError` or `QueryTimeoutError` if it asks too much.
        """
        expr = self.parsed(query)
        state = self._state(query, (time_ms, time_ms, 0), is_range=False, cancel=cancel)
        context = Context(state, np.array([time_ms], dtype=np.int64))
        with np.errstate(all="ignore"):
            value = _instant_value(expr, context)
        return _result(value, state)

    def range(
        self, query: str, start_ms: int, end_ms: int, step_ms: int, cancel: Cancellation | None = None
    ) -> QueryResult:
        """Values at start, start + step, … up to and including end.

        Raises:
            QueryError: as for `instant`.
        """
        if step_ms <= 0:
            raise QueryError("zero or negative query resolution step widths are not accepted. Try a positive integer")
        if end_ms < start_ms:
            raise QueryError("end timestamp must not be before start time")
        self.limits.check_steps((end_ms - start_ms) // step_ms + 1)
        expr = self.parsed(query)
        _check_range_type(expr)
        state = self._state(query, (start_ms, end_ms, step_ms), is_range=True, cancel=cancel)
        context = Context(state, np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64))
        with np.errstate(all="ignore"):
            value = context.evaluate(expr)
        if isinstance(value, str):
            raise QueryError(_wrong_type("string"))
        return _result(_matrix(value, context.steps_ms, in_order=True), state)

    def _state(self, query: str, times: tuple[int, int, int], is_range: bool, cancel: Cancellation | None) -> Query:
        start_ms, end_ms, step_ms = times
        return Query(
            querier=self._querier,
            evaluate=evaluate,
            limits=self.limits,
            cancel=cancel or Cancellation(self.limits.timeout_ms),
            annotations=Annotations(query),
            lookback_ms=self._lookback_ms,
            subquery_step_ms=self._subquery_step_ms,
            start_ms=start_ms,
            end_ms=end_ms,
            step_ms=step_ms,
            is_range=is_range,
            left_closed=self._left_closed,
        )


def _check_range_type(expr: Expr) -> None:
    inner = unwrapped(expr)
    if isinstance(inner, MatrixSelector | Subquery):
        raise QueryError(_wrong_type("range vector"))
    if isinstance(inner, StringLiteral):
        raise QueryError(_wrong_type("string"))


def _wrong_type(kind: str) -> str:
    return f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector'


def _instant_value(expr: Expr, context: Context) -> Matrix | Scalar | Text | tuple[Series, ...]:
    time_ms = int(context.steps_ms[0])
    if isinstance(unwrapped(expr), MatrixSelector | Subquery):
        return raw_series(expr, context)
    value = context.evaluate(expr)
    if isinstance(value, str):
        return Text(time_ms, value)
    if isinstance(value, Numbers):
        return Scalar(time_ms, float(value.values[0]))
    return _matrix(value.columns(value.present[0]), context.steps_ms)


def _matrix(value: Numbers | Vector, steps_ms: Int64s, in_order: bool = False) -> Matrix:
    """`in_order`: by labels, without the series that are nowhere present."""
    if isinstance(value, Numbers):
        values = value.values[None, :]
        return Matrix((Labels(),), steps_ms, values, np.ones(values.shape, dtype=bool))
    labels = value.labels
    order = list(range(len(labels)))
    if in_order:
        order = sorted(np.flatnonzero(value.present.any(axis=0)).tolist(), key=lambda column: labels[column].pairs)
    return Matrix(
        labels=tuple(labels[column] for column in order),
        steps_ms=steps_ms,
        values=np.ascontiguousarray(value.values.T[order]),
        present=np.ascontiguousarray(value.present.T[order]),
    )


def _result(value: Matrix | Scalar | Text | tuple[Series, ...], state: Query) -> QueryResult:
    return QueryResult(
        value=value,
        is_range=state.is_range,
        warnings=state.annotations.warnings,
        infos=state.annotations.infos,
        samples_read=state.samples_read,
    )
