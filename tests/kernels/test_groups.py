"""Aggregation by group against loops."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from trackside.server.kernels import groups
from trackside.server.kernels.groups import Groups


def sample(seed, nans=0.0):
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(5), rng.integers(0, 5, 20)])
    values = rng.integers(-20, 20, (6, 25)).astype(float)
    values[rng.random(values.shape) < nans] = np.nan
    present = rng.random(values.shape) < 0.8
    return codes, np.where(present, values, 7e77), present


def each_group(codes, values, present):
    for step in range(len(values)):
        for group in range(5):
            columns = np.flatnonzero((codes == group) & present[step])
            if columns.size:
                yield step, group, columns, values[step, columns].tolist()


@pytest.mark.parametrize(
    ("kernel", "slow"),
    [
        pytest.param(groups.sums, math.fsum, id="sum"),
        pytest.param(groups.means, statistics.fmean, id="mean"),
        pytest.param(groups.lowest, min, id="min"),
        pytest.param(groups.highest, max, id="max"),
        pytest.param(groups.variances, statistics.pvariance, id="variance"),
        pytest.param(lambda v, p, g: groups.counts(p, g), len, id="count"),
        pytest.param(lambda v, p, g: groups.quantiles(np.full(6, 0.5), v, p, g), statistics.median, id="median"),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_aggregation_equals_its_definition(kernel, slow, seed):
    codes, values, present = sample(seed)
    result = kernel(values, present, Groups.of(codes, 5))
    for step, group, _, members in each_group(codes, values, present):
        assert result[step, group] == pytest.approx(slow(members), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("nans", [0.0, 0.3])
@pytest.mark.parametrize("k", [0, 1, 3, 99])
def test_k_largest_prefers_numbers_to_nan_and_the_first_of_equals(seed, nans, k):
    codes, values, present = sample(seed, nans)
    chosen = groups.k_largest(np.full(6, k), values, present, Groups.of(codes, 5))
    assert not chosen[~present].any()
    for step, group, columns, _ in each_group(codes, values, present):
        best = sorted(columns, key=lambda c: (math.isnan(values[step, c]), -values[step, c], c))
        if nans:
            best = sorted(columns, key=lambda c: (math.isnan(values[step, c]), -np.nan_to_num(values[step, c]), c))
        wanted = set(best[:k])
        assert set(np.flatnonzero(chosen[step] & (codes == group)).tolist()) == wanted


def test_k_may_differ_from_step_to_step():
    values = np.array([[3.0, 1.0, 2.0]] * 3)
    chosen = groups.k_largest(np.array([-1, 1, 2]), values, values > 0, Groups.of(np.zeros(3, int), 1))
    assert chosen.tolist() == [[False] * 3, [True, False, False], [True, False, True]]


def test_k_first_counts_only_what_is_there():
    present = np.array([[False, True, True, True]])
    chosen = groups.k_first(np.array([2]), present, Groups.of(np.zeros(4, int), 1))
    assert chosen.tolist() == [[False, True, True, False]]


def test_nan_is_the_smallest_value_of_a_quantile():
    values = np.array([[0.0, 1.0, np.nan]])
    of = Groups.of(np.zeros(3, int), 1)
    assert groups.quantiles(np.array([0.8]), values, np.ones((1, 3), bool), of)[0, 0] == pytest.approx(0.6)
    assert np.isnan(groups.quantiles(np.array([0.2]), values, np.ones((1, 3), bool), of)[0, 0])
