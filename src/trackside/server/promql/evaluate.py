"""From a syntax tree to its value at all steps."""

from __future__ import annotations

import numpy as np

from trackside.exceptions import QueryError
from trackside.server.promql import aggregate, binary
from trackside.server.promql.context import Context
from trackside.server.promql.functions.table import FUNCTIONS
from trackside.server.promql.invariance import is_constant
from trackside.server.promql.select import instant
from trackside.server.promql.syntax import (
    Aggregate,
    Binary,
    Call,
    Expr,
    MatrixSelector,
    NumberLiteral,
    Paren,
    StringLiteral,
    Subquery,
    Unary,
    VectorSelector,
)
from trackside.server.promql.vector import Numbers, Value


def evaluate(expr: Expr, context: Context) -> Value:
    """
    Raises:
        QueryError: the expression has no value: two results with the same labels, a parameter that makes no sense.
    """
    context.query.cancel.check()
    if context.steps > 1 and not isinstance(expr, NumberLiteral | StringLiteral) and is_constant(expr):
        return _repeated(_evaluated(expr, Context(context.query, context.steps_ms[:1])), context)
    return _evaluated(expr, context)


def _evaluated(expr: Expr, context: Context) -> Value:
    match expr:
        case NumberLiteral():
            return context.constant(expr.value)
        case StringLiteral():
            return expr.value
        case Paren():
            return evaluate(expr.expr, context)
        case VectorSelector():
            return instant(expr, context)
        case Unary():
            return _signed(expr, context)
        case Binary():
            return binary.evaluate(expr, context)
        case Aggregate():
            return aggregate.evaluate(expr, context)
        case Call():
            return _called(expr, context)
        case MatrixSelector() | Subquery():
            raise AssertionError("the checker lets a range only where a function takes one")


def _signed(expr: Unary, context: Context) -> Value:
    value = context.evaluate(expr.expr)
    if expr.op == "+" or isinstance(value, str):
        return value
    if isinstance(value, Numbers):
        return Numbers(-value.values)
    return value.with_values(-value.values).without_name()


def _called(call: Call, context: Context) -> Value:
    function = FUNCTIONS.get(call.function)
    if function is None:
        raise QueryError(f"{call.function}() is not supported")
    return function(call, context)


def _repeated(value: Value, context: Context) -> Value:
    """The value of one step at all of them."""
    if isinstance(value, str):
        return value
    if isinstance(value, Numbers):
        return Numbers(np.repeat(value.values, context.steps))
    shape = (context.steps, len(value))
    context.query.holds(context.steps * len(value))
    return value.with_values(np.broadcast_to(value.values, shape), np.broadcast_to(value.present, shape))
