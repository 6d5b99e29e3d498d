"""`absent` and `absent_over_time`: a series that exists where nothing else does."""

from __future__ import annotations

import numpy as np

from trackside.model.labels import METRIC_NAME, Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.kernels import reductions
from trackside.server.promql.context import Context
from trackside.server.promql.functions.signature import Function
from trackside.server.promql.select import over_windows, unwrapped
from trackside.server.promql.syntax import Call, Expr, MatrixSelector, VectorSelector
from trackside.server.promql.vector import Value, Vector
from trackside.server.series import Bools


def _absent(call: Call, context: Context) -> Value:
    return _where_nothing_is(context.vector(call.args[0]), call.args[0])


def _absent_over_time(call: Call, context: Context) -> Value:
    return _where_nothing_is(over_windows(call.args[0], context, reductions.one), call.args[0])


def _where_nothing_is(vector: Vector, expr: Expr) -> Vector:
    absent: Bools = ~np.any(vector.present, axis=1, keepdims=True)
    return Vector((_labels_of(expr),), np.ones(absent.shape), absent, one_name=True)


def _labels_of(expr: Expr) -> Labels:
    """What the selector says for certain about the series it does not find."""
    expr = unwrapped(expr)
    if isinstance(expr, MatrixSelector):
        expr = expr.selector
    if not isinstance(expr, VectorSelector):
        return Labels()
    by_name: dict[str, list[Matcher]] = {}
    for matcher in expr.matchers:
        by_name.setdefault(matcher.name, []).append(matcher)
    return Labels.of(
        (name, only[0].value)
        for name, only in by_name.items()
        if name != METRIC_NAME and len(only) == 1 and only[0].op is MatchOp.EQUAL
    )


FUNCTIONS: dict[str, Function] = {"absent": _absent, "absent_over_time": _absent_over_time}
