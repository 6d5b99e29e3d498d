"""Series selectors: `http_requests_total{status=~"5.."}`, `{"a name", label="value"}`."""

from __future__ import annotations

from trackside.model.labels import METRIC_NAME
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.promql.cursor import Cursor
from trackside.server.promql.syntax import Span, VectorSelector
from trackside.server.promql.tokens import Kind, Token
from trackside.server.regex import compiled, predicate

_OPERATORS = {op.value: op for op in MatchOp}


def begins(cursor: Cursor) -> bool:
    return cursor.token.kind in (Kind.NAME, Kind.METRIC_NAME) or cursor.at_symbol("{")


def parse(cursor: Cursor) -> VectorSelector:
    """
    Raises:
        QueryError: not a selector, or one that could match every series there is.
    """
    start = cursor.token.span.start
    name: str | None = None
    matchers: list[Matcher] = []
    if not cursor.at_symbol("{"):
        name = cursor.take().text
    if cursor.at_symbol("{"):
        name = _braces(cursor, matchers, name)
    span = Span(start, cursor.end)
    if name is not None:
        matchers.append(Matcher(METRIC_NAME, MatchOp.EQUAL, name))
    if all(predicate(matcher)("") for matcher in matchers):
        cursor.fail_at("vector selector must contain at least one non-empty matcher", span)
    return VectorSelector(name, tuple(matchers), span)


def _braces(cursor: Cursor, matchers: list[Matcher], name: str | None) -> str | None:
    cursor.take()
    while not cursor.accept("}"):
        label = _label(cursor)
        if cursor.at_symbol("=", "!=", "=~", "!~"):
            matchers.append(_matcher(cursor, label))
        elif label.kind is not Kind.STRING:
            cursor.fail("unexpected {} in label matching, expected one of '=', '!=', '=~', '!~'")
        elif name is not None:
            cursor.fail_at(f'metric name must not be set twice: "{name}" or "{label.string}"', label.span)
        else:
            name = label.string
        if not cursor.at_symbol("}"):
            cursor.expect(",", "in label matching")
    return name


def _label(cursor: Cursor) -> Token:
    if cursor.token.kind not in (Kind.NAME, Kind.STRING):
        cursor.fail("unexpected {} in label matching, expected a label name or '}'")
    return cursor.take()


def _matcher(cursor: Cursor, label: Token) -> Matcher:
    op = _OPERATORS[cursor.take().text]
    value = cursor.token
    if value.kind is not Kind.STRING:
        cursor.fail("unexpected {} in label matching, expected string")
    cursor.take()
    if op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
        try:
            compiled(value.string)
        except ValueError as error:
            cursor.fail_at(str(error), value.span)
    return Matcher(label.string if label.kind is Kind.STRING else label.text, op, value.string)
