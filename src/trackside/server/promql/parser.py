"""PromQL text to its syntax tree: recursive descent, binary operators by precedence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from trackside.exceptions import QueryError
from trackside.model.matchers import Matcher
from trackside.server.promql import selectors
from trackside.server.promql.check import call_type, check
from trackside.server.promql.cursor import Cursor
from trackside.server.promql.grouping import label_list, matching
from trackside.server.promql.modifiers import duration_ms, modified
from trackside.server.promql.signatures import AGGREGATIONS, SET_OPERATORS
from trackside.server.promql.syntax import (
    Aggregate,
    Binary,
    Call,
    Card,
    Expr,
    MatrixSelector,
    NumberLiteral,
    Paren,
    Span,
    StringLiteral,
    Subquery,
    Unary,
    ValueType,
    VectorMatching,
    VectorSelector,
)
from trackside.server.promql.tokens import Kind, Token, tokenize

MAX_QUERY_CHARS = 100_000
# Deep enough for any query a person or a dashboard writes, and shallow enough for recursion at every later stage.
MAX_NESTING = 100
"""Parentheses, arguments and signs within one another."""
MAX_HEIGHT = 150
"""Of the tree; a row of operators is as high as it is long."""

_PRECEDENCE = {
    **dict.fromkeys(("or",), 1),
    **dict.fromkeys(("and", "unless"), 2),
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%", "atan2"), 5),
    "^": 6,
}
_POWER = 6
# Keywords that name no metric, since they may stand where an expression begins.
_NO_METRICS = frozenset(("bool", "on", "ignoring", "group_left", "group_right", "atan2"))
_EXPRESSION = "an expression such as up or rate(http_requests_total[5m])"


def parse(query: str) -> Expr:
    """
    Raises:
        QueryError: not PromQL, or an expression that makes no sense; with the place of it.
    """
    parser = _Parser(Cursor(query, _tokens(query)))
    expr = parser.expression().expr
    parser.cursor.expect_end()
    check(expr, query)
    return expr


def parse_selectors(text: str) -> tuple[Matcher, ...]:
    """The matchers of one series selector: `up{job="shop"}`.

    Raises:
        QueryError: not a selector.
    """
    cursor = Cursor(text, _tokens(text))
    if not selectors.begins(cursor):
        cursor.fail("unexpected {}, expected a series selector such as up or http_requests_total")
    found = selectors.parse(cursor)
    cursor.expect_end()
    return found.matchers


def _tokens(query: str) -> list[Token]:
    if len(query) > MAX_QUERY_CHARS:
        raise QueryError(f"the query has {len(query):,} characters; at most {MAX_QUERY_CHARS:,} are read")
    tokens = tokenize(query)
    if tokens[0].kind is Kind.END:
        raise QueryError("no expression found in input", query=query, start=0, end=len(query))
    return tokens


class _Part(NamedTuple):
    """A part of the tree with what would be slow to find out again and again."""

    expr: Expr
    height: int
    type: ValueType


class _Parser:
    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self._nesting = 0

    def expression(self, least: int = 1) -> _Part:
        """An expression of operators that bind at least as strongly as `least`."""
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            self.cursor.fail(f"the expression is nested more than {MAX_NESTING} deep")
        left = self._operand()
        while (precedence := _PRECEDENCE.get(self._operator(), 0)) >= least:
            left = self._binary(left, precedence)
        self._nesting -= 1
        return left

    def _operator(self) -> str:
        token = self.cursor.token
        return token.text if token.kind is Kind.SYMBOL else token.word

    def _binary(self, left: _Part, precedence: int) -> _Part:
        cursor = self.cursor
        op_token = cursor.take()
        op = op_token.text.lower()
        returns_bool = cursor.accept_word("bool")
        found = matching(cursor)
        # Only `^` groups from the right: 2^3^2 is 2^(3^2).
        right = self.expression(precedence if precedence == _POWER else precedence + 1)
        if left.type is right.type is ValueType.VECTOR:
            found = found or VectorMatching()
        elif found is not None and not found.labels:
            # Says nothing, so it may stand where it makes no sense: `up + on() 1`.
            found = None
        if found is not None and op in SET_OPERATORS and found.card is Card.ONE_TO_ONE:
            found = replace(found, card=Card.MANY_TO_MANY)
        span = Span(left.expr.span.start, right.expr.span.end)
        scalar = left.type is right.type is ValueType.SCALAR
        expr = Binary(op, left.expr, right.expr, span, op_token.span, returns_bool, found)
        return self._over(expr, ValueType.SCALAR if scalar else ValueType.VECTOR, (left, right), op_token.span)

    def _over(self, expr: Expr, found: ValueType, parts: Sequence[_Part], at: Span) -> _Part:
        height = 1 + max((part.height for part in parts), default=0)
        if height > MAX_HEIGHT:
            limit = f"the expression has more than {MAX_HEIGHT} operators in a row or within one another"
            self.cursor.fail_at(f"{limit}; split it, for example with recording rules", at)
        return _Part(expr, height, found)

    def _operand(self) -> _Part:
        cursor = self.cursor
        if not cursor.at_symbol("+", "-"):
            return self._ranged(self._primary())
        sign = cursor.take()
        # A sign binds like `*`: -2^2 is -(2^2), and -a*b is (-a)*b.
        part = self.expression(_POWER)
        span = Span(sign.span.start, part.expr.span.end)
        if isinstance(part.expr, NumberLiteral):
            value = -part.expr.value if sign.text == "-" else part.expr.value
            return part._replace(expr=replace(part.expr, value=value, span=span))
        return self._over(Unary(sign.text, part.expr, span), part.type, (part,), sign.span)

    def _ranged(self, part: _Part) -> _Part:
        """What may follow an operand: a range, a subquery, `offset`, `@`."""
        while True:
            if self.cursor.at_symbol("["):
                part = self._range(part)
            elif self.cursor.at_word("offset") or self.cursor.at_symbol("@"):
                part = part._replace(expr=modified(self.cursor, part.expr))
            else:
                return part

    def _range(self, part: _Part) -> _Part:
        cursor, expr = self.cursor, part.expr
        opened = cursor.take()
        range_ms = duration_ms(cursor)
        if cursor.accept(":"):
            step_ms = None if cursor.at_symbol("]") else duration_ms(cursor)
            cursor.close("]", opened, "in subquery selector")
            subquery = Subquery(expr, range_ms, step_ms, Span(expr.span.start, cursor.end))
            return self._over(subquery, ValueType.MATRIX, (part,), opened.span)
        cursor.close("]", opened, "in range selector")
        span = Span(expr.span.start, cursor.end)
        if not isinstance(expr, VectorSelector):
            cursor.fail_at(f"ranges only allowed for vector selectors{_subquery_hint(part)}", span)
        if expr.offset_ms:
            cursor.fail_at("no offset modifiers allowed before range", expr.span)
        if expr.at is not None:
            cursor.fail_at("no @ modifiers allowed before range", expr.span)
        return _Part(MatrixSelector(expr, range_ms, span), 1, ValueType.MATRIX)

    def _primary(self) -> _Part:
        cursor, token = self.cursor, self.cursor.token
        if token.kind is Kind.NUMBER:
            return self._number(token.number)
        if token.kind is Kind.DURATION:
            return self._number(token.number / 1_000, is_duration=True)
        if token.kind is Kind.STRING:
            cursor.take()
            return _Part(StringLiteral(token.string, token.span), 1, ValueType.STRING)
        if not cursor.accept("("):
            return self._named()
        inner = self.expression()
        cursor.close(")", token, "after an expression in parentheses")
        expr = Paren(inner.expr, Span(token.span.start, cursor.end))
        return self._over(expr, inner.type, (inner,), token.span)

    def _number(self, value: float, *, is_duration: bool = False) -> _Part:
        span = self.cursor.take().span
        return _Part(NumberLiteral(value, span, is_duration), 1, ValueType.SCALAR)

    def _named(self) -> _Part:
        """What begins with a name: a number, an aggregation, a call, a selector."""
        cursor, token = self.cursor, self.cursor.token
        called = cursor.following.text == "(" and cursor.following.kind is Kind.SYMBOL
        if token.word in AGGREGATIONS and (called or cursor.following.word in ("by", "without")):
            return self._aggregate()
        if token.word in ("inf", "nan"):
            return self._number(float(token.word))
        if called and token.kind is Kind.NAME and token.word not in _NO_METRICS:
            cursor.take()
            args = self._arguments()
            call = Call(token.text, tuple(arg.expr for arg in args), Span(token.span.start, cursor.end))
            return self._over(call, call_type(call), args, token.span)
        if token.word in _NO_METRICS or not selectors.begins(cursor):
            cursor.fail(f"unexpected {{}}, expected {_EXPRESSION}")
        selector = selectors.parse(cursor)
        return _Part(selector, 1, ValueType.VECTOR)

    def _arguments(self) -> list[_Part]:
        cursor = self.cursor
        opened = cursor.expect("(", "before arguments")
        args: list[_Part] = []
        while not cursor.accept(")"):
            args.append(self.expression())
            if not cursor.at_symbol(",", ")"):
                cursor.close(")", opened, "in argument list", '"," or ")"')
                break
            if cursor.accept(",") and cursor.at_symbol(")"):
                cursor.fail("trailing commas not allowed in function call args")
        return args

    def _aggregate(self) -> _Part:
        cursor = self.cursor
        token = cursor.take()
        op = token.word
        grouping = self._grouping()
        opened = cursor.token.span
        args = self._arguments()
        inside = Span(opened.start, cursor.end)
        labels, without = grouping or self._grouping() or ((), False)
        wanted = 2 if AGGREGATIONS[op] is not None else 1
        if not args:
            cursor.fail_at("no arguments for aggregate expression provided", Span(token.span.start, cursor.end))
        if len(args) != wanted:
            count = f"expected {wanted}, got {len(args)}"
            cursor.fail_at(f"wrong number of arguments for aggregate expression provided, {count}", inside)
        span = Span(token.span.start, cursor.end)
        param = args[0].expr if wanted == 2 else None
        expr = Aggregate(op, args[-1].expr, span, param, labels, without)
        return self._over(expr, ValueType.VECTOR, args, token.span)

    def _grouping(self) -> tuple[tuple[str, ...], bool] | None:
        if not self.cursor.at_word("by", "without"):
            return None
        without = self.cursor.take().word == "without"
        return label_list(self.cursor), without


def _subquery_hint(part: _Part) -> str:
    if part.type is not ValueType.VECTOR:
        return ""
    return ": for the values of an expression over time, add a colon, as in [5m:]"
