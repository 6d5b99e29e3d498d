"""Quantiles and fractions from the cumulative buckets of classic histograms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackside.server.series import Bools, Float64s

# Neighbouring counts closer than this, relatively, are equal: what is left between them is rounding.
TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Monotonic:
    """Cumulative counts that do not fall."""

    counts: Float64s
    """Shape (..., b)."""
    forced: Bools
    """Shape (...): where a count fell by more than rounding and had to be raised."""
    largest_fall: Float64s
    """Shape (...)."""


def monotonic(counts: Float64s) -> Monotonic:
    """Counts (..., b) raised to the highest before them."""
    shape = counts.shape[:-1]
    now, before = counts[..., 1:], counts[..., :-1]
    near = np.abs(now - before) <= TOLERANCE * (np.abs(now) + np.abs(before))
    if not ((now < before) | (near & (now != before))).any():
        return Monotonic(counts, np.zeros(shape, dtype=bool), np.zeros(shape))
    counts = counts.copy()
    forced = np.zeros(shape, dtype=bool)
    largest = np.zeros(shape)
    previous = counts[..., 0].copy()
    for index in range(1, counts.shape[-1]):
        current = counts[..., index].copy()
        close = np.abs(current - previous) < TOLERANCE * (np.abs(current) + np.abs(previous))
        fell = (current < previous) & ~close
        forced |= fell
        largest = np.where(fell, np.maximum(largest, previous - current), largest)
        previous = np.where(fell | close, previous, current)
        counts[..., index] = previous
    return Monotonic(counts, forced, largest)


def quantiles(q: Float64s, bounds: Float64s, counts: Float64s) -> Float64s:
    """Quantile `q` of histograms with the upper `bounds` (b,), strictly increasing, and monotonic `counts` (..., b).

    `q` has the shape of `counts` without its last axis, or broadcasts to it. NaN for a histogram without +Inf bucket,
    with fewer than two buckets or without observations.
    """
    shape = counts.shape[:-1]
    q = np.broadcast_to(q, shape)
    if len(bounds) < 2 or not np.isposinf(bounds[-1]):
        return _outside(q, np.full(shape, np.nan))
    total = counts[..., -1]
    rank = q * total
    # The first bucket that reaches the rank, and never the last one: it has no width.
    index = (~(counts[..., :-1] >= rank[..., None])).sum(axis=-1)
    inner = np.minimum(index, len(bounds) - 2)
    upper = bounds[inner]
    lower = np.where(inner > 0, bounds[inner - 1], 0.0)
    below = np.where(inner > 0, _pick(counts, np.maximum(inner - 1, 0)), 0.0)
    inside = _pick(counts, inner) - below
    result = lower + (upper - lower) * ((rank - below) / inside)
    result = np.where((inner == 0) & (upper <= 0), upper, result)
    result = np.where(index == len(bounds) - 1, bounds[-2], result)
    return _outside(q, np.where(total == 0, np.nan, result))


def _outside(q: Float64s, result: Float64s) -> Float64s:
    result = np.where(q < 0, -np.inf, result)
    result = np.where(q > 1, np.inf, result)
    return np.where(np.isnan(q), np.nan, result)


def _pick(counts: Float64s, index: NDArray[np.intp]) -> Float64s:
    return np.take_along_axis(counts, index[..., None], axis=-1)[..., 0]


def fractions(lower: Float64s, upper: Float64s, bounds: Float64s, counts: Float64s) -> Float64s:
    """Share of observations between `lower` and `upper`, both (r,); `counts` has shape (r, b)."""
    if not np.isposinf(bounds[-1]):
        return np.full(len(counts), np.nan)
    total = counts[:, -1]
    share = (_ranks(upper, bounds, counts) - _ranks(lower, bounds, counts)) / total
    share = np.where(lower >= upper, 0.0, share)
    return np.where(np.isnan(lower) | np.isnan(upper) | (total == 0), np.nan, share)


def _ranks(at: Float64s, bounds: Float64s, counts: Float64s) -> Float64s:
    """Observations below `at`, shape (r,)."""
    index = np.minimum(np.searchsorted(bounds, at, side="right"), len(bounds) - 1)
    lowest = 0.0 if bounds[0] > 0 else -np.inf
    lower = np.where(index > 0, bounds[index - 1], lowest)
    below = np.where(index > 0, _pick(counts, np.maximum(index - 1, 0)), 0.0)
    inside = _pick(counts, index) - below
    # A bucket without a lower bound has no inside; all its observations count as below any point of it.
    share = np.where(np.isneginf(lower), 1.0, (at - lower) / (bounds[index] - lower))
    ranks = np.where(lower >= at, below, below + inside * share)
    return np.minimum(np.where(np.isposinf(at), counts[:, -1], ranks), counts[:, -1])
