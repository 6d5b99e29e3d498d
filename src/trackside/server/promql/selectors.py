"""Series selectors: `http_requests_total{status=~"5.."}`, `{"a name", label="value"}`."""

from __future__ import annotations

from trackside.model.labels import METRIC_NAME
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.promql.cursor import Cursor
from trackside.server.promql.quoting import quoted
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
    matchers: list[Matcher] = []
    before: str | None = None
    if not cursor.at_symbol("{"):
        before = cursor.take().text
    inside = _braces(cursor, matchers) if cursor.at_symbol("{") else None
    span = Span(start, cursor.end)
    name = before if before is not None else inside
    if name is not None:
        others = [matcher.value for matcher in matchers if matcher.name == METRIC_NAME]
        _check_name(cursor, others if before is None else [before, *others], span)
    if before is not None:
        matchers.append(Matcher(METRIC_NAME, MatchOp.EQUAL, before))
    if all(predicate(matcher)("") for matcher in matchers):
        cursor.fail_at("vector selector must contain at least one non-empty matcher", span)
    return VectorSelector(name, tuple(matchers), span)


def _check_name(cursor: Cursor, names: list[str], span: Span) -> None:
    if len(names) > 1:
        cursor.fail_at(f"metric name must not be set twice: {quoted(names[0])} or {quoted(names[1])}", span)


def _braces(cursor: Cursor, matchers: list[Matcher]) -> str | None:
    """Adds to `matchers`; the metric name if it stands here in quotes."""
    opened = cursor.take()
    name: str | None = None
    while not cursor.accept("}"):
        if cursor.token.kind is Kind.END:
            cursor.close("}", opened, "in label matching")
        label = _label(cursor)
        if cursor.at_symbol("=", "!=", "=~", "!~"):
            matchers.append(_matcher(cursor, label))
        elif label.kind is not Kind.STRING:
            hint = "; a label is compared with a single =" if cursor.at_symbol("==") else ""
            cursor.fail(f"unexpected {{}} in label matching, expected one of =, !=, =~, !~{hint}")
        else:
            name = name if name is not None else label.string
            matchers.append(Matcher(METRIC_NAME, MatchOp.EQUAL, label.string))
        if not cursor.accept(","):
            cursor.close("}", opened, "in label matching", '"," or "}"')
            break
    return name


def _label(cursor: Cursor) -> Token:
    if cursor.token.kind not in (Kind.NAME, Kind.STRING):
        cursor.fail('unexpected {} in label matching, expected a label name or "}"')
    return cursor.take()


def _matcher(cursor: Cursor, label: Token) -> Matcher:
    op = _OPERATORS[cursor.take().text]
    value = cursor.token
    if value.kind is not Kind.STRING:
        bare = value.kind in (Kind.NAME, Kind.METRIC_NAME, Kind.NUMBER, Kind.DURATION)
        hint = f', as in {label.text}{op.value}"{value.text}"' if bare and len(value.text) < 60 else ""
        cursor.fail(f"unexpected {{}} in label matching, expected a quoted string{hint}")
    cursor.take()
    if op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
        try:
            compiled(value.string)
        except ValueError as error:
            cursor.fail_at(str(error), value.span)
    return Matcher(label.string if label.kind is Kind.STRING else label.text, op, value.string)
