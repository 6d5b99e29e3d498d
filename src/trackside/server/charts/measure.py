"""What the expression of an alert measures, and the limit that it compares with."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trackside.exceptions import QueryError
from trackside.server.promql.format import format as formatted
from trackside.server.promql.parser import parse
from trackside.server.promql.signatures import COMPARISONS
from trackside.server.promql.syntax import Binary, Expr, NumberLiteral, Paren, Unary

_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


@dataclass(frozen=True, slots=True)
class Measure:
    expr: str
    """ "" for what is no expression."""
    limit: float | None = None
    """None: it is compared with nothing, or with what changes."""


NOTHING = Measure("")


def measure(expr: str) -> Measure:
    """Of `rate(x[5m]) > 5`: the rate, and 5."""
    try:
        tree = parse(expr)
    except QueryError:
        return NOTHING
    side, limit = _sides(tree)
    return Measure(formatted(side), limit)


def _sides(tree: Expr) -> tuple[Expr, float | None]:
    match tree:
        case Paren(expr=inner):
            return _sides(inner)
        case Binary(op="and" | "unless", left=left):
            return _sides(left)
        case Binary(op=op, left=left, right=right) if op in COMPARISONS:
            turned = _constant(left)
            return (left, _constant(right)) if turned is None else (right, turned)
    return tree, None


def _constant(tree: Expr) -> float | None:
    """Also of what people write for it: `-1`, `10 * 60`, `(100e6)`."""
    found: float | None = None
    match tree:
        case NumberLiteral(value=value):
            found = value
        case Paren(expr=inner):
            found = _constant(inner)
        case Unary(op=op, expr=inner):
            turned = _constant(inner)
            found = -turned if turned is not None and op == "-" else turned
        case Binary(op=op, left=left, right=right) if op in _ARITHMETIC:
            found = _calculated(op, _constant(left), _constant(right))
    return found if found is not None and math.isfinite(found) else None


def _calculated(op: str, left: float | None, right: float | None) -> float | None:
    if left is None or right is None:
        return None
    try:
        return _ARITHMETIC[op](left, right)
    except (ZeroDivisionError, OverflowError):
        return None
