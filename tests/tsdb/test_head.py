"""What is taken and what is refused, and how pushed series find their frames."""

from __future__ import annotations

import numpy as np
import pytest

from trackside.exceptions import LimitError
from trackside.model.labels import Labels
from trackside.server.series import HOLE, STALE, Series, is_stale
from trackside.server.storage import Appended

MINUTE_MS = 60_000
WINDOW_MS = 5 * MINUTE_MS


@pytest.mark.parametrize(
    ("time_ms", "value", "expected"),
    [
        pytest.param(WINDOW_MS + 2_000, 1.0, Appended(1), id="newer"),
        pytest.param(WINDOW_MS + 1_000, 1.0, Appended(0), id="the same again"),
        pytest.param(WINDOW_MS + 1_000, 2.0, Appended(0, duplicate=1), id="another value at that time"),
        pytest.param(WINDOW_MS, 1.0, Appended(1), id="late"),
        pytest.param(1_000, 1.0, Appended(1), id="at the edge of the window"),
        pytest.param(999, 1.0, Appended(0, out_of_order=1), id="beyond the window"),
    ],
)
@pytest.mark.parametrize("pushed", [False, True])
def test_a_sample_after_another(bench, time_ms, value, expected, pushed):
    bench.row("g", WINDOW_MS + 1_000, a=1.0, b=5.0)
    assert (bench.push("g", a={time_ms: value}) if pushed else bench.row("g", time_ms, a=value)) == expected
    stored = {WINDOW_MS + 1_000: 1.0} | ({time_ms: value} if expected.added else {})
    assert bench.samples() == {"a": stored, "b": {WINDOW_MS + 1_000: 5.0}}


def test_a_series_that_lags_does_not_hold_up_the_others(bench):
    bench.row("g", 10 * WINDOW_MS, a=1.0)
    assert bench.row("g", WINDOW_MS, a=2.0, b=2.0) == Appended(1, out_of_order=1)
    assert bench.samples() == {"a": {10 * WINDOW_MS: 1.0}, "b": {WINDOW_MS: 2.0}}


def test_the_window_holds_across_a_restart_and_counts_from_each_series(bench):
    bench.row("g", 0, a=1.0, b=1.0)
    bench.row("g", 2 * WINDOW_MS, b=1.0)
    bench.seal(1 << 40)
    bench.reopen()
    # The block ends with the sample of b; a is not late for it.
    assert bench.row("g", WINDOW_MS // 2, a=1.0, b=1.0) == Appended(1, out_of_order=1)


def test_samples_older_than_the_retention_are_refused(bench):
    bench.reopen(retention="1h")
    bench.now_ms = 100 * MINUTE_MS
    assert bench.row("g", 39 * MINUTE_MS, a=1.0, b=1.0) == Appended(0, too_old=2)
    assert bench.push("g", a={39 * MINUTE_MS: 1.0, 41 * MINUTE_MS: 1.0}) == Appended(1, too_old=1)


def test_a_clock_set_back_loses_no_more_than_the_window_says(bench):
    for time_ms in (60_000, 75_000, 50_000, 65_000, 75_000, 80_000):
        bench.row("g", time_ms, a=float(time_ms))
    assert bench.samples() == {"a": {t: float(t) for t in (50_000, 60_000, 65_000, 75_000, 80_000)}}


def test_a_hole_is_no_sample_and_a_staleness_marker_is_one(bench):
    assert bench.row("g", 1_000, a=HOLE, b=STALE) == Appended(1)
    (frame,) = bench.frames()
    assert frame.labels == tuple(bench.labels("b"))
    assert is_stale(frame.values).all()
    assert frame.has_markers


def test_nothing_is_nothing(bench):
    assert bench.tsdb.append_row("g", 0, np.empty(0, np.int64), np.empty(0)) == Appended(0)
    assert bench.tsdb.append_series("g", []) == Appended(0)
    assert bench.push("g", a={}) == Appended(0)
    assert bench.frames() == []


def test_a_series_that_joins_has_holes_before(bench):
    bench.row("g", 1_000, a=1.0)
    bench.row("g", 2_000, a=2.0, b=2.0)
    bench.row("g", 3_000, b=3.0)
    (frame,) = bench.frames()
    assert len(frame.labels) == 2
    assert bench.samples() == {"a": {1_000: 1.0, 2_000: 2.0}, "b": {2_000: 2.0, 3_000: 3.0}}


def test_a_full_frame_has_no_markers_in_head_and_block(bench):
    for time_ms in range(0, 10_000, 1_000):
        bench.row("g", time_ms, a=1.0, b=2.0)
    assert [frame.has_markers for frame in bench.frames()] == [False]
    bench.seal(1 << 40)
    for time_ms in range(10_000, 20_000, 1_000):
        bench.row("g", time_ms, b=2.0, a=1.0)
    (frame,) = bench.frames()
    assert not frame.has_markers
    assert frame.values.shape == (20, 2)


def test_a_series_that_moves_to_another_group_stays_one_series(bench):
    bench.row("old", 1_000, a=1.0, b=1.0)
    bench.seal(1 << 40)
    bench.row("new", 2_000, a=2.0, c=2.0)
    bench.row("old", 3_000, b=3.0)
    assert bench.samples() == {"a": {1_000: 1.0, 2_000: 2.0}, "b": {1_000: 1.0, 3_000: 3.0}, "c": {2_000: 2.0}}
    names = [sorted(labels.get("n") for labels in frame.labels) for frame in bench.frames()]
    assert sorted(names) == [["a"], ["b"], ["c"]]


def test_pushed_series_with_the_same_times_share_a_frame(bench):
    bench.push("sender", a={1: 1.0, 2: 2.0}, b={1: 1.0, 2: 2.0}, c={5: 1.0})
    bench.push("sender", d={1: 4.0, 2: 4.0})
    bench.push("sender", c={6: 1.0}, a={3: 1.0}, b={3: 1.0}, d={3: 1.0}, e={3: 1.0})
    assert sorted(sorted(labels.get("n") for labels in frame.labels) for frame in bench.frames()) == [
        ["a", "b", "d", "e"],
        ["c"],
    ]
    bench.reopen()
    bench.push("sender", a={4: 1.0}, b={4: 1.0}, c={7: 1.0})
    assert len(bench.frames()) == 2


def test_pushed_series_that_part_ways_do_not_make_a_table_of_holes(bench):
    names = [f"s{number}" for number in range(300)]
    bench.push("sender", **{name: {0: 1.0} for name in names})
    for step in range(1, 12):
        for number, name in enumerate(names):
            bench.push("sender", **{name: {step * 1_000 + number: 1.0}})
    stats = bench.tsdb.stats()
    assert stats.head_samples == 300 * 12
    assert stats.head_bytes < 8 * (8 * stats.head_samples + (1 << 18))
    assert all(len(there) == 12 for there in bench.samples().values())


def test_series_that_come_and_go_do_not_make_a_table_of_holes(bench):
    for step in range(400):
        bench.row("g", step * 1_000, **{f"s{step * 20 + number}": 1.0 for number in range(20)})
    stats = bench.tsdb.stats()
    assert stats.head_bytes < 8 * (8 * stats.head_samples + (1 << 19))
    assert len(bench.samples()) == 8_000


def test_the_same_series_twice_in_a_push(bench):
    labels = bench.labels("a")[0]
    pushed = [
        Series(labels, np.array([1, 2]), np.array([1.0, 2.0])),
        Series(labels, np.array([1, 2]), np.array([1.0, 3.0])),
        Series(labels, np.array([2, 3]), np.array([2.0, 3.0])),
    ]
    assert bench.tsdb.append_series("g", pushed) == Appended(3, duplicate=1)
    assert bench.samples() == {"a": {1: 1.0, 2: 2.0, 3: 3.0}}


def test_a_push_out_of_order_in_itself(bench):
    pushed = [Series(bench.labels("a")[0], np.array([3, 1, 2, 1]), np.array([3.0, 1.0, 2.0, 1.0]))]
    assert bench.tsdb.append_series("g", pushed) == Appended(3)
    assert bench.samples() == {"a": {1: 1.0, 2: 2.0, 3: 3.0}}


def test_the_store_holds_no_more_series_than_it_may(bench):
    bench.reopen(max_series=2)
    bench.row("g", 1_000, a=1.0, b=1.0)
    with pytest.raises(LimitError, match="max_series is 2"):
        bench.row("g", 2_000, c=1.0)
    assert bench.row("g", 2_000, a=1.0) == Appended(1)


def test_the_same_labels_have_the_same_ref_forever(bench):
    labels = [Labels.of(__name__="m", path="/\x00ü\ud800"), Labels()]
    before = bench.tsdb.refs(labels).tolist()
    bench.tsdb.append_row("g", 1_000, bench.tsdb.refs(labels), np.ones(2))
    bench.reopen()
    assert bench.tsdb.refs(labels).tolist() == before
    assert set(bench.frames()[0].labels) == set(labels)


def test_a_ref_that_was_never_given_is_the_callers_bug(bench):
    with pytest.raises(ValueError, match="no series with the ref 99"):
        bench.tsdb.append_row("g", 1_000, np.array([99]), np.ones(1))


def test_arrays_handed_out_do_not_change(bench):
    for time_ms in range(0, 5_000, 1_000):
        bench.row("g", time_ms, a=float(time_ms))
    (before,) = bench.frames()
    copy = before.times_ms.copy(), before.values.copy()
    bench.row("g", 2_500, a=1.0, b=1.0)
    for time_ms in range(5_000, 100_000, 1_000):
        bench.row("g", time_ms, a=7.0)
    assert (before.times_ms == copy[0]).all()
    assert (before.values == copy[1]).all()
