"""Which expressions have the same value at every step, so that one step is enough."""

from __future__ import annotations

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

DATE_PARTS = ("minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year")
# Their value depends on the step even when their argument does not.
TIMED = frozenset({"time", "timestamp", "predict_linear", *DATE_PARTS})


def is_constant(expr: Expr) -> bool:
    match expr:
        case NumberLiteral() | StringLiteral():
            return True
        case VectorSelector() | Subquery():
            return expr.at is not None
        case MatrixSelector():
            return expr.selector.at is not None
        case Call():
            return expr.function not in TIMED and all(map(is_constant, expr.args))
        case Aggregate():
            return is_constant(expr.expr) and (expr.param is None or is_constant(expr.param))
        case Binary():
            return is_constant(expr.left) and is_constant(expr.right)
        case Paren() | Unary():
            return is_constant(expr.expr)
