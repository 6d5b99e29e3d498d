"""Ranges and the modifiers of time: `[5m]`, `offset 1h`, `@ 1609746000`."""

from __future__ import annotations

import math
from dataclasses import replace

from trackside.exceptions import QueryError
from trackside.server.promql.cursor import Cursor
from trackside.server.promql.syntax import At, AtEdge, Expr, MatrixSelector, Span, Subquery, VectorSelector
from trackside.server.promql.tokens import Kind

# A little over 292 years: what nanoseconds in 64 bits hold, as elsewhere in the ecosystem.
MAX_DURATION_MS = 9_223_372_036_854


def duration_ms(cursor: Cursor) -> int:
    """A duration, or a number of seconds; positive."""
    token = cursor.token
    if token.kind not in (Kind.NUMBER, Kind.DURATION):
        cursor.fail("unexpected {}, expected a duration such as 5m")
    value = _duration_ms(cursor, 1)
    if value <= 0:
        cursor.fail_at("duration must be greater than 0", token.span)
    return value


def modified(cursor: Cursor, expr: Expr) -> Expr:
    """`expr` with the `offset` or `@` that stands at the cursor."""
    start = cursor.token.span.start
    is_offset = cursor.take().word == "offset"
    offset_ms = _signed_duration_ms(cursor) if is_offset else 0
    at = None if is_offset else _at(cursor)
    span = Span(start, cursor.end)
    name = "offset" if is_offset else "@"
    target = expr.selector if isinstance(expr, MatrixSelector) else expr
    if not isinstance(target, VectorSelector | Subquery):
        kinds = "an instant vector selector or range vector selector or a subquery"
        cursor.fail_at(f"{name} modifier must be preceded by {kinds}", span)
    if target.offset_ms if is_offset else target.at is not None:
        cursor.fail_at(f"{name} may not be set multiple times", span)
    whole = Span(expr.span.start, cursor.end)
    inner = replace(target, offset_ms=offset_ms) if is_offset else replace(target, at=at)
    if isinstance(expr, MatrixSelector) and isinstance(inner, VectorSelector):
        return replace(expr, selector=inner, span=whole)
    return replace(inner, span=whole)


def _signed_duration_ms(cursor: Cursor) -> int:
    sign = 1
    if cursor.at_symbol("+", "-"):
        sign = -1 if cursor.take().text == "-" else 1
    if cursor.token.kind not in (Kind.NUMBER, Kind.DURATION):
        cursor.fail("unexpected {} in offset, expected number or duration")
    return _duration_ms(cursor, sign)


def _duration_ms(cursor: Cursor, sign: int) -> int:
    token = cursor.take()
    value = token.number if token.kind is Kind.DURATION else token.number * 1_000
    if not math.isfinite(value) or abs(value) > MAX_DURATION_MS:
        cursor.fail_at("duration out of range", token.span)
    return sign * round(value)


def _at(cursor: Cursor) -> At:
    if cursor.at_word("start", "end"):
        edge = AtEdge(cursor.take().word)
        cursor.expect("(", "in @")
        cursor.expect(")", "in @")
        return edge
    sign = 1
    if cursor.at_symbol("+", "-"):
        sign = -1 if cursor.take().text == "-" else 1
    token = cursor.token
    if token.word in ("inf", "nan"):
        cursor.fail_at("timestamp out of bounds for @ modifier", token.span)
    if token.kind not in (Kind.NUMBER, Kind.DURATION):
        cursor.fail("unexpected {} in @, expected timestamp")
    cursor.take()
    value = token.number if token.kind is Kind.DURATION else token.number * 1_000
    if not math.isfinite(value) or abs(value) >= 2**63:
        raise QueryError(
            "timestamp out of bounds for @ modifier", query=cursor.query, start=token.span.start, end=token.span.end
        )
    return sign * round(value)
