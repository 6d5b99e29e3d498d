"""The chart as a picture: what is drawn where, and that nothing breaks it."""

import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from trackside.server.charts.course import Course
from trackside.server.charts.picture import FIRED, GROUND, LIMIT, LINE, MAX_BYTES, png

LEFT, RIGHT, BOTTOM = 92, 940, 196
"""Of what is drawn within the axes, in dots."""


def opened(course):
    made = png(course)
    assert 0 < len(made) <= MAX_BYTES
    image = Image.open(io.BytesIO(made))
    image.load()
    assert (image.format, image.size) == ("PNG", (960, 240))
    return np.asarray(image.convert("RGB")).astype(int)


def near(dots, colour):
    """Where the picture has a colour, or nearly so: few are left after it was made small."""
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])
    return np.abs(dots - wanted).max(axis=2) < 16


def test_a_rising_line_its_limit_and_when_it_fired(course):
    dots = opened(course(list(range(61)), limit=45, fired=15))
    line, limit, fired = (near(dots, colour) for colour in (LINE, LIMIT, FIRED))
    rows, columns = np.nonzero(line)
    early, late = rows[columns < LEFT + 100].mean(), rows[columns > RIGHT - 100].mean()
    assert early > late + 80
    limit_rows = np.nonzero(limit[:, LEFT:RIGHT].sum(axis=1) > 300)[0]
    assert len(limit_rows) in (2, 3)
    # The line crosses the limit where the shade begins: a quarter of the hour before its end.
    shaded = np.nonzero(fired[20, :])[0]
    assert (shaded.min(), shaded.max()) == pytest.approx((LEFT + (RIGHT - LEFT) * 0.75, RIGHT), abs=4)
    crossing = columns[np.abs(rows - limit_rows.mean()) < 3].mean()
    assert crossing == pytest.approx(shaded.min(), abs=20)
    # It has a ground of its own, whatever it is shown on.
    assert near(dots, GROUND).mean() > 0.6


@pytest.mark.parametrize(
    ("about", "is_shaded"),
    [
        pytest.param({"fired": 8}, True, id="fires"),
        pytest.param({"fired": 500}, True, id="since long before"),
        pytest.param({"fired": 40, "over": 20}, True, id="is over"),
        pytest.param({"fired": 500, "over": 400}, False, id="was over long before"),
        pytest.param({"fired": 0}, True, id="just now"),
        pytest.param({"fired": -5}, False, id="not yet, by a clock that was set back"),
    ],
)
def test_when_it_fired_is_shaded(course, about, is_shaded):
    assert near(opened(course([1, 2] * 20, **about)), FIRED).any() == is_shaded


def test_without_a_limit_none_is_drawn(course):
    assert not near(opened(course([1, 2, 3])), LIMIT).any()


def test_a_gap_stays_open(course):
    dots = opened(course([5.0] * 20 + [math.nan] * 20 + [5.0] * 21, fired=1))
    drawn = near(dots, LINE)[:, LEFT:RIGHT].any(axis=0)
    middle = slice(int(len(drawn) * 0.36), int(len(drawn) * 0.62))
    assert not drawn[middle].any()
    assert drawn[:250].all()


@pytest.mark.parametrize(
    "values",
    [[], [1], [math.nan] * 61, [math.inf, -math.inf, 1], [1e308, -1e308], [1e308, 1e307]],
    ids=["none", "one", "no numbers", "infinite", "too far apart", "too large"],
)
def test_what_is_no_line_is_no_picture(course, values):
    assert png(course(values)) == b""


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=2, max_size=70),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**13), 10**13),
    st.none() | st.integers(-(10**13), 10**13),
)
def test_any_values_are_drawn_or_not(values, limit, fired_ms, over_ms):
    made = png(Course(np.array(values), 1_700_000_000_000, 60_000, fired_ms, over_ms, limit))
    assert made == b"" or Image.open(io.BytesIO(made)).size == (960, 240)
