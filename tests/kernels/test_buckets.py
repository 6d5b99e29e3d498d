"""Classic histograms: quantiles, fractions and what is done about buckets that fall."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.server.kernels import buckets

INF = np.inf


def slow_quantile(q, bounds, counts):
    rank = q * counts[-1]
    index = next((i for i, count in enumerate(counts[:-1]) if count >= rank), len(counts) - 1)
    if index == len(counts) - 1:
        return bounds[-2]
    if index == 0 and bounds[0] <= 0:
        return bounds[0]
    lower, below = (bounds[index - 1], counts[index - 1]) if index else (0.0, 0.0)
    return lower + (bounds[index] - lower) * ((rank - below) / (counts[index] - below))


@given(
    q=st.floats(0.01, 1),
    own=st.lists(st.integers(0, 5), min_size=2, max_size=8).filter(any),
    first=st.sampled_from([-1.5, 0.0, 0.1]),
)
def test_quantile_equals_its_definition(q, own, first):
    bounds = np.append(first + np.arange(len(own) - 1) * 1.0, INF)
    counts = np.cumsum(own).astype(float)
    with np.errstate(all="ignore"):
        found = buckets.quantiles(np.array([q]), bounds, counts[None, :])
    assert found[0] == pytest.approx(slow_quantile(q, bounds, counts), rel=1e-12)


@pytest.mark.parametrize(
    ("q", "bounds", "counts", "expected"),
    [
        pytest.param(-0.1, [1, INF], [1, 2], -INF, id="below zero"),
        pytest.param(1.1, [1, INF], [1, 2], INF, id="above one"),
        pytest.param(np.nan, [1, INF], [1, 2], np.nan, id="NaN"),
        pytest.param(0.5, [1, 2], [1, 2], np.nan, id="no +Inf bucket"),
        pytest.param(0.5, [INF], [2], np.nan, id="only a +Inf bucket"),
        pytest.param(0.5, [1, INF], [0, 0], np.nan, id="no observations"),
        pytest.param(0.99, [1, 2, INF], [0, 1, 10], 2, id="in the last bucket"),
        pytest.param(0, [-2, -1, INF], [3, 4, 4], -2, id="in a first bucket below zero"),
    ],
)
def test_quantile_at_the_edges(q, bounds, counts, expected):
    with np.errstate(all="ignore"):
        found = buckets.quantiles(np.array([q]), np.array(bounds, float), np.array([counts], float))
    np.testing.assert_equal(found[0], float(expected))


@pytest.mark.parametrize(
    ("counts", "expected", "forced", "fall"),
    [
        pytest.param([1, 2, 3], [1, 2, 3], False, 0, id="rising"),
        pytest.param([2, 1, 5, 4, 9, 8], [2, 2, 5, 5, 9, 9], True, 1, id="falls are raised"),
        pytest.param([1, 1 + 1e-14, 2], [1, 1, 2], False, 0, id="rounding upwards is taken back"),
        pytest.param([1, 1 - 1e-14, 2], [1, 1, 2], False, 0, id="rounding downwards is no fall"),
    ],
)
def test_counts_are_made_monotonic(counts, expected, forced, fall):
    fixed = buckets.monotonic(np.array([counts], float))
    assert fixed.counts[0].tolist() == expected
    assert fixed.forced[0] == forced
    assert fixed.largest_fall[0] == fall


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        pytest.param(-INF, INF, 1.0, id="everything"),
        pytest.param(1, 3, 0.05, id="between bounds"),
        pytest.param(0.5, 2, 0.025, id="half a first bucket"),
        pytest.param(1.5, 2.5, 0.025, id="parts of two buckets"),
        pytest.param(4, 5, 0.0, id="in the last bucket"),
        pytest.param(3, INF, 0.94, id="all of the last bucket"),
        pytest.param(-5, -4, 0.0, id="below all buckets"),
        pytest.param(2, 2, 0.0, id="nothing between equal limits"),
        pytest.param(3, 2, 0.0, id="limits the wrong way round"),
        pytest.param(np.nan, 2, np.nan, id="NaN"),
    ],
)
def test_fraction(lower, upper, expected):
    with np.errstate(all="ignore"):
        found = buckets.fractions(
            np.array([lower], float), np.array([upper], float), np.array([1, 2, 3, INF]), np.array([[1.0, 3, 6, 100]])
        )
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)


def test_fraction_of_a_lowest_bucket_without_lower_bound_takes_it_whole():
    bounds, counts = np.array([-3, -2, -1, INF]), np.array([[10.0, 12, 15, 100]])
    with np.errstate(invalid="ignore"):
        found = [
            buckets.fractions(np.array([lower]), np.array([upper]), bounds, counts)[0]
            for lower, upper in ((-INF, -1.5), (-4.0, -2.0))
        ]
    assert found == pytest.approx([0.135, 0.02])
