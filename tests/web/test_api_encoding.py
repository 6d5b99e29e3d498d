from __future__ import annotations

import json
import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.model.labels import Labels
from trackside.server.series import Matrix, QueryResult, Scalar, Series, Text
from trackside.server.web.api.encoding import encoded, number_text, number_texts, time_text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (10.0, "10"),
        (100.05, "100.05"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e15, "1000000000000000"),
        (1e16, "10000000000000000"),
        (1.5e16, "15000000000000000"),
        (123456789012345680.0, "123456789012345680"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1e-6, "0.000001"),
        (1e-4, "0.0001"),
        (1e-5, "0.00001"),
        (1.234e-7, "1.234e-07"),
        (-2.5e-10, "-2.5e-10"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
    ],
)
def test_a_number_is_written_as_prometheus_does(value, expected):
    assert number_text(value) == expected
    assert number_texts(np.array([0.5, value, value])) == ["0.5", expected, expected]


@given(st.lists(st.floats(), max_size=30))
def test_a_number_is_the_shortest_that_reads_back(values):
    texts = number_texts(np.array(values, dtype=np.float64))

    assert texts == [number_text(value) for value in values]
    for value, text in zip(values, texts, strict=True):
        assert np.array_equal(float(text), value, equal_nan=True)
        if "e" in text:
            assert not 1e-6 <= abs(value) < 1e21
        elif math.isfinite(value):
            assert text == format(Decimal(repr(value)), "f").removesuffix(".0")


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, "0"),
        (1_764_079_335_000, "1764079335"),
        (1_764_079_335_500, "1764079335.5"),
        (1_764_079_335_001, "1764079335.001"),
        (10, "0.01"),
        (-1, "-0.001"),
        (-1_500, "-1.5"),
        (-2_000, "-2"),
    ],
)
def test_a_time_has_the_decimals_it_needs(milliseconds, expected):
    assert time_text(milliseconds) == expected
    assert float(expected) == milliseconds / 1_000


label_sets = st.dictionaries(st.text(min_size=1, max_size=5), st.text(min_size=1, max_size=5), max_size=3)


@st.composite
def matrices(draw, max_steps=4):
    label_list = draw(st.lists(label_sets, max_size=4))
    steps = sorted(draw(st.sets(st.integers(-(10**6), 10**13), min_size=1, max_size=max_steps)))
    shape = (len(label_list), len(steps))
    cells = shape[0] * shape[1]
    values = draw(st.lists(st.floats() | st.integers(-5, 5).map(float), min_size=cells, max_size=cells))
    present = draw(st.lists(st.booleans(), min_size=cells, max_size=cells))
    return Matrix(
        tuple(Labels.of(labels) for labels in label_list),
        np.array(steps, dtype=np.int64),
        np.array(values, dtype=np.float64).reshape(shape),
        np.array(present, dtype=np.bool_).reshape(shape),
    )


def slow(matrix: Matrix, is_range: bool) -> list[dict]:
    """The definition: an object for each point."""
    found = []
    for row, labels in enumerate(matrix.labels):
        points = [
            [int(step) / 1_000, number_text(float(matrix.values[row, at]))]
            for at, step in enumerate(matrix.steps_ms)
            if matrix.present[row, at]
        ]
        if points:
            value = {"values": points} if is_range else {"value": points[0]}
            found.append({"metric": labels.as_dict(), **value})
    return found


@given(matrices())
def test_a_range_is_written_as_its_definition_says(matrix):
    assert json.loads(encoded(QueryResult(matrix, is_range=True))) == {
        "status": "success",
        "data": {"resultType": "matrix", "result": slow(matrix, is_range=True)},
    }


@given(matrices(max_steps=1))
def test_a_vector_is_written_as_its_definition_says(matrix):
    assert json.loads(encoded(QueryResult(matrix, is_range=False))) == {
        "status": "success",
        "data": {"resultType": "vector", "result": slow(matrix, is_range=False)},
    }


@given(matrices(), st.integers(1, 5))
def test_a_limit_cuts_series_and_says_so(matrix, limit):
    whole = slow(matrix, is_range=True)

    answer = json.loads(encoded(QueryResult(matrix, is_range=True), limit))

    assert answer["data"]["result"] == whole[:limit]
    assert answer.get("warnings", []) == ([f"results truncated due to limit {limit}"] if len(whole) > limit else [])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(Scalar(1_500, 2.0), {"resultType": "scalar", "result": [1.5, "2"]}, id="a scalar"),
        pytest.param(Text(1_000, 'a"b\n'), {"resultType": "string", "result": [1, 'a"b\n']}, id="a string"),
        pytest.param((), {"resultType": "matrix", "result": []}, id="no series"),
        pytest.param(
            (
                Series(Labels.of(__name__="up"), np.array([1_000, 2_500]), np.array([1.0, math.nan])),
                Series(Labels.of(__name__="gone"), np.array([], dtype=np.int64), np.array([])),
            ),
            {
                "resultType": "matrix",
                "result": [{"metric": {"__name__": "up"}, "values": [[1, "1"], [2.5, "NaN"]]}],
            },
            id="samples as they were taken",
        ),
    ],
)
def test_other_kinds_of_answers(value, expected):
    assert json.loads(encoded(QueryResult(value, is_range=False)))["data"] == expected


def test_a_percent_sign_in_a_label_is_only_that():
    labels = (Labels.of(path="100%s%d%%"),)
    matrix = Matrix(labels, np.array([1_000]), np.ones((1, 1)), np.ones((1, 1), dtype=np.bool_))

    answer = json.loads(encoded(QueryResult(matrix, is_range=True)))

    assert answer["data"]["result"] == [{"metric": {"path": "100%s%d%%"}, "values": [[1, "1"]]}]


def test_what_cannot_be_encoded_breaks_no_answer():
    labels = (Labels.of(path="\ud800"),)
    matrix = Matrix(labels, np.array([1_000]), np.ones((1, 1)), np.ones((1, 1), dtype=np.bool_))

    assert json.loads(encoded(QueryResult(matrix, is_range=True)))["data"]["result"][0]["metric"] == {"path": "?"}


def test_warnings_and_infos_come_along():
    matrix = Matrix((), np.array([1_000]), np.ones((0, 1)), np.ones((0, 1), dtype=np.bool_))

    answer = json.loads(encoded(QueryResult(matrix, False, warnings=("w1", "w2"), infos=("i",))))

    assert (answer["warnings"], answer["infos"]) == (["w1", "w2"], ["i"])
