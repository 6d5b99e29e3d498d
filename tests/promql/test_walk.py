"""Walking over expressions and rebuilding them."""

from dataclasses import replace

import pytest

from trackside.server.promql.format import format as text_of
from trackside.server.promql.parser import parse
from trackside.server.promql.syntax import Paren, VectorSelector
from trackside.server.promql.walk import rebuilt, selectors_of, walk

EXPRESSIONS = [
    "1",
    '"text"',
    "up",
    "-up",
    "(up)",
    "rate(a[5m])",
    "topk(scalar(k), a)",
    "quantile by (x) (0.9, a + on (y) group_left () b)",
    "max_over_time(rate(a[5m])[1h:1m])",
    'label_replace(a, "x", "$1", "y", "(.*)")',
]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_rebuilding_without_a_change_gives_the_same(text):
    tree = parse(text)
    assert rebuilt(tree, lambda expr: None) == tree


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + sum(rate(b[5m]))", "x + sum(rate(x[5m]))"),
        ("topk(scalar(k), -(a))", "topk(scalar(x), -(x))"),
        ("avg_over_time(a[1h:])", "avg_over_time(x[1h:])"),
    ],
)
def test_every_selector_can_be_replaced(text, expected):
    other = parse("x")
    assert isinstance(other, VectorSelector)
    change = lambda expr: replace(other, span=expr.span) if isinstance(expr, VectorSelector) else None  # noqa: E731
    assert text_of(rebuilt(parse(text), change)) == expected


def test_a_range_selector_stays_one():
    tree = parse("rate(a[5m])")
    assert rebuilt(tree, lambda expr: Paren(expr, expr.span) if isinstance(expr, VectorSelector) else None) == tree


def test_selectors_come_in_the_order_of_the_text():
    names = [selector.name for selector in selectors_of(parse("a / sum(rate(b[5m])) > topk(scalar(c), d)"))]
    assert names == ["a", "b", "c", "d"]
    assert len(list(walk(parse("a + 1")))) == 3
