"""Charts: what is drawn, in which colour, and safely."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from trackside.model.labels import Labels
from trackside.server.series import Matrix
from trackside.server.web.chart import Chart, Line, lines_of, onto_grid, same_hues

NAN = float("nan")


def matrix(rows: dict[str, list[float | None]]) -> Matrix:
    values = np.array([[0.0 if v is None else v for v in row] for row in rows.values()])
    present = np.array([[v is not None for v in row] for row in rows.values()])
    labels = tuple(Labels.of(path=path) for path in rows)
    return Matrix(labels, np.arange(values.shape[1], dtype=np.int64) * 1000, values, present)


def chart(*lines: Line, **more: object) -> Chart:
    points = len(lines[0].values) if lines else 1
    whole = Chart("c", "Title", "rate", 0, (points - 1) * 1000, 1000, lines)
    return replace(whole, **more)  # type: ignore[arg-type]


def test_the_highest_lines_come_first_and_the_rest_is_counted() -> None:
    lines, hidden = lines_of(matrix({"/low": [1, 1], "/high": [9, 9], "/middle": [5, 5]}), ("path",), limit=2)

    assert [(line.name, line.hue) for line in lines] == [("/high", 0), ("/middle", 1)]
    assert hidden == 1


def test_what_is_absent_or_no_number_is_a_gap() -> None:
    lines, _ = lines_of(matrix({"/a": [1.0, None, NAN, float("inf"), 2.0]}), ("path",), limit=5)

    assert lines[0].values == (1.0, None, None, None, 2.0)
    assert lines[0].last == 2.0


def test_no_series_no_lines() -> None:
    empty = Matrix((), np.array([0], dtype=np.int64), np.zeros((0, 1)), np.zeros((0, 1), dtype=np.bool_))

    assert lines_of(empty, limit=5) == ((), 0)


def test_a_backend_that_leaves_steps_out_is_put_back_on_the_grid() -> None:
    sparse = Matrix(
        (Labels.of(path="/a"),), np.array([1000, 3000], dtype=np.int64), np.array([[1.0, 3.0]]), np.ones((1, 2), bool)
    )

    grid = onto_grid(sparse, 0, 3000, 1000)

    assert grid.values.tolist() == [[0.0, 1.0, 0.0, 3.0]]
    assert grid.present.tolist() == [[False, True, False, True]]


def test_a_name_has_one_colour_on_the_whole_page() -> None:
    first, second = same_hues(
        [
            chart(Line("/a", (1.0,), hue=0), Line("/b", (1.0,), hue=1)),
            chart(Line("/b", (1.0,), hue=0), Line("/c", (1.0,), hue=1)),
        ]
    )

    assert [line.hue for line in first.lines] == [0, 1]
    assert [line.hue for line in second.lines] == [1, 2]


def test_the_numbers_in_the_page_cannot_end_the_script_element() -> None:
    hostile = '</script><script>alert("&")</script>'
    text = str(chart(Line(hostile, (1.0, None))).data())

    assert "<" not in text
    assert json.loads(text)["lines"] == [{"name": hostile, "hue": 0, "values": [1.0, None]}]


def test_the_preview_breaks_the_line_at_a_gap() -> None:
    picture = str(chart(Line("/a", (0.0, 1.0, None, 1.0))).svg())

    assert 'd="M0 159L200 1M600 1"' in picture


@pytest.mark.parametrize(
    ("values", "stretched", "bounds"),
    [
        pytest.param((2.0, 4.0), False, (0.0, 4.0), id="from zero"),
        pytest.param((-2.0, 4.0), False, (-2.0, 4.0), id="below zero"),
        pytest.param((2.0, 4.0), True, (2.0, 4.0), id="stretched"),
        pytest.param((0.0, 0.0), False, (0.0, 1.0), id="all zero"),
        pytest.param((None, None), False, (0.0, 1.0), id="nothing"),
    ],
)
def test_bounds(values: tuple[float | None, ...], stretched: bool, bounds: tuple[float, float]) -> None:
    assert chart(Line("/a", values), stretched=stretched).bounds() == bounds
