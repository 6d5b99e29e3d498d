"""The JSON of `parse_query`, as Prometheus 3.5 answers."""

from __future__ import annotations

import json

import pytest

from trackside.server.promql.parser import parse
from trackside.server.promql.tree import tree_of

X = {
    "type": "vectorSelector",
    "name": "x",
    "matchers": [{"name": "__name__", "type": "=", "value": "x"}],
    "offset": 0,
    "timestamp": None,
    "startOrEnd": None,
}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("-5m", {"type": "numberLiteral", "val": "-300"}),
        ("+Inf", {"type": "numberLiteral", "val": "+Inf"}),
        ("1e-7", {"type": "numberLiteral", "val": "0.0000001"}),
        ('"text"', {"type": "stringLiteral", "val": "text"}),
        ("x", X),
        ("(-x)", {"type": "parenExpr", "expr": {"type": "unaryExpr", "op": "-", "expr": X}}),
        (
            'x{a!~"b"} @ 3 offset -5m',
            X
            | {
                "matchers": [{"name": "a", "type": "!~", "value": "b"}, *X["matchers"]],
                "offset": -300_000,
                "timestamp": 3_000,
            },
        ),
        ("x[5m] @ end()", X | {"type": "matrixSelector", "range": 300_000, "startOrEnd": "end"}),
        (
            "x[1h:1m] offset 1m",
            {
                "type": "subquery",
                "expr": X,
                "range": 3_600_000,
                "step": 60_000,
                "offset": 60_000,
                "timestamp": None,
                "startOrEnd": None,
            },
        ),
        (
            "topk without (a) (3, x)",
            {
                "type": "aggregation",
                "op": "topk",
                "expr": X,
                "param": {"type": "numberLiteral", "val": "3"},
                "grouping": ["a"],
                "without": True,
            },
        ),
        (
            "round(x)",
            {
                "type": "call",
                "func": {"name": "round", "argTypes": ["vector", "scalar"], "variadic": 1, "returnType": "vector"},
                "args": [X],
            },
        ),
        (
            "x > bool on (a) group_left (b) x",
            {
                "type": "binaryExpr",
                "op": ">",
                "lhs": X,
                "rhs": X,
                "matching": {"card": "many-to-one", "labels": ["a"], "on": True, "include": ["b"]},
                "bool": True,
            },
        ),
        (
            "x + 1",
            {
                "type": "binaryExpr",
                "op": "+",
                "lhs": X,
                "rhs": {"type": "numberLiteral", "val": "1"},
                "matching": None,
                "bool": False,
            },
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tree_of(query, expected):
    tree = tree_of(parse(query))
    assert tree == expected
    json.dumps(tree)
