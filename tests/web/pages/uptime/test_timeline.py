import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.server.probes.state import Condition
from trackside.server.probes.store import Change
from trackside.server.web.pages.uptime.timeline import spans_of, timeline

UP, DOWN, FLAPPING, MAINTENANCE, UNKNOWN = (
    Condition(word) for word in ("up", "down", "flapping", "maintenance", "unknown")
)


def changes(*pairs):
    return [Change(at, condition, "refused" if condition is DOWN else "") for at, condition in pairs]


CASES = [
    pytest.param([], None, 0, 0, id="nothing known"),
    pytest.param([(0, UP)], 1.0, 0, 0, id="up all along"),
    pytest.param([(-500, UP)], 1.0, 0, 0, id="up since before"),
    pytest.param([(0, UP), (50, DOWN), (75, UP)], 0.75, 25, 1, id="down for a quarter"),
    pytest.param([(50, UP)], 1.0, 0, 0, id="what is unknown does not count"),
    pytest.param([(0, UP), (50, MAINTENANCE)], 1.0, 0, 0, id="nor does maintenance"),
    pytest.param([(0, UP), (20, DOWN), (40, FLAPPING), (60, UP)], 0.6, 40, 1, id="down and flapping is one down"),
    pytest.param([(-10, DOWN), (25, UP)], 0.75, 25, 1, id="down since before"),
    pytest.param([(0, UP), (90, DOWN)], 0.9, 10, 1, id="down at the end"),
    pytest.param([(0, DOWN), (10, MAINTENANCE), (20, DOWN), (30, UP)], 70 / 90, 20, 2, id="maintenance ends a down"),
]


@pytest.mark.parametrize(("pairs", "share", "down_ms", "downs"), CASES)
def test_shares_and_downs(pairs, share, down_ms, downs):
    found = timeline(changes(*pairs), 0, 100, 10)

    assert (found.up_share, found.down_ms, len(found.downs)) == (share, down_ms, downs)
    assert len(found.bars) == 10


def test_a_down_says_since_when_how_long_and_why():
    (latest, first) = timeline(changes((0, UP), (20, DOWN), (30, UP), (90, DOWN)), 0, 100).downs

    assert (first.start_ms, first.end_ms, first.length_ms, first.reason) == (20, 30, 10, "refused")
    assert (latest.start_ms, latest.end_ms, latest.length_ms) == (90, None, 10)


def test_a_bar_shows_the_worst_of_its_time():
    bars = timeline(changes((0, UP), (55, DOWN), (56, UP), (80, MAINTENANCE)), 0, 100, 10).bars

    assert [bar.condition for bar in bars] == [*[UP] * 5, DOWN, UP, UP, MAINTENANCE, MAINTENANCE]


MOMENTS = st.lists(st.tuples(st.integers(-50, 150), st.sampled_from(Condition)), max_size=12).map(
    lambda pairs: sorted(pairs, key=lambda pair: pair[0])
)


@given(MOMENTS, st.integers(1, 30))
def test_it_is_what_looking_at_each_millisecond_gives(pairs, count):
    def at(ms):
        return next((condition for when, condition in reversed(pairs) if when <= ms), UNKNOWN)

    moments = [at(ms) for ms in range(100)]
    found = timeline(changes(*pairs), 0, 100, count)
    spans = spans_of(changes(*pairs), 0, 100)

    assert [span.condition for span in spans for _ in range(span.length_ms)] == moments
    up, down = moments.count(UP), moments.count(DOWN) + moments.count(FLAPPING)
    assert found.down_ms == down
    assert found.up_share == (up / (up + down) if up + down else None)
