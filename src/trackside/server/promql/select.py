"""Reading samples: instant selectors, and the windows of range selectors and subqueries."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from trackside.model.labels import METRIC_NAME
from trackside.model.matchers import MatchOp
from trackside.server.kernels.lookback import Latest, latest
from trackside.server.kernels.windows import Bounds, Windows, batches
from trackside.server.promql.bounds import any_spelling
from trackside.server.promql.context import Context
from trackside.server.promql.syntax import Expr, MatrixSelector, Paren, Subquery, VectorSelector
from trackside.server.promql.vector import Vector, joined
from trackside.server.series import HOLE, Bools, Float64s, Frame, Int64s, Series, is_marker

Kernel = Callable[[Windows], Float64s]
RangeExpr = MatrixSelector | Subquery


def unwrapped(expr: Expr) -> Expr:
    """`expr` without parentheses around it."""
    while isinstance(expr, Paren):
        expr = expr.expr
    return expr


def range_expression(expr: Expr) -> RangeExpr:
    expr = unwrapped(expr)
    assert isinstance(expr, MatrixSelector | Subquery), f"the checker let {type(expr).__name__} pass for a range"
    return expr


def instant(selector: VectorSelector, context: Context) -> Vector:
    """The newest sample of each series at each step."""
    return _instant(selector, context, lambda found: found.values)


def timestamps(selector: VectorSelector, context: Context) -> Vector:
    """When that sample was taken, in seconds."""
    return _instant(selector, context, lambda found: found.times_ms / 1000.0)


def _instant(selector: VectorSelector, context: Context, value: Callable[[Latest], Float64s]) -> Vector:
    query = context.query
    at_ms = context.references(selector.at, selector.offset_ms)
    parts = []
    for frame in _frames(selector, context, int(at_ms[0]) - query.lookback_ms, int(at_ms[-1])):
        found = latest(frame, at_ms, query.lookback_ms)
        query.holds(found.values.size)
        parts.append(Vector(frame.labels, value(found), found.present).pruned())
    return _selected(parts, selector, context)


def over_windows(expr: Expr, context: Context, kernel: Kernel, least: int = 1) -> Vector:
    """`kernel` of all windows of a range selector or subquery that have at least `least` samples.

    Names are kept. The kernel gives an array of shape (t, columns at hand).
    """
    expr = range_expression(expr)
    bounds = _bounds(expr, context)
    parts = []
    for frame in _range_frames(expr, context, bounds):
        shape = (context.steps, len(frame.labels))
        context.query.holds(shape[0] * shape[1])
        values = np.empty(shape)
        present = None if not frame.has_markers else np.empty(shape, dtype=bool)
        for columns, windows in batches(frame.times_ms, frame.values, frame.has_markers, bounds):
            context.query.cancel.check()
            values[:, columns] = kernel(windows)
            if present is not None:
                present[:, columns] = windows.present(least)
        there: Bools = windows.present(least) if present is None else present
        parts.append(Vector(frame.labels, values, np.broadcast_to(there[:, :1], shape) if present is None else there))
    return _selected([part.pruned() for part in parts], expr, context)


def _bounds(expr: RangeExpr, context: Context) -> Bounds:
    outer = expr.selector if isinstance(expr, MatrixSelector) else expr
    return Bounds(context.references(outer.at, outer.offset_ms), expr.range_ms, context.query.left_closed)


def _range_frames(expr: RangeExpr, context: Context, bounds: Bounds) -> Iterator[Frame]:
    if isinstance(expr, MatrixSelector):
        return _frames(expr.selector, context, int(bounds.after_ms[0]), int(bounds.ends_ms[-1]))
    return _subquery_frames(expr, context, bounds)


def _frames(selector: VectorSelector, context: Context, after_ms: int, end_ms: int) -> Iterator[Frame]:
    """Frames with samples in the left-open interval from `after_ms` to `end_ms`."""
    for frame in context.query.querier.select(any_spelling(selector.matchers), after_ms + 1, end_ms):
        if len(frame.times_ms) and frame.labels:
            context.query.reads(frame)
            yield frame


def _subquery_frames(expr: Subquery, context: Context, bounds: Bounds) -> Iterator[Frame]:
    """The inner expression at the multiples of the step that some window holds, as if it had been recorded."""
    step_ms = expr.step_ms or context.query.subquery_step_ms
    first = int(bounds.after_ms[0]) // step_ms + 1
    last = int(bounds.ends_ms[-1]) // step_ms
    context.query.limits.check_samples(last - first + 1)
    grid = np.arange(first, last + 1, dtype=np.int64) * step_ms
    grid = grid[_inside(grid, bounds)]
    if not grid.size:
        return
    vector = context.query.evaluate(expr.expr, Context(context.query, grid))
    assert isinstance(vector, Vector), "the checker lets only instant vectors into a subquery"
    if not vector.named:
        return
    whole = bool(vector.present.all())
    values = vector.values if whole else np.where(vector.present, vector.values, HOLE)
    context.query.cancel.check()
    yield Frame(vector.labels, grid, values, has_markers=not whole)


def _inside(times_ms: Int64s, bounds: Bounds) -> Bools:
    """Which times lie in any window."""
    window = np.searchsorted(bounds.ends_ms, times_ms, side="left")
    return times_ms > bounds.after_ms[np.minimum(window, len(bounds.ends_ms) - 1)]


def _selected(parts: list[Vector], expr: VectorSelector | RangeExpr, context: Context) -> Vector:
    vector = joined(parts, context.steps)
    selector = expr.selector if isinstance(expr, MatrixSelector) else expr
    if isinstance(selector, VectorSelector):
        one_name = any(each.name == METRIC_NAME and each.op is MatchOp.EQUAL for each in selector.matchers)
    else:
        one_name = len({labels.get(METRIC_NAME) for labels in vector.named}) <= 1
    return Vector(vector.named, vector.values, vector.present, one_name=one_name)


def raw_series(expr: Expr, context: Context) -> tuple[Series, ...]:
    """All samples of a range selector's one window, sorted by labels."""
    expr = range_expression(expr)
    bounds = _bounds(expr, context)
    found = []
    for frame in _range_frames(expr, context, bounds):
        rows = (frame.times_ms > bounds.after_ms[-1]) & (frame.times_ms <= bounds.ends_ms[-1])
        times_ms, values = frame.times_ms[rows], frame.values[rows]
        valid = ~is_marker(values) if frame.has_markers else np.ones(values.shape, dtype=bool)
        context.query.holds(values.size)
        for column, labels in enumerate(frame.labels):
            keep = valid[:, column]
            if keep.any():
                found.append(Series(labels, times_ms[keep], values[keep, column]))
    return tuple(sorted(found, key=lambda series: series.labels))
