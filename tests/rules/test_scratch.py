"""A store in memory: in order, exact, and the same to a query as any other."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.rules.scratch import ScratchStore
from trackside.server.series import STALE, Series, is_stale

UP = Labels.of(__name__="up", job="a")
DOWN = Labels.of(__name__="down")
ANY = (Matcher("__name__", MatchOp.REGEX, ".+"),)


def points(store: ScratchStore, matchers=ANY, start_ms=0, end_ms=1 << 40) -> dict[Labels, list[tuple[int, float]]]:
    return {
        frame.labels[0]: list(zip(frame.times_ms.tolist(), frame.values[:, 0].tolist(), strict=True))
        for frame in store.select(matchers, start_ms, end_ms)
    }


@given(st.lists(st.tuples(st.integers(0, 60), st.floats(allow_nan=False)), max_size=60), st.integers(0, 60))
def test_what_came_in_order_is_there_and_nothing_else(samples, start_ms):
    store, kept = ScratchStore(), []
    refs = store.refs([UP])
    for at_ms, value in samples:
        appended = store.append_row("g", at_ms, refs, np.array([value]))
        late = bool(kept) and at_ms <= kept[-1][0]
        assert (appended.added, appended.duplicate) == (int(not late), int(late))
        kept += [] if late else [(at_ms, value)]
    expected = [(at_ms, value) for at_ms, value in kept if at_ms >= start_ms]
    assert points(store, start_ms=start_ms) == ({UP: expected} if expected else {})


def test_an_end_marker_keeps_its_bits():
    store = ScratchStore()
    store.append_row("g", 1, store.refs([UP]), np.array([STALE]))
    (frame,) = store.select(ANY, 0, 9)
    assert is_stale(frame.values).all()
    assert frame.has_markers


def test_series_and_labels_of_a_time():
    store = ScratchStore()
    store.append_series("g", [Series(UP, np.array([1, 2]), np.array([1.0, 2.0]))])
    store.append_series("g", [Series(DOWN, np.array([5]), np.array([1.0]))])
    assert store.series(ANY, 0, 9) == [DOWN, UP]
    assert store.series(ANY, 0, 3) == [UP]
    assert store.label_names(ANY, 0, 9) == ["__name__", "job"]
    assert store.label_values("job", ANY, 0, 9) == ["a"]
    assert points(store, (Matcher("__name__", MatchOp.EQUAL, "down"),)) == {DOWN: [(5, 1.0)]}
    assert points(store, (Matcher("__name__", MatchOp.EQUAL, "nosuch"),)) == {}
