"""Text to trees: shapes, errors with their place, limits, and agreement with another parser."""

from __future__ import annotations

import datetime
import math
from pathlib import Path

import promql_parser
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trackside.exceptions import QueryError
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.promql.engine import Engine
from trackside.server.promql.format import format, pretty
from trackside.server.promql.parser import MAX_HEIGHT, MAX_NESTING, MAX_QUERY_CHARS, parse, parse_selectors
from trackside.server.promql.syntax import (
    Aggregate,
    AtEdge,
    Binary,
    Call,
    Card,
    MatrixSelector,
    NumberLiteral,
    Paren,
    StringLiteral,
    Subquery,
    Unary,
    VectorSelector,
)
from trackside.server.promql.tree import tree_of

TESTDATA = Path(__file__).parent / "testdata"


def shape(expr: object) -> object:
    """The tree in nested tuples, without spans."""
    match expr:
        case NumberLiteral():
            return "NaN" if math.isnan(expr.value) else expr.value
        case StringLiteral():
            return ("string", expr.value)
        case VectorSelector():
            matchers = sorted((matcher.name, matcher.op.name, matcher.value) for matcher in expr.matchers)
            at = expr.at.value if isinstance(expr.at, AtEdge) else expr.at
            return ("selector", tuple(matchers), expr.offset_ms, at)
        case MatrixSelector():
            return ("range", shape(expr.selector), expr.range_ms)
        case Subquery():
            at = expr.at.value if isinstance(expr.at, AtEdge) else expr.at
            return ("subquery", shape(expr.expr), expr.range_ms, expr.step_ms, expr.offset_ms, at)
        case Call():
            return (expr.function, *map(shape, expr.args))
        case Aggregate():
            param = () if expr.param is None else (shape(expr.param),)
            return (expr.op, "without" if expr.without else "by", expr.grouping, *param, shape(expr.expr))
        case Unary():
            return (expr.op, shape(expr.expr))
        case Paren():
            return ("()", shape(expr.expr))
        case Binary():
            found = expr.matching
            how = () if found is None else (found.card.value, found.on, found.labels, found.include)
            return (expr.op, shape(expr.left), shape(expr.right), expr.returns_bool, how)
    raise AssertionError(expr)


def x(name: str = "x") -> object:
    return ("selector", (("__name__", "EQUAL", name),), 0, None)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("2^3^2", ("^", 2.0, ("^", 3.0, 2.0, False, ()), False, ())),
        ("-2^2", ("-", ("^", 2.0, 2.0, False, ()))),
        ("2^-1", ("^", 2.0, -1.0, False, ())),
        ("-2*3", ("*", -2.0, 3.0, False, ())),
        ("1-2-3", ("-", ("-", 1.0, 2.0, False, ()), 3.0, False, ())),
        ("1+2*3", ("+", 1.0, ("*", 2.0, 3.0, False, ()), False, ())),
        ("1 atan2 2 % 3", ("%", ("atan2", 1.0, 2.0, False, ()), 3.0, False, ())),
        ("1 < bool 2 == bool 3", ("==", ("<", 1.0, 2.0, True, ()), 3.0, True, ())),
        ("- - 5m", 300.0),
        ("-Inf", -math.inf),
        ("nAn", "NaN"),
    ],
)
def test_operators_bind_as_in_prometheus(query, expected):
    assert shape(parse(query)) == expected


def test_set_operators_bind_last_and_match_many_to_many():
    tree = parse("a or b and c unless d")
    assert isinstance(tree, Binary) and tree.op == "or"
    assert isinstance(tree.right, Binary) and tree.right.op == "unless"
    assert tree.matching is not None and tree.matching.card is Card.MANY_TO_MANY


def test_a_sign_binds_weaker_than_what_follows_an_operand():
    ranged = ("subquery", x(), 300_000, None, 60_000, None)
    assert shape(parse("-avg_over_time(x[5m:] offset 1m)")) == ("-", ("avg_over_time", ranged))
    assert shape(parse("-x offset 1m")) == ("-", ("selector", (("__name__", "EQUAL", "x"),), 60_000, None))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sum(x)", ("sum", "by", (), x())),
        ("sum by (a, b,) (x)", ("sum", "by", ("a", "b"), x())),
        ("SUM(x) WITHOUT (a)", ("sum", "without", ("a",), x())),
        ('topk by ("a.b") (3, x)', ("topk", "by", ("a.b",), 3.0, x())),
        ("sum by (sum, by, on, bool, offset) (x)", ("sum", "by", ("sum", "by", "on", "bool", "offset"), x())),
        ("sum without () (x)", ("sum", "without", (), x())),
        ("sum", x("sum")),
        ('sum{a="b"}', ("selector", (("__name__", "EQUAL", "sum"), ("a", "EQUAL", "b")), 0, None)),
    ],
)
def test_aggregations(query, expected):
    assert shape(parse(query)) == expected


@pytest.mark.parametrize("name", ["by", "without", "offset", "and", "or", "unless", "start", "end", "count", "limitk"])
def test_a_keyword_may_name_a_metric(name):
    assert shape(parse(f"{name} + {name}")) == ("+", x(name), x(name), False, ("one-to-one", False, (), ()))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("x[600]", ("range", x(), 600_000)),
        ("x[1m30s]", ("range", x(), 90_000)),
        ("x[0.5]", ("range", x(), 500)),
        ("x offset -5m", ("selector", (("__name__", "EQUAL", "x"),), -300_000, None)),
        ("x offset 50", ("selector", (("__name__", "EQUAL", "x"),), 50_000, None)),
        ("x @ 1.5 offset 1m", ("selector", (("__name__", "EQUAL", "x"),), 60_000, 1_500)),
        ("x OFFSET 1m @ Start()", ("selector", (("__name__", "EQUAL", "x"),), 60_000, "start")),
        ("x @ 1m40s", ("selector", (("__name__", "EQUAL", "x"),), 0, 100_000)),
        ("x @ -1", ("selector", (("__name__", "EQUAL", "x"),), 0, -1_000)),
        ("x[5m] @ 3 offset 1m", ("range", ("selector", (("__name__", "EQUAL", "x"),), 60_000, 3_000), 300_000)),
        ("x[1h:1m] @ end() offset 2m", ("subquery", x(), 3_600_000, 60_000, 120_000, "end")),
        ("x[1h:60]", ("subquery", x(), 3_600_000, 60_000, 0, None)),
        ("(x)[1h:]", ("subquery", ("()", x()), 3_600_000, None, 0, None)),
    ],
)
def test_ranges_and_modifiers(query, expected):
    assert shape(parse(query)) == expected


@pytest.mark.parametrize(
    ("query", "matchers"),
    [
        ("up", [Matcher("__name__", MatchOp.EQUAL, "up")]),
        (
            'up{a="b",c!="d",e=~"f",g!~"h",}',
            [
                Matcher("a", MatchOp.EQUAL, "b"),
                Matcher("c", MatchOp.NOT_EQUAL, "d"),
                Matcher("e", MatchOp.REGEX, "f"),
                Matcher("g", MatchOp.NOT_REGEX, "h"),
                Matcher("__name__", MatchOp.EQUAL, "up"),
            ],
        ),
        (
            '{"my.metric", "a.b"="c"}',
            [Matcher("__name__", MatchOp.EQUAL, "my.metric"), Matcher("a.b", MatchOp.EQUAL, "c")],
        ),
        (
            "{on=\"1\", by=`2`, inf='3'}",
            [Matcher("on", MatchOp.EQUAL, "1"), Matcher("by", MatchOp.EQUAL, "2"), Matcher("inf", MatchOp.EQUAL, "3")],
        ),
    ],
    ids=["a name", "four operators", "quoted names", "keywords as labels"],
)
def test_parse_selectors(query, matchers):
    assert list(parse_selectors(query)) == matchers


@pytest.mark.parametrize("text", ["", "1", "up[5m]", "up offset 1m", "sum(up)", "up, down", "{}", '"up"', "up{"])
def test_what_is_no_selector_is_refused(text):
    with pytest.raises(QueryError):
        parse_selectors(text)


def _refused() -> list[tuple[str, str, str]]:
    blocks = (TESTDATA / "refused.txt").read_text().split("\n\n")[1:]
    return [tuple(block.strip("\n").split("\n")) for block in blocks]


@pytest.mark.parametrize(("query", "carets", "reason"), _refused(), ids=[case[0] for case in _refused()])
def test_an_error_says_what_is_wrong_and_where(query, carets, reason):
    with pytest.raises(QueryError) as caught:
        parse(query)
    assert caught.value.reason == reason
    assert caught.value.marked() == f"{query}\n{carets}"


def test_an_error_in_the_third_line_is_marked_there():
    query = "sum(\n  # per second\n  rat(http_requests_total[5m])\n)"
    with pytest.raises(QueryError) as caught:
        parse(query)
    assert str(caught.value) == '3:3: unknown function with name "rat"; did you mean rate?'
    assert caught.value.marked() == "  rat(http_requests_total[5m])\n  ^^^"


@pytest.mark.parametrize(
    "query",
    [
        "(" * 10_000,
        "(" * 10_000 + "1" + ")" * 10_000,
        "-" * 10_000 + "1",
        "2^" * 10_000 + "1",
        "1+" * 10_000 + "1",
        "x[" * 5_000,
        "x" + "[5m:]" * 10_000,
        "sum(" * 5_000 + "x",
        "x or " * 10_000 + "x",
        "{" * 50_000,
        '"' * 50_001,
        "a" * 1_000_000,
        "x" + " offset 0" * 10_000,
        "1" * 90_000,
        "0x" + "f" * 90_000,
        "1s" * 40_000 + "_",
        "#\n" * 49_999,
    ],
    ids=lambda query: query[:12],
)  # fmt: skip
def test_a_hostile_query_is_refused_or_read_soon(query):
    try:
        parse(query)
    except QueryError as error:
        assert len(error.reason) < 400


def _row_of_parentheses(width: int, depth: int) -> str:
    query = "1"
    for _ in range(depth):
        query = f"({query}{'+1' * width})"
    return query


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("(" * (MAX_NESTING - 1) + "1" + ")" * (MAX_NESTING - 1), True),
        ("(" * MAX_NESTING + "1" + ")" * MAX_NESTING, False),
        ("sum(" * (MAX_NESTING - 1) + "x" + ")" * (MAX_NESTING - 1), True),
        ("1" + "+1" * (MAX_HEIGHT - 1), True),
        ("1" + "+1" * MAX_HEIGHT, False),
        (_row_of_parentheses(10, 12), True),
        (_row_of_parentheses(20, 40), False),
    ],
    ids=["nested", "nested too deep", "calls", "a row", "too long a row", "rows in parentheses", "too high"],
)
def test_the_height_of_a_tree_is_limited(query, fits):
    if fits:
        parse(query)
    else:
        with pytest.raises(QueryError, match="more than"):
            parse(query)


@pytest.mark.parametrize(
    "query",
    [
        "x" + "+x" * (MAX_HEIGHT - 1),
        "x" + " or x" * (MAX_HEIGHT - 1),
        "(" * (MAX_NESTING - 1) + "x" + ")" * (MAX_NESTING - 1),
        "sum(" * (MAX_NESTING - 1) + "x" + ")" * (MAX_NESTING - 1),
        "-abs(" * (MAX_NESTING // 2 - 1) + "x" + ")" * (MAX_NESTING // 2 - 1),
        "label_replace(" * (MAX_NESTING - 1) + "x" + ', "a", "b", "c", "d")' * (MAX_NESTING - 1),
    ],
    ids=["sums", "or", "parentheses", "aggregations", "signs", "calls"],
)
def test_the_highest_tree_that_is_read_is_printed_and_evaluated_too(memory, query):
    tree = parse(query)
    assert parse(format(tree)) is not None
    assert pretty(tree) and tree_of(tree)
    engine = Engine(memory("x 1 2 3"))
    assert len(engine.range(query, 0, 30_000, 15_000).value.labels) == 1


def test_a_long_query_says_how_long_it_may_be():
    with pytest.raises(QueryError, match="100,000"):
        parse(" " * (MAX_QUERY_CHARS + 1))


WORDS = st.sampled_from(
    [
        "up",
        "x:y",
        "sum",
        "by",
        "rate",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "5m",
        "1",
        "+",
        "^",
        "and",
        "on",
        "bool",
        "offset",
        "@",
        "start",
        ",",
        ":",
        '"a"',
        "a",
        "=",
        "=~",
        "==",
        "group_left",
        "without",
        "-",
        "topk",
        "Inf",
        "0x",
        "#",
    ]
)


@settings(max_examples=300)
@given(st.lists(WORDS, max_size=14).map(" ".join))
@example("a @ start ( ) offset")
def test_any_words_are_a_tree_or_a_query_error(query):
    try:
        parse(query)
    except QueryError as error:
        assert error.marked() or not query.strip() or "no expression" in error.reason


# --- agreement with another parser ------------------------------------------------------------------------------------

_MATCH_OPS = {"Equal": "EQUAL", "NotEqual": "NOT_EQUAL", "Re": "REGEX", "NotRe": "NOT_REGEX"}
_CARDS = {
    "OneToOne": "one-to-one",
    "ManyToOne": "many-to-one",
    "OneToMany": "one-to-many",
    "ManyToMany": "many-to-many",
}


def _ms(duration: datetime.timedelta | None) -> int:
    return 0 if duration is None else round(duration / datetime.timedelta(milliseconds=1))


def _name(value: object) -> str:
    return str(value).rpartition(".")[2]


def _at(at) -> object:
    if at is None:
        return None
    return round(at.at.timestamp() * 1_000) if at.at is not None else _name(at.type).lower()


def oracle(expr) -> object:
    """The tree of the other parser in the form of `shape`."""
    match type(expr).__name__:
        case "NumberLiteral":
            return "NaN" if math.isnan(expr.val) else expr.val
        case "StringLiteral":
            return ("string", expr.val)
        case "VectorSelector":
            matchers = [(each.name, _MATCH_OPS[_name(each.op)], each.value) for each in expr.matchers.matchers]
            matchers += [("__name__", "EQUAL", expr.name)] if expr.name is not None else []
            return ("selector", tuple(sorted(matchers)), _ms(expr.offset), _at(expr.at))
        case "MatrixSelector":
            return ("range", oracle(expr.vector_selector), _ms(expr.range))
        case "SubqueryExpr":
            step_ms = None if expr.step is None else _ms(expr.step)
            return ("subquery", oracle(expr.expr), _ms(expr.range), step_ms, _ms(expr.offset), _at(expr.at))
        case "Call":
            return (expr.func.name, *map(oracle, expr.args))
        case "UnaryExpr":
            return ("-", oracle(expr.expr))
        case "ParenExpr":
            return ("()", oracle(expr.expr))
        case "AggregateExpr":
            modifier = expr.modifier
            labels = () if modifier is None else tuple(modifier.labels)
            kind = "without" if modifier is not None and _name(modifier.type) == "Without" else "by"
            param = () if expr.param is None else (oracle(expr.param),)
            return (str(expr.op), kind, labels, *param, oracle(expr.expr))
        case "BinaryExpr":
            return _oracle_binary(expr)
    raise AssertionError(expr)


def _oracle_binary(expr) -> object:
    left, right, modifier = oracle(expr.lhs), oracle(expr.rhs), expr.modifier
    returns_bool = modifier is not None and modifier.return_bool
    how: tuple = ()
    if _is_vector(left) and _is_vector(right):
        card, on, labels, include = "one-to-one", False, (), ()
        if str(expr.op) in ("and", "or", "unless"):
            card = "many-to-many"
        if modifier is not None:
            card = _CARDS[_name(modifier.card)] if card == "one-to-one" else card
            include = tuple(modifier.group_labels or ())
            if modifier.matching is not None:
                on = _name(modifier.matching.type) == "Include"
                labels = tuple(modifier.matching.labels)
        how = (card, on, labels, include)
    return (str(expr.op), left, right, returns_bool, how)


def _is_vector(shown: object) -> bool:
    """Whether a shape is that of an instant vector."""
    if not isinstance(shown, tuple):
        return False
    head = shown[0]
    if head == "()" or (head in ("-", "+") and len(shown) == 2):
        return _is_vector(shown[1])
    if len(shown) == 5 and isinstance(shown[3], bool):
        return _is_vector(shown[1]) or _is_vector(shown[2])
    return head not in ("string", "range", "subquery", "scalar", "time", "pi")


def _agrees(query: str) -> bool:
    """Whether both read the same, for a query that both accept."""
    return shape(parse(query)) == oracle(promql_parser.parse(query))


TEAMS = (TESTDATA / "written_by_teams.promql").read_text().splitlines()[1:]
DIFFERENT = {
    "0X_1f": "it knows no underscores",
    "1_000": "it knows no underscores",
    "0_7": "it knows no underscores",
    "1.5e-3_0": "it knows no underscores",
    "foo offset 0 offset 2m": "it refuses a second offset though the first is nothing",
    "foo @ -1": "it has no times before 1970",
    "foo @ -1m": "it has no times before 1970",
    'foo{a="\\xff"}': "it does not replace bytes that are no UTF-8",
    'foo{a="\\377"}': "it does not replace bytes that are no UTF-8",
    "sum by (a:b) (foo)": "it takes no colon in a label's name; Prometheus 3 does",
    "sum by (inf) (foo)": "it, like Prometheus, takes inf for a number here; nothing is gained by refusing it",
    "+foo": "it drops the sign, which changes nothing but the text",
    "0x1FFFFFFFFFFFFFFFFF": "it, like Prometheus, refuses whole numbers above 64 bits",
}
"""Queries that the other parser refuses or reads in another way than Prometheus, and why."""


@pytest.mark.parametrize("query", TEAMS)
def test_queries_of_teams_are_read_as_another_parser_reads_them(query):
    assert _agrees(query)


def _canonical() -> list[str]:
    lines = (TESTDATA / "canonical.txt").read_text().splitlines()[1:]
    return [line for line in lines if not line.startswith("    ")]


@pytest.mark.parametrize("query", [query for query in _canonical() if query not in DIFFERENT])
def test_every_form_of_the_language_is_read_as_another_parser_reads_it(query):
    assert _agrees(query)


@pytest.mark.parametrize(("query", "why"), DIFFERENT.items())
def test_the_known_differences_are_still_there(query, why):
    parse(query)
    try:
        agrees = _agrees(query)
    except BaseException as error:  # a panic in Rust is no Exception
        assert type(error).__name__ in ("ValueError", "PanicException"), why
        agrees = False
    assert not agrees, why


NAMES = st.sampled_from(["up", "job:x:rate5m", "sum", "by", "a_total"])
DURATIONS = st.sampled_from(["5m", "90", "1h30m", "1d", "250ms"])
MATCHERS = st.lists(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["job", "by", '"a.b"', "on"]),
        st.sampled_from(["=", "!=", "=~", "!~"]),
        st.sampled_from(['"x.+"', "'y'", "`z|`"]),
    ),
    max_size=2,
).map(lambda matchers: "{" + ",".join(matchers) + "}" if matchers else "")
SUFFIXES = st.lists(st.sampled_from([" offset 5m", " @ 10.5"]), max_size=2, unique=True).map("".join)
SELECTORS = st.builds("{}{}{}".format, NAMES, MATCHERS, SUFFIXES)
LABELS = st.sampled_from(["()", "(job)", "(job, by)"])
MATCHINGS = st.sampled_from(
    ["", " on (job)", " ignoring (job)", " on (job) group_left", " ignoring (job) group_right (by)"]
)
NUMBERS = st.sampled_from(["1", "0.5", "5m", "Inf", "0x1f", "2e3"])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["+", "-", "*", "/", "%", "^", "atan2"])
    comparisons = st.sampled_from(["==", "!=", "<=", ">", "== bool", "< bool"])
    return st.one_of(
        st.builds("({})".format, inner),
        st.builds("-{}".format, inner),
        st.builds("{} {}{} {}".format, inner, operators | comparisons, MATCHINGS, inner),
        st.builds("{} {} {}".format, inner, st.sampled_from(["and", "or", "unless", "AND on (job)"]), inner),
        st.builds("{} {} {}".format, inner, operators, NUMBERS),
        st.builds("{} {} {}".format, NUMBERS, operators | comparisons, inner),
        st.builds("sum by {} ({})".format, LABELS, inner),
        st.builds("topk(3, {}) without {}".format, inner, LABELS),
        st.builds("abs({})".format, inner),
        st.builds("clamp_max({}, {} + time())".format, inner, NUMBERS),
        st.builds("rate({}{}[{}])".format, NAMES, MATCHERS, DURATIONS),
        st.builds("max_over_time({}[{}:{}]{})".format, inner.map("({})".format), DURATIONS, DURATIONS, SUFFIXES),
        st.builds('label_replace({}, "a", "$1", "b", `(.*)`)'.format, inner),
    )


@settings(max_examples=400, deadline=None)
@given(st.recursive(SELECTORS, _grown, max_leaves=8))
def test_whatever_both_parsers_accept_they_read_alike(query):
    try:
        theirs = oracle(promql_parser.parse(query))
    except ValueError:
        # It refuses some of what the grammar allows, never the reverse: see the table above.
        return
    assert shape(parse(query)) == theirs
