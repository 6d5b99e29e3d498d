"""What vanished and what appeared."""

import numpy as np

from trackside.server.scrape.staleness import NO_REFS, appeared, stale, vanished, without
from trackside.server.series import is_stale


def refs(*numbers):
    return np.array(numbers, dtype=np.int64)


def test_what_is_in_no_part_of_the_scrape_vanished():
    assert vanished(refs(1, 2, 3, 4), refs(2), refs(4)).tolist() == [1, 3]
    assert vanished(NO_REFS, refs(1)).tolist() == []


def test_what_was_not_there_appeared():
    assert appeared(refs(1, 2), refs(2, 3, 4)) == 2


def test_series_that_are_taken_are_left_out():
    kept, values = without(refs(1, 2, 3), np.array([0.1, 0.2, 0.3]), refs(2))
    assert (kept.tolist(), values.tolist()) == ([1, 3], [0.1, 0.3])
    same = refs(1)
    assert without(same, np.array([0.1]), refs(2))[0] is same


def test_markers_are_markers():
    assert is_stale(stale(3)).all()
