"""PromQL text to its syntax tree: recursive descent, binary operators by precedence."""

from __future__ import annotations

from dataclasses import replace

from trackside.exceptions import QueryError
from trackside.model.matchers import Matcher
from trackside.server.promql import selectors
from trackside.server.promql.check import check, type_of
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
MAX_DEPTH = 100

_PRECEDENCE = {
    **dict.fromkeys(("or",), 1),
    **dict.fromkeys(("and", "unless"), 2),
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%", "atan2"), 5),
    "^": 6,
}
_POWER = 6


def parse(query: str) -> Expr:
    """
    Raises:
        QueryError: not PromQL, or an expression that makes no sense; with the place of it.
    """
    parser = _Parser(Cursor(query, _tokens(query)))
    expr = parser.expression()
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
    if not query.strip():
        raise QueryError("no expression found in input", query=query)
    return tokenize(query)


class _Parser:
    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self._depth = 0

    def expression(self, least: int = 1) -> Expr:
        """An expression of operators that bind at least as strongly as `least`."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self.cursor.fail(f"the expression is nested more than {MAX_DEPTH} deep")
        left = self._operand()
        terms = 0
        while (precedence := _PRECEDENCE.get(self._operator(), 0)) >= least:
            terms += 1
            if self._depth + terms > MAX_DEPTH:
                self.cursor.fail(f"more than {MAX_DEPTH} operators in a row; group them in parentheses")
            left = self._binary(left, precedence)
        self._depth -= 1
        return left

    def _operator(self) -> str:
        token = self.cursor.token
        return token.text if token.kind is Kind.SYMBOL else token.word

    def _binary(self, left: Expr, precedence: int) -> Expr:
        cursor = self.cursor
        op_token = cursor.take()
        op = op_token.text.lower()
        returns_bool = cursor.accept_word("bool")
        found = matching(cursor)
        # Only `^` groups from the right: 2^3^2 is 2^(3^2).
        right = self.expression(precedence if precedence == _POWER else precedence + 1)
        if found is None and {type_of(left), type_of(right)} == {ValueType.VECTOR}:
            found = VectorMatching()
        if found is not None and op in SET_OPERATORS and found.card is Card.ONE_TO_ONE:
            found = replace(found, card=Card.MANY_TO_MANY)
        span = Span(left.span.start, right.span.end)
        return Binary(op, left, right, span, op_token.span, returns_bool, found)

    def _operand(self) -> Expr:
        cursor = self.cursor
        if cursor.at_symbol("+", "-"):
            sign = cursor.take()
            # A sign binds like `*`: -2^2 is -(2^2), and -a*b is (-a)*b.
            expr = self.expression(_POWER)
            return Unary(sign.text, expr, Span(sign.span.start, expr.span.end))
        return self._ranged(self._primary())

    def _ranged(self, expr: Expr) -> Expr:
        """What may follow an operand: a range, a subquery, `offset`, `@`."""
        while True:
            if self.cursor.at_symbol("["):
                expr = self._range(expr)
            elif self.cursor.at_word("offset") or self.cursor.at_symbol("@"):
                expr = modified(self.cursor, expr)
            else:
                return expr

    def _range(self, expr: Expr) -> Expr:
        cursor = self.cursor
        cursor.take()
        range_ms = duration_ms(cursor)
        if cursor.accept(":"):
            step_ms = None if cursor.at_symbol("]") else duration_ms(cursor)
            cursor.expect("]", "in subquery selector")
            return Subquery(expr, range_ms, step_ms, Span(expr.span.start, cursor.end))
        if not isinstance(expr, VectorSelector):
            cursor.fail_at("ranges only allowed for vector selectors", Span(expr.span.start, cursor.end))
        if expr.offset_ms or expr.at is not None:
            cursor.fail_at("no offset or @ modifiers allowed before range", expr.span)
        cursor.expect("]", "in range selector")
        return MatrixSelector(expr, range_ms, Span(expr.span.start, cursor.end))

    def _primary(self) -> Expr:
        cursor, token = self.cursor, self.cursor.token
        match token.kind:
            case Kind.NUMBER:
                cursor.take()
                return NumberLiteral(token.number, token.span)
            case Kind.DURATION:
                cursor.take()
                return NumberLiteral(token.number / 1_000, token.span, is_duration=True)
            case Kind.STRING:
                cursor.take()
                return StringLiteral(token.string, token.span)
        if cursor.at_symbol("("):
            cursor.take()
            expr = self.expression()
            cursor.expect(")", "after a parenthesised expression")
            return Paren(expr, Span(token.span.start, cursor.end))
        return self._named()

    def _named(self) -> Expr:
        """What begins with a name: a number, an aggregation, a call, a selector."""
        cursor, token = self.cursor, self.cursor.token
        called = cursor.following.text == "(" and cursor.following.kind is Kind.SYMBOL
        if token.word in AGGREGATIONS and (called or cursor.following.word in ("by", "without")):
            return self._aggregate()
        if called and token.kind is Kind.NAME:
            cursor.take()
            args = self._arguments()
            return Call(token.text, args, Span(token.span.start, cursor.end))
        if token.word in ("inf", "nan") and cursor.following.text != "{":
            cursor.take()
            return NumberLiteral(float(token.word), token.span)
        if token.word in ("bool", "on", "ignoring", "group_left", "group_right") or not selectors.begins(cursor):
            cursor.fail("unexpected {}, expected an expression" if token.kind is not Kind.END else "unexpected {}")
        return selectors.parse(cursor)

    def _arguments(self) -> tuple[Expr, ...]:
        cursor = self.cursor
        cursor.expect("(", "before arguments")
        args: list[Expr] = []
        while not cursor.accept(")"):
            args.append(self.expression())
            if not cursor.at_symbol(")"):
                cursor.expect(",", "in argument list")
                if cursor.at_symbol(")"):
                    cursor.fail("trailing commas not allowed in function call args")
        return tuple(args)

    def _aggregate(self) -> Expr:
        cursor = self.cursor
        token = cursor.take()
        op = token.word
        grouping = self._grouping()
        arguments_at = cursor.token.span
        args = self._arguments()
        grouping = grouping or self._grouping()
        labels, without = grouping or ((), False)
        wanted = 2 if AGGREGATIONS[op] is not None else 1
        if not args:
            cursor.fail_at("no arguments for aggregate expression provided", Span(token.span.start, cursor.end))
        if len(args) != wanted:
            count = f"expected {wanted}, got {len(args)}"
            span = Span(arguments_at.start, args[-1].span.end + 1)
            cursor.fail_at(f"wrong number of arguments for aggregate expression provided, {count}", span)
        span = Span(token.span.start, cursor.end)
        return Aggregate(op, args[-1], span, args[0] if wanted == 2 else None, labels, without)

    def _grouping(self) -> tuple[tuple[str, ...], bool] | None:
        if not self.cursor.at_word("by", "without"):
            return None
        without = self.cursor.take().word == "without"
        return label_list(self.cursor), without
