"""Syntax tree to text: one line as Prometheus prints it, or broken into lines for people."""

from __future__ import annotations

import math
import re

import numpy as np

from trackside.model.durations import format_duration
from trackside.model.labels import METRIC_NAME
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.promql.quoting import quoted
from trackside.server.promql.syntax import (
    Aggregate,
    At,
    AtEdge,
    Binary,
    Call,
    Card,
    Expr,
    MatrixSelector,
    NumberLiteral,
    Paren,
    StringLiteral,
    Subquery,
    Unary,
    VectorMatching,
    VectorSelector,
)

MAX_LINE_CHARS = 100
"""A longer expression is broken into lines by `pretty`."""

_LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_METRIC_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
# Words that the grammar takes for something else where a metric name could stand.
_RESERVED = frozenset(("bool", "on", "ignoring", "group_left", "group_right", "atan2", "inf", "nan"))


def format(expr: Expr) -> str:
    """One line. Parsing it gives `expr` again, apart from the spans."""
    match expr:
        case Subquery():
            return format(expr.expr) + _subquery_window(expr)
        case Call():
            return f"{expr.function}({', '.join(map(format, expr.args))})"
        case Aggregate():
            param = "" if expr.param is None else f"{format(expr.param)}, "
            return f"{_aggregation(expr)}({param}{format(expr.expr)})"
        case Binary():
            return f"{format(expr.left)} {_operator(expr)} {format(expr.right)}"
        case Unary():
            return f"{expr.op}{format(expr.expr)}"
        case Paren():
            return f"({format(expr.expr)})"
        case _:
            return _leaf(expr)


def _leaf(expr: NumberLiteral | StringLiteral | VectorSelector | MatrixSelector) -> str:
    match expr:
        case NumberLiteral():
            return _number(expr)
        case StringLiteral():
            return quoted(expr.value)
        case VectorSelector():
            return _selector(expr) + _modifiers(expr.at, expr.offset_ms)
        case MatrixSelector():
            inner = expr.selector
            return f"{_selector(inner)}[{format_duration(expr.range_ms)}]" + _modifiers(inner.at, inner.offset_ms)


def pretty(expr: Expr, level: int = 0) -> str:
    """Lines: what is longer than `MAX_LINE_CHARS` is broken up, two spaces deeper at each level."""
    indent = "  " * level
    line = format(expr)
    if len(line) <= MAX_LINE_CHARS:
        return indent + line
    match expr:
        case Binary():
            left, right = pretty(expr.left, level + 1), pretty(expr.right, level + 1)
            return f"{left}\n{indent}{_operator(expr)}\n{right}"
        case Call():
            args = ",\n".join(pretty(arg, level + 1) for arg in expr.args)
            return f"{indent}{expr.function}(\n{args}\n{indent})"
        case Aggregate():
            parts = [expr.expr] if expr.param is None else [expr.param, expr.expr]
            args = ",\n".join(pretty(part, level + 1) for part in parts)
            return f"{indent}{_aggregation(expr)}(\n{args}\n{indent})"
        case Paren():
            return f"{indent}(\n{pretty(expr.expr, level + 1)}\n{indent})"
        case Subquery():
            return pretty(expr.expr, level) + _subquery_window(expr)
        case Unary():
            return f"{indent}{expr.op}{pretty(expr.expr, level).lstrip()}"
        case _:
            return indent + line


def _number(literal: NumberLiteral) -> str:
    value = literal.value
    if literal.is_duration and (milliseconds := round(value * 1_000)) / 1_000 == value:
        return format_duration(milliseconds)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return np.format_float_positional(value, trim="-")


def _selector(selector: VectorSelector) -> str:
    name = selector.name
    others = sorted(_matcher(matcher) for matcher in selector.matchers if not _names(matcher, name))
    if name is None:
        return "{" + ",".join(others) + "}"
    if not _METRIC_NAME.fullmatch(name) or name.lower() in _RESERVED:
        return "{" + ",".join([quoted(name), *others]) + "}"
    return name + ("{" + ",".join(others) + "}" if others else "")


def _names(matcher: Matcher, name: str | None) -> bool:
    """Whether the matcher says no more than the name that is written before the braces."""
    return matcher.name == METRIC_NAME and matcher.op is MatchOp.EQUAL and matcher.value == name


def _matcher(matcher: Matcher) -> str:
    return f"{_label(matcher.name)}{matcher.op.value}{quoted(matcher.value)}"


def _label(name: str) -> str:
    return name if _LABEL_NAME.fullmatch(name) else quoted(name)


def _labels(names: tuple[str, ...]) -> str:
    return "(" + ", ".join(map(_label, names)) + ")"


def _modifiers(at: At | None, offset_ms: int) -> str:
    if isinstance(at, AtEdge):
        text = f" @ {at.value}()"
    else:
        text = "" if at is None else f" @ {_seconds(at)}"
    return text + (f" offset {format_duration(offset_ms)}" if offset_ms else "")


def _seconds(milliseconds: int) -> str:
    sign = "-" if milliseconds < 0 else ""
    whole, rest = divmod(abs(milliseconds), 1_000)
    return f"{sign}{whole}.{rest:03}"


def _subquery_window(expr: Subquery) -> str:
    step = "" if expr.step_ms is None else format_duration(expr.step_ms)
    return f"[{format_duration(expr.range_ms)}:{step}]" + _modifiers(expr.at, expr.offset_ms)


def _aggregation(expr: Aggregate) -> str:
    if expr.without:
        return f"{expr.op} without {_labels(expr.grouping)} "
    return f"{expr.op} by {_labels(expr.grouping)} " if expr.grouping else expr.op


def _operator(expr: Binary) -> str:
    return expr.op + (" bool" if expr.returns_bool else "") + _matching(expr.matching)


def _matching(matching: VectorMatching | None) -> str:
    if matching is None:
        return ""
    sides = {Card.MANY_TO_ONE: " group_left ", Card.ONE_TO_MANY: " group_right "}
    grouped = sides.get(matching.card, "")
    if not (matching.labels or matching.on or grouped):
        return ""
    text = f" {'on' if matching.on else 'ignoring'} {_labels(matching.labels)}"
    return text + (grouped + _labels(matching.include) if grouped else "")
