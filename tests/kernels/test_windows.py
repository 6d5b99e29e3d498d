"""Windows of frames with and without holes."""

from __future__ import annotations

import numpy as np
import pytest

from trackside.server.kernels.windows import CHUNK_ELEMENTS, Bounds, batches, prefix_counts, reduce_windows
from trackside.server.series import HOLE, STALE


def dense(values, lo, hi):
    values = np.asarray(values, dtype=float)
    bounds = Bounds(np.array(hi) * 10 - 1, 0)
    [(_, windows)] = list(batches(np.arange(len(values)) * 10, values[:, None], False, bounds))
    return type(windows)(windows.times_ms, windows.values, np.array(lo), np.array(hi), windows.ends_ms, 0, (len(lo), 1))


def test_a_window_is_open_at_the_left_and_closed_at_the_right():
    times_ms = np.array([0, 10, 20, 30])
    [(_, windows)] = list(batches(times_ms, np.zeros((4, 1)), False, Bounds(np.array([20, 30]), 20)))
    assert windows.lo.tolist() == [1, 2]
    assert windows.hi.tolist() == [3, 4]


def test_a_column_with_holes_is_closed_up():
    values = np.array([[1.0, 1.0], [2.0, HOLE], [3.0, 3.0]])
    times_ms = np.array([10, 20, 30])
    found = list(batches(times_ms, values, True, Bounds(np.array([20, 30]), 100)))
    assert [np.arange(2)[columns].tolist() for columns, _ in found] == [[0], [1]]
    (_, whole), (_, holed) = found
    assert whole.counts().tolist() == [2, 3]
    assert holed.counts().tolist() == [1, 2]
    assert holed.values.tolist() == [1.0, 3.0]
    assert holed.times_ms.tolist() == [10, 30]


def test_rows_without_any_sample_do_not_set_the_columns_apart():
    values = np.array([[1.0, 1.0], [HOLE, STALE], [3.0, 3.0]])
    [(columns, windows)] = list(batches(np.array([10, 20, 30]), values, True, Bounds(np.array([20, 30]), 100)))
    assert columns.tolist() == [0, 1]
    assert windows.values.tolist() == [[1.0, 1.0], [3.0, 3.0]]
    assert windows.counts().tolist() == [1, 2]


def test_a_frame_of_markers_only_has_empty_windows():
    found = list(batches(np.array([10]), np.array([[HOLE, STALE]]), True, Bounds(np.array([20]), 100)))
    assert [windows.present().tolist() for _, windows in found] == [[[False, False]]]


@pytest.mark.parametrize(
    "values", [pytest.param([[STALE]], id="alone"), pytest.param([[1.0, STALE], [2.0, HOLE]], id="beside others")]
)
def test_there_is_a_row_to_gather_where_no_window_has_a_sample(values):
    times_ms = np.array([10, 20])[: len(values)]
    for _, windows in batches(times_ms, np.array(values), True, Bounds(np.array([20, 30]), 100)):
        assert len(windows.at(windows.hi - 1)) == len(windows.times_at(windows.lo)) == 2


def test_wide_frames_come_in_chunks_that_cover_every_column_once():
    rows = 600
    columns = 3 * CHUNK_ELEMENTS // rows
    seen = np.zeros(columns, dtype=int)
    for part, windows in batches(np.arange(rows), np.zeros((rows, columns)), False, Bounds(np.array([5]), 3)):
        seen[part] += 1
        assert windows.values.size <= CHUNK_ELEMENTS
    assert (seen == 1).all()


@pytest.mark.parametrize("length", [0, 1, 2, 3, 7, 8, 9, 40])
def test_reduce_windows_sees_each_sample_once_and_in_order(length):
    texts = np.array([f"{i}." for i in range(50)], dtype=object)
    lo = np.arange(0, 50 - length)
    windows = dense(np.zeros(50), lo, lo + length)

    def join(left, right):
        return (left[0] + right[0],)

    (result,) = reduce_windows((texts,), windows, join)
    if length:
        assert result.tolist() == ["".join(texts[i : i + length]) for i in lo]


def test_windows_of_different_lengths_are_reduced_together():
    windows = dense(np.zeros(20), [0, 3, 5, 5], [13, 3, 6, 20])
    (result,) = reduce_windows((np.arange(20.0)[:, None],), windows, lambda a, b: (a[0] + b[0],))
    assert result[[0, 2, 3], 0].tolist() == [sum(range(13)), 5, sum(range(5, 20))]


def test_prefix_counts_start_at_zero():
    assert prefix_counts(np.array([True, False, True])).tolist() == [0, 1, 1, 2]
