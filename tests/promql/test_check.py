"""Types: what functions and operators take and give."""

from __future__ import annotations

import pytest

from trackside.exceptions import QueryError
from trackside.server.promql.check import check, type_of
from trackside.server.promql.parser import parse
from trackside.server.promql.signatures import AGGREGATIONS, SIGNATURES
from trackside.server.promql.syntax import Call, NumberLiteral, Span, StringLiteral, ValueType, VectorSelector


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("1", ValueType.SCALAR),
        ("5m + 1", ValueType.SCALAR),
        ("-(1)", ValueType.SCALAR),
        ("1 > bool 2", ValueType.SCALAR),
        ("time()", ValueType.SCALAR),
        ("scalar(up)", ValueType.SCALAR),
        ('("text")', ValueType.STRING),
        ("up", ValueType.VECTOR),
        ("up + 1", ValueType.VECTOR),
        ("1 - up", ValueType.VECTOR),
        ("vector(1)", ValueType.VECTOR),
        ("sum(up)", ValueType.VECTOR),
        ("rate(up[5m])", ValueType.VECTOR),
        ("up[5m]", ValueType.MATRIX),
        ("up[5m:]", ValueType.MATRIX),
        ("(up[5m])", ValueType.MATRIX),
    ],
)
def test_every_expression_has_a_type(query, expected):
    expr = parse(query)
    assert type_of(expr) is expected
    assert check(expr, query) is expected


def _argument(kind: ValueType) -> str:
    return {ValueType.SCALAR: "1", ValueType.STRING: '"a"', ValueType.VECTOR: "up", ValueType.MATRIX: "up[5m]"}[kind]


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_a_function_takes_what_its_signature_says(name):
    signature = SIGNATURES[name]
    arguments = [_argument(kind) for kind in signature.args]
    for count in range(len(arguments) - signature.optional, len(arguments) + 1):
        assert type_of(parse(f"{name}({', '.join(arguments[:count])})")) is signature.returns
    repeated = f"{name}({', '.join([*arguments, *arguments[-1:]])})"
    if signature.variadic:
        parse(repeated)
    elif arguments:
        with pytest.raises(QueryError, match=rf'argument\(s\) in call to "{name}", got {len(arguments) + 1}'):
            parse(repeated)


@pytest.mark.parametrize("name", sorted(name for name, signature in SIGNATURES.items() if signature.args))
def test_a_function_refuses_what_its_signature_does_not_say(name):
    signature = SIGNATURES[name]
    for index, wanted in enumerate(signature.args):
        for given in set(ValueType) - {wanted}:
            arguments = [_argument(kind) for kind in signature.args]
            arguments[index] = _argument(given)
            query = f"{name}({', '.join(arguments)})"
            with pytest.raises(QueryError) as caught:
                parse(query)
            error = caught.value
            expected = f'expected type {wanted.value} in call to function "{name}", got {given.value}'
            assert error.reason.startswith(expected)
            assert query[error.start : error.end] == arguments[index]


@pytest.mark.parametrize("op", sorted(AGGREGATIONS))
def test_an_aggregation_takes_a_vector_and_its_parameter(op):
    kind = AGGREGATIONS[op]
    parse(f"{op}(up)" if kind is None else f"{op}({_argument(kind)}, up)")
    with pytest.raises(QueryError, match="expected type instant vector in aggregation expression, got range vector"):
        parse(f"{op}(up[5m])" if kind is None else f"{op}({_argument(kind)}, up[5m])")
    if kind is not None:
        with pytest.raises(QueryError, match=f"expected type {kind.value} in aggregation parameter, got instant"):
            parse(f"{op}(up, up)")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("rate(errors)", ": add a range, as in errors[5m]"),
        ("abs(errors[5m])", ": give it to a function such as rate() or avg_over_time() first"),
        ("histogram_quantil(0.9, x)", "; did you mean histogram_quantile?"),
        ("AVG_OVER_TIME(x[5m])", "; did you mean avg_over_time?"),
        ("frobnicate(x)", 'unknown function with name "frobnicate"'),
        ("holt_winters(x[5m], 1, 1)", "double_exponential_smoothing"),
        ("info(x)", "group_left"),
        ("sum(x)[5m]", "add a colon"),
    ],
)
def test_an_error_says_what_to_do(query, reason):
    with pytest.raises(QueryError) as caught:
        parse(query)
    assert caught.value.reason.endswith(reason) or reason in caught.value.reason


def test_a_hint_is_no_wild_guess():
    with pytest.raises(QueryError) as caught:
        parse("frobnicate(x)")
    assert "did you mean" not in caught.value.reason


def test_experimental_functions_are_marked():
    assert SIGNATURES["mad_over_time"].experimental
    assert not SIGNATURES["rate"].experimental


def test_a_tree_that_was_not_parsed_is_checked_too():
    up = VectorSelector("up", (), Span(5, 7))
    with pytest.raises(QueryError, match="expected type range vector"):
        check(Call("rate", (up,), Span(0, 8)))
    with pytest.raises(QueryError, match="expected at most 2"):
        check(Call("round", (up, NumberLiteral(1, Span(0, 1)), StringLiteral("", Span(0, 1))), Span(0, 8)))
