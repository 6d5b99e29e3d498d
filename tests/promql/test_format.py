"""Trees to text and back, in one line and in many."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackside.model.matchers import Matcher, MatchOp
from trackside.server.promql.format import MAX_LINE_CHARS, format, pretty
from trackside.server.promql.parser import parse
from trackside.server.promql.syntax import (
    Aggregate,
    AtEdge,
    Binary,
    Call,
    Card,
    MatrixSelector,
    NumberLiteral,
    Paren,
    Span,
    StringLiteral,
    Subquery,
    Unary,
    VectorMatching,
    VectorSelector,
)

TESTDATA = Path(__file__).parent / "testdata"
NOWHERE = Span(0, 0)


def bare(node: object) -> object:
    """The tree without what printing may change: places, and the order of matchers."""
    if isinstance(node, VectorSelector):
        node = dataclasses.replace(node, matchers=tuple(sorted(node.matchers, key=str)))
    if isinstance(node, NumberLiteral) and node.value != node.value:
        return "NaN"
    if isinstance(node, Span):
        return NOWHERE
    if dataclasses.is_dataclass(node) and not isinstance(node, Matcher | VectorMatching):
        fields = {field.name: bare(getattr(node, field.name)) for field in dataclasses.fields(node)}
        return (type(node).__name__, *fields.items())
    return tuple(map(bare, node)) if isinstance(node, tuple) else node


def _canonical() -> list[tuple[str, str]]:
    lines = (TESTDATA / "canonical.txt").read_text().splitlines()[1:]
    return [(query, text.strip()) for query, text in zip(lines[::2], lines[1::2], strict=True)]


@pytest.mark.parametrize(("query", "text"), _canonical(), ids=[case[0] for case in _canonical()])
def test_a_query_is_printed_as_prometheus_prints_it(query, text):
    assert format(parse(query)) == text


TEAMS = (TESTDATA / "written_by_teams.promql").read_text().splitlines()[1:]


@pytest.mark.parametrize("query", [*TEAMS, *(query for query, _ in _canonical())])
def test_printing_keeps_the_meaning(query):
    tree = parse(query)
    assert bare(parse(format(tree))) == bare(tree)
    assert bare(parse(pretty(tree))) == bare(tree)
    assert format(parse(format(tree))) == format(tree)


def test_a_long_query_is_broken_where_it_branches():
    query = (
        "sum by (job) (rate(http_requests_total{status=~'5..',job='shop'}[5m])) / on (job) group_left () "
        "topk(3, sum by (job) (rate(http_requests_total{job='shop'}[5m]) and on (job) (up{job='shop'} == 1 or "
        "label_replace(up{job='shop', instance=~'10\\\\..+'} == 1, 'job', '$1', 'instance', '(.*)'))))"
    )
    assert pretty(parse(query)) == (
        """\
  sum by (job) (rate(http_requests_total{job="shop",status=~"5.."}[5m]))
/ on (job) group_left ()
  topk(
    3,
    sum by (job) (
        rate(http_requests_total{job="shop"}[5m])
      and on (job)
        (
            up{job="shop"} == 1
          or
            label_replace(up{instance=~"10\\\\..+",job="shop"} == 1, "job", "$1", "instance", "(.*)")
        )
    )
  )"""
    )


def test_a_short_query_stays_in_one_line():
    assert pretty(parse("sum(\n  up\n)")) == "sum(up)"


# --- any tree ---

TEXTS = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=6)
NAMES = st.sampled_from(["up", "job:x:rate5m", "sum", "on", "inf", "my.metric", 'qu"ote', "ä"])
LABELS = st.sampled_from(["job", "by", "a.b", "x:y", "ü"])
OPS = st.sampled_from([MatchOp.EQUAL, MatchOp.NOT_EQUAL])
OFFSETS = st.sampled_from([0, 0, 300_000, -90_061_001, 1])
TIMES = st.sampled_from([None, None, 0, 1_500, -1, 1_609_746_000_123, AtEdge.START, AtEdge.END])
RANGES = st.integers(1, 10**11)


@st.composite
def selectors(draw: st.DrawFn) -> VectorSelector:
    name = draw(NAMES)
    found = draw(st.lists(st.builds(Matcher, LABELS, OPS, TEXTS), max_size=2))
    matchers = (*found, Matcher("__name__", MatchOp.EQUAL, name))
    return VectorSelector(name, matchers, NOWHERE, draw(OFFSETS), draw(TIMES))


NUMBERS = st.builds(NumberLiteral, st.floats() | st.integers(-3, 3).map(float), st.just(NOWHERE))
DURATIONS = st.builds(lambda ms: NumberLiteral(ms / 1_000, NOWHERE, is_duration=True), st.integers(-(10**9), 10**12))
CARDS = st.sampled_from([Card.ONE_TO_ONE, Card.MANY_TO_ONE, Card.ONE_TO_MANY])


def _binary(op: str, left: object, right: object, matching: VectorMatching, returns_bool: bool) -> Binary:
    include = matching.include if matching.card is not Card.ONE_TO_ONE else ()
    if matching.on:
        include = tuple(label for label in include if label not in matching.labels)
    matching = dataclasses.replace(matching, include=include)
    return Binary(op, Paren(left, NOWHERE), Paren(right, NOWHERE), NOWHERE, NOWHERE, returns_bool, matching)


def _grown(inner: st.SearchStrategy) -> st.SearchStrategy:
    labels = st.lists(LABELS, max_size=2).map(tuple)
    matching = st.builds(VectorMatching, CARDS, labels, st.booleans(), labels)
    span = st.just(NOWHERE)
    ranges = st.builds(MatrixSelector, selectors(), RANGES, span) | st.builds(
        Subquery, inner.map(lambda expr: Paren(expr, NOWHERE)), RANGES, st.none() | RANGES, span, OFFSETS, TIMES
    )
    return st.one_of(
        st.builds(Paren, inner, span),
        st.builds(Unary, st.sampled_from("+-"), inner.map(lambda expr: Paren(expr, NOWHERE)), span),
        st.builds(_binary, st.sampled_from(["+", "^", "atan2"]), inner, inner, matching, st.just(False)),
        st.builds(_binary, st.sampled_from(["==", "<="]), inner, inner, matching, st.booleans()),
        st.builds(lambda arg: Call("rate", (arg,), NOWHERE), ranges),
        st.builds(lambda arg, number: Call("clamp_max", (arg, number), NOWHERE), inner, NUMBERS | DURATIONS),
        st.builds(Aggregate, st.just("sum"), inner, span, st.none(), labels, st.booleans()),
        st.builds(Aggregate, st.just("topk"), inner, span, NUMBERS, labels, st.booleans()),
        st.builds(
            lambda text, arg: Aggregate("count_values", arg, NOWHERE, StringLiteral(text, NOWHERE)), TEXTS, inner
        ),
    )


@settings(max_examples=300, deadline=None)
@given(st.recursive(selectors(), _grown, max_leaves=6) | NUMBERS | DURATIONS)
def test_any_tree_is_printed_so_that_it_is_read_back(tree):
    assert bare(parse(format(tree))) == bare(tree)
    text = pretty(tree)
    assert bare(parse(text)) == bare(tree)
    assert len(format(tree)) > MAX_LINE_CHARS or "\n" not in text
