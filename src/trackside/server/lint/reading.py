"""Reading an expression: where a selector stands, and which labels a result has."""

from __future__ import annotations

from collections.abc import Iterator

from trackside.exceptions import QueryError
from trackside.model.labels import METRIC_NAME
from trackside.model.matchers import MatchOp
from trackside.server.lint.facts import Facts, metric_name
from trackside.server.promql import format as promql_text
from trackside.server.promql.check import type_of
from trackside.server.promql.parser import parse
from trackside.server.promql.select import unwrapped
from trackside.server.promql.signatures import COMPARISONS
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
    Subquery,
    Unary,
    ValueType,
    VectorMatching,
    VectorSelector,
)
from trackside.server.promql.walk import children, walk

RATES = frozenset(("rate", "irate", "increase"))
SELECTING = frozenset(("topk", "bottomk", "limitk", "limit_ratio"))
Path = tuple[Expr, ...]
"""The expressions around one, the outermost first."""


def walk_with_path(expr: Expr, path: Path = ()) -> Iterator[tuple[Expr, Path]]:
    yield expr, path
    for child in children(expr):
        yield from walk_with_path(child, (*path, expr))


def text_of(expr: Expr) -> str:
    return promql_text.format(expr)


def replaced(query: str, *parts: tuple[Span, str]) -> str:
    """The query on one line with the text at each span replaced; "" when that gives no valid expression."""
    for span, text in sorted(parts, key=lambda part: -part[0].start):
        query = query[: span.start] + text + query[span.end :]
    try:
        return promql_text.format(parse(query))
    except QueryError:
        return ""


def is_rate(expr: Expr) -> bool:
    """Whether it is `rate(…)` and nothing around it."""
    inner = unwrapped(expr)
    return isinstance(inner, Call) and inner.function in RATES


def rated_selector(expr: Expr) -> VectorSelector | None:
    """`a` of `rate(a[5m])`."""
    inner = unwrapped(expr)
    if isinstance(inner, Call) and inner.function in RATES and isinstance(inner.args[0], MatrixSelector):
        return inner.args[0].selector
    return None


def window_of(expr: Expr) -> str:
    """ "[5m]" of `rate(a[5m])`."""
    inner = unwrapped(expr)
    assert isinstance(inner, Call)
    text = text_of(inner.args[0])
    return text[text.rindex("[") : text.rindex("]") + 1]


def summed(expr: Expr) -> Expr | None:
    """What is added up, if it is `sum(…)` or `sum by (…) (…)`."""
    inner = unwrapped(expr)
    return inner.expr if isinstance(inner, Aggregate) and inner.op == "sum" else None


def number_of(expr: Expr) -> float | None:
    inner = unwrapped(expr)
    if isinstance(inner, Unary) and isinstance(inner.expr, NumberLiteral):
        return -inner.expr.value if inner.op == "-" else inner.expr.value
    return inner.value if isinstance(inner, NumberLiteral) else None


def comparisons(expr: Expr) -> Iterator[tuple[Binary, Expr, float]]:
    """Each comparison of a vector with a number: it, the vector, the number. Turned round where the number is left."""
    turned = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
    for each in walk(expr):
        if isinstance(each, Binary) and each.op in COMPARISONS:
            right, left = number_of(each.right), number_of(each.left)
            if right is not None and left is None:
                yield each, each.left, right
            elif left is not None and right is None:
                op = turned.get(each.op, each.op)
                yield Binary(op, each.right, each.left, each.span, each.op_span, each.returns_bool), each.right, left


def matched_by_all_labels(expr: Binary) -> bool:
    """Whether both sides are vectors, and nothing is said of how they belong together."""
    return expr.matching == VectorMatching()


def without_matcher(selector: VectorSelector, label: str) -> str:
    """The selector's text without what it says of `label`."""
    kept = tuple(matcher for matcher in selector.matchers if matcher.name != label)
    return text_of(VectorSelector(selector.name, kept, selector.span))


def result_labels(expr: Expr, facts: Facts) -> frozenset[str] | None:
    """Labels that series of the result may have; None: not known. The metric's name is none of them."""
    match expr:
        case VectorSelector():
            return facts.label_names(metric_name(expr))
        case MatrixSelector():
            return result_labels(expr.selector, facts)
        case Paren() | Unary() | Subquery():
            return result_labels(expr.expr, facts)
        case Aggregate():
            return _aggregated(expr, facts)
        case Call():
            return _called(expr, facts)
        case Binary():
            return _combined(expr, facts)
    return frozenset()


def _aggregated(expr: Aggregate, facts: Facts) -> frozenset[str] | None:
    inner = result_labels(expr.expr, facts)
    if expr.op in SELECTING:
        return inner
    grouping = frozenset(expr.grouping)
    if expr.op == "count_values" and expr.param is not None:
        return None
    if expr.without:
        return None if inner is None else inner - grouping
    return grouping if inner is None else grouping & inner


def _called(call: Call, facts: Facts) -> frozenset[str] | None:
    if call.function in ("absent", "absent_over_time"):
        return _said_labels(call.args[0])
    if call.function in ("time", "vector", "scalar", "pi"):
        return frozenset()
    if call.function.startswith(("label_", "histogram_quantiles", "info")):
        return None
    vectors = [arg for arg in call.args if number_of(arg) is None]
    inner = result_labels(vectors[-1], facts) if vectors else frozenset()
    return None if inner is None else inner - {"le"} if call.function.startswith("histogram_") else inner


def _said_labels(expr: Expr) -> frozenset[str]:
    inner = unwrapped(expr)
    selector = inner.selector if isinstance(inner, MatrixSelector) else inner
    if not isinstance(selector, VectorSelector):
        return frozenset()
    equal = (matcher.name for matcher in selector.matchers if matcher.op is MatchOp.EQUAL)
    return frozenset(name for name in equal if name != METRIC_NAME)


def is_scalar(expr: Expr) -> bool:
    return type_of(expr) is ValueType.SCALAR


def _combined(expr: Binary, facts: Facts) -> frozenset[str] | None:
    if is_scalar(expr.left) or is_scalar(expr.right):
        return result_labels(expr.right if is_scalar(expr.left) else expr.left, facts)
    left, right = result_labels(expr.left, facts), result_labels(expr.right, facts)
    if expr.op == "or":
        return None if left is None or right is None else left | right
    matching = expr.matching
    if matching is None or expr.op in ("and", "unless"):
        return left
    if matching.card in (Card.MANY_TO_ONE, Card.ONE_TO_MANY):
        many = left if matching.card is Card.MANY_TO_ONE else right
        return None if many is None else many | set(matching.include)
    if matching.on:
        return frozenset(matching.labels)
    return None if left is None else left - set(matching.labels)
