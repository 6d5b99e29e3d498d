"""Syntax tree as the JSON that editors and query builders read from Prometheus' `parse_query`."""

from __future__ import annotations

import numpy as np

from trackside.model.matchers import Matcher
from trackside.server.promql.signatures import SIGNATURES
from trackside.server.promql.syntax import (
    Aggregate,
    At,
    AtEdge,
    Binary,
    Call,
    Expr,
    MatrixSelector,
    NumberLiteral,
    Paren,
    StringLiteral,
    Subquery,
    Unary,
    ValueType,
    VectorMatching,
    VectorSelector,
)

Json = dict[str, object]

_TYPES = {
    ValueType.SCALAR: "scalar",
    ValueType.STRING: "string",
    ValueType.VECTOR: "vector",
    ValueType.MATRIX: "matrix",
}


def tree_of(expr: Expr) -> Json:
    match expr:
        case NumberLiteral():
            return {"type": "numberLiteral", "val": _number(expr.value)}
        case StringLiteral():
            return {"type": "stringLiteral", "val": expr.value}
        case VectorSelector():
            return {"type": "vectorSelector", **_selector(expr)}
        case MatrixSelector():
            return {"type": "matrixSelector", **_selector(expr.selector), "range": expr.range_ms}
        case Paren():
            return {"type": "parenExpr", "expr": tree_of(expr.expr)}
        case Unary():
            return {"type": "unaryExpr", "op": expr.op, "expr": tree_of(expr.expr)}
        case _:
            return _compound(expr)


def _compound(expr: Subquery | Call | Aggregate | Binary) -> Json:
    match expr:
        case Subquery():
            window = {"range": expr.range_ms, "step": expr.step_ms or 0, "offset": expr.offset_ms}
            return {"type": "subquery", "expr": tree_of(expr.expr), **window, **_at(expr.at)}
        case Call():
            return {"type": "call", "func": _function(expr.function), "args": [tree_of(arg) for arg in expr.args]}
        case Aggregate():
            return {
                "type": "aggregation",
                "op": expr.op,
                "expr": tree_of(expr.expr),
                "param": None if expr.param is None else tree_of(expr.param),
                "grouping": list(expr.grouping),
                "without": expr.without,
            }
        case Binary():
            return {
                "type": "binaryExpr",
                "op": expr.op,
                "lhs": tree_of(expr.left),
                "rhs": tree_of(expr.right),
                "matching": None if expr.matching is None else _matching(expr.matching),
                "bool": expr.returns_bool,
            }


def _selector(selector: VectorSelector) -> Json:
    return {
        "name": selector.name or "",
        "offset": selector.offset_ms,
        "matchers": [_matcher(matcher) for matcher in selector.matchers],
        **_at(selector.at),
    }


def _matcher(matcher: Matcher) -> Json:
    return {"name": matcher.name, "type": matcher.op.value, "value": matcher.value}


def _at(at: At | None) -> Json:
    if isinstance(at, AtEdge):
        return {"timestamp": None, "startOrEnd": at.value}
    return {"timestamp": at, "startOrEnd": None}


def _matching(matching: VectorMatching) -> Json:
    return {
        "card": matching.card.value,
        "labels": list(matching.labels),
        "on": matching.on,
        "include": list(matching.include),
    }


def _function(name: str) -> Json:
    signature = SIGNATURES[name]
    return {
        "name": name,
        "argTypes": [_TYPES[arg] for arg in signature.args],
        # How many arguments may follow the required ones; -1: any number.
        "variadic": -1 if signature.variadic else signature.optional,
        "returnType": _TYPES[signature.returns],
    }


def _number(value: float) -> str:
    text = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}.get(repr(value))
    return text if text is not None else np.format_float_positional(value, trim="-")
