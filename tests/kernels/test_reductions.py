"""Reductions over windows against their definitions."""

from __future__ import annotations

import math
import statistics
from itertools import pairwise

import numpy as np
import pytest

from trackside.server.kernels import extrapolation, ranking, reductions, regression
from trackside.server.kernels.compensated import group_means, group_sums, window_sums
from trackside.server.kernels.windows import Bounds, batches


def slow_quantile(q, samples):
    samples = sorted(samples)
    rank = q * (len(samples) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(samples) - 1)
    return samples[low] * (1 - (rank - low)) + samples[high] * (rank - low)


def slow_line(times, samples):
    x = [t / 1000 for t in times]
    mean_x, mean_y = sum(x) / len(x), sum(samples) / len(samples)
    products = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, samples, strict=True))
    slope = products / sum((a - mean_x) ** 2 for a in x)
    return slope, mean_x, mean_y


def slow_smoothing(samples, level_factor, trend_factor):
    level = before = samples[0]
    trend = samples[1] - samples[0]
    for position, sample in enumerate(samples[1:]):
        if position:
            trend = trend_factor * (level - before) + (1 - trend_factor) * trend
        before, level = level, level_factor * sample + (1 - level_factor) * (level + trend)
    return level


def slow_increase(times, samples, end_ms, range_ms, counter=True):
    change = samples[-1] - samples[0]
    if counter:
        change += sum(a for a, b in pairwise(samples) if b < a)
    sampled = (times[-1] - times[0]) / 1000
    average = sampled / (len(samples) - 1)
    to_start, to_end = (times[0] - end_ms + range_ms) / 1000, (end_ms - times[-1]) / 1000
    to_start = average / 2 if to_start >= 1.1 * average else to_start
    to_end = average / 2 if to_end >= 1.1 * average else to_end
    if counter and change > 0 and samples[0] >= 0:
        to_start = min(to_start, sampled * samples[0] / change)
    return change * (sampled + to_start + to_end) / sampled


SLOW = {
    "total": (reductions.total, lambda t, v, e, r: math.fsum(v)),
    "mean": (reductions.mean, lambda t, v, e, r: math.fsum(v) / len(v)),
    "count": (reductions.count, lambda t, v, e, r: len(v)),
    "one": (reductions.one, lambda t, v, e, r: 1),
    "lowest": (reductions.lowest, lambda t, v, e, r: min(v)),
    "highest": (reductions.highest, lambda t, v, e, r: max(v)),
    "first": (reductions.first, lambda t, v, e, r: v[0]),
    "last": (reductions.last, lambda t, v, e, r: v[-1]),
    "first time": (reductions.first_time_s, lambda t, v, e, r: t[0] / 1000),
    "last time": (reductions.last_time_s, lambda t, v, e, r: t[-1] / 1000),
    "variance": (reductions.variance, lambda t, v, e, r: statistics.pvariance(v.tolist())),
    "deviation": (reductions.deviation, lambda t, v, e, r: statistics.pstdev(v.tolist())),
    "changes": (reductions.changes, lambda t, v, e, r: sum(a != b for a, b in pairwise(v))),
    "resets": (reductions.resets, lambda t, v, e, r: sum(b < a for a, b in pairwise(v))),
    "highest time": (
        reductions.highest_time_s,
        lambda t, v, e, r: max(zip(v, t, strict=True))[1] / 1000,
    ),
    "lowest time": (
        reductions.lowest_time_s,
        lambda t, v, e, r: -min(zip(v, -t, strict=True))[1] / 1000,
    ),
    "quantile": (
        lambda w: ranking.window_quantiles(w, np.full(w.shape[0], 0.9)),
        lambda t, v, e, r: slow_quantile(0.9, v),
    ),
    "absolute deviation": (
        ranking.window_deviations,
        lambda t, v, e, r: statistics.median(abs(v - statistics.median(v))),
    ),
}
SLOW_OF_TWO = {
    "rate": (
        lambda w: extrapolation.rates(w, counter=True, per_second=True),
        lambda t, v, e, r: slow_increase(t, v, e, r) / (r / 1000),
    ),
    "increase": (lambda w: extrapolation.rates(w, counter=True, per_second=False), slow_increase),
    "delta": (
        lambda w: extrapolation.rates(w, counter=False, per_second=False),
        lambda t, v, e, r: slow_increase(t, v, e, r, counter=False),
    ),
    "irate": (
        lambda w: extrapolation.instant_rates(w, counter=True, per_second=True),
        lambda t, v, e, r: (v[-1] if v[-1] < v[-2] else v[-1] - v[-2]) / ((t[-1] - t[-2]) / 1000),
    ),
    "idelta": (
        lambda w: extrapolation.instant_rates(w, counter=False, per_second=False),
        lambda t, v, e, r: v[-1] - v[-2],
    ),
    "smoothed": (
        lambda w: regression.smoothed(w, np.full(w.shape[0], 0.3), np.full(w.shape[0], 0.2)),
        lambda t, v, e, r: slow_smoothing(v, 0.3, 0.2),
    ),
}


@pytest.mark.parametrize("holes", [0.0, 0.3], ids=["whole", "with holes"])
@pytest.mark.parametrize("name", SLOW)
def test_reduction_equals_its_definition(name, holes, random_frame, compare):
    kernel, slow = SLOW[name]
    for seed in range(3):
        compare(random_frame(seed, holes=holes, whole_numbers=seed == 0), kernel, slow)


@pytest.mark.parametrize("holes", [0.0, 0.3], ids=["whole", "with holes"])
@pytest.mark.parametrize("name", SLOW_OF_TWO)
def test_change_equals_its_definition(name, holes, random_frame, compare):
    kernel, slow = SLOW_OF_TWO[name]
    for seed in range(3):
        compare(random_frame(seed, holes=holes, whole_numbers=seed == 0), kernel, slow, least=2)


@pytest.mark.parametrize("holes", [0.0, 0.3], ids=["whole", "with holes"])
def test_lines_equal_least_squares(holes, random_frame, compare):
    frame = random_frame(1, holes=holes)
    compare(frame, regression.slopes, lambda t, v, e, r: slow_line(t, v)[0], least=2, rtol=1e-8)

    def slow(times, samples, end_ms, range_ms):
        slope, mean_x, mean_y = slow_line(times, samples)
        return mean_y + slope * (end_ms / 1000 + 60 - mean_x)

    now_ms = frame[2].ends_ms.astype(float)
    compare(frame, lambda w: regression.predictions(w, np.full(w.shape[0], 60.0), now_ms), slow, 2, 1e-8)


def one_window(values):
    values = np.array(values, dtype=float)
    bounds = Bounds(np.array([len(values) * 10]), len(values) * 10 + 1)
    [(_, windows)] = list(batches(np.arange(len(values)) * 10, values[:, None], False, bounds))
    return windows


@pytest.mark.parametrize(
    ("kernel", "values", "expected"),
    [
        pytest.param(reductions.total, [1, 1e100, 1, -1e100], 2, id="sum keeps what rounding would lose"),
        pytest.param(reductions.mean, [1, 1e100, 1, -1e100], 0.5, id="mean keeps it too"),
        pytest.param(reductions.total, [0.1] * 10, 1.0, id="sum of tenths"),
        pytest.param(reductions.mean, [1.7e308] * 4, 1.7e308, id="mean of a sum that overflows"),
        pytest.param(reductions.mean, [np.inf, 1], np.inf, id="mean of infinity"),
        pytest.param(reductions.mean, [np.inf, -np.inf], np.nan, id="infinities cancel to NaN"),
        pytest.param(reductions.total, [1, np.nan], np.nan, id="NaN stays"),
        pytest.param(reductions.highest, [np.nan, 1, np.nan], 1, id="max skips NaN"),
        pytest.param(reductions.lowest, [np.nan, np.nan], np.nan, id="min of only NaN"),
        pytest.param(reductions.changes, [0, np.nan, np.nan, 0], 2, id="NaN equals NaN"),
        pytest.param(reductions.variance, [1e9 + 1, 1e9 + 2, 1e9 + 3], 2 / 3, id="variance far from zero"),
        pytest.param(reductions.variance, [np.inf], np.nan, id="no variance of infinity"),
        pytest.param(ranking.window_deviations, [1, 2, np.nan, 4], np.nan, id="NaN spoils the deviation"),
        pytest.param(regression.slopes, [np.inf, 1, 2], np.nan, id="no line through infinity"),
        pytest.param(regression.slopes, [5, 5, 5], 0, id="a flat line is exactly flat"),
    ],
)
def test_extreme_values(kernel, values, expected):
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(kernel(one_window(values))[0, 0], expected, rtol=1e-15)


def test_a_window_does_not_see_what_lies_before_it():
    values = np.array([np.inf, np.nan, 1e300, 1.0, 2.0])[:, None]
    bounds = Bounds(np.array([50]), 20)
    [(_, windows)] = list(batches(np.array([10, 20, 30, 40, 50]), values, False, bounds))
    with np.errstate(all="ignore"):
        assert window_sums(windows.values, windows)[0, 0] == 3


@pytest.mark.parametrize("seed", range(5))
def test_group_sums_equal_exact_sums(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, 6)
    values = rng.normal(0, 1, (4, int(sizes.sum()))) * 10.0 ** rng.integers(-5, 5, int(sizes.sum()))
    order = rng.permutation(values.shape[1])
    result = group_sums(values, order, sizes)
    ends = np.cumsum(sizes)
    for group, (start, end) in enumerate(zip(ends - sizes, ends, strict=True)):
        for step in range(4):
            assert result[step, group] == pytest.approx(math.fsum(values[step, order[start:end]]), rel=1e-15)


def test_group_means_survive_overflow():
    values = np.full((1, 4), 1.7e308)
    with np.errstate(all="ignore"):
        mean = group_means(values, np.array([[4]]), np.arange(4), np.array([4]))
    assert mean[0, 0] == 1.7e308
