"""Sums that keep what rounding would lose: 1e100 + 1 - 1e100 is 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trackside.server.kernels.windows import CHUNK_ELEMENTS, Parts, Windows, reduce_windows
from trackside.server.series import Bools, Float64s, Int64s

# Averages whose sum overflows are computed again on values scaled by this power of two, which loses no bit of them.
SCALE = 2.0**-64


def add_pairs(left: Parts, right: Parts) -> Parts:
    """(sum, lost) of two such pairs; `lost` is what rounding took from the sum."""
    first, second = left[0], right[0]
    total = first + second
    part = total - first
    lost = (first - (total - part)) + (second - part)
    return total, lost + left[1] + right[1]


def settled(total: Float64s, lost: Float64s) -> Float64s:
    """The sum with what was lost. Infinities have lost nothing, though their differences are NaN."""
    return np.where(np.isfinite(total) & np.isfinite(lost), total + lost, total)


def window_sums(values: Float64s, windows: Windows) -> Float64s:
    """Sum over each window; one row per window."""
    return settled(*reduce_windows((values, np.zeros_like(values)), windows, add_pairs))


def window_means(windows: Windows) -> Float64s:
    """Mean over each window; one row per window, anything where empty."""
    counts = windows.beside_values(np.maximum(windows.counts(), 1))
    sums = window_sums(windows.values, windows)
    means: Float64s = sums / counts
    # Infinite by overflow, or NaN because both ends overflowed; true infinities and NaNs stay what they are.
    overflown = ~np.isfinite(sums)
    if overflown.any():
        scaled = window_sums(windows.values * SCALE, windows) / counts / SCALE
        means = np.where(overflown, scaled, means)
    return means


def group_sums(values: Float64s, order: NDArray[np.intp], sizes: Int64s) -> Float64s:
    """Sum of each group of columns: `values` (t, s), `order` the columns group by group, `sizes` (g,) all positive.

    Pairwise, so that the work is on whole arrays and the error grows with the logarithm of the group.
    """
    plan = _plan(sizes)
    result = np.empty((len(values), len(sizes)))
    height = max(1, CHUNK_ELEMENTS // max(1, len(order)))
    for top in range(0, len(values), height):
        rows = slice(top, top + height)
        result[rows] = _summed(values[rows], order, plan)
    return result


Level = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]


def _plan(sizes: Int64s) -> list[Level]:
    """How neighbours within each group are added up until one is left of each: per level the left and right one of
    each pair, and which pairs are only a left one."""
    plan = []
    while int(sizes.max(initial=1)) > 1:
        halves = (sizes + 1) // 2
        starts, new_starts = np.cumsum(sizes) - sizes, np.cumsum(halves) - halves
        within = 2 * (np.arange(int(halves.sum())) - np.repeat(new_starts, halves))
        left = np.repeat(starts, halves) + within
        alone = np.flatnonzero(within + 1 == np.repeat(sizes, halves))
        right = left + 1
        right[alone] = left[alone]
        plan.append((left, right, alone))
        sizes = halves
    return plan


def _summed(values: Float64s, order: NDArray[np.intp], plan: list[Level]) -> Float64s:
    if not plan:
        return np.take(values, order, axis=1)
    total, lost = values, None
    for left, right, alone in plan:
        if lost is None:
            left, right = order[left], order[right]
        first, second = np.take(total, left, axis=1), np.take(total, right, axis=1)
        second[:, alone] = 0.0
        total = first + second
        part = total - first
        second -= part
        np.subtract(total, part, out=part)
        first -= part
        first += second
        if lost is not None:
            first += np.take(lost, left, axis=1)
            rest = np.take(lost, right, axis=1)
            rest[:, alone] = 0.0
            first += rest
        lost = first
    assert lost is not None
    return settled(total, lost)


def group_means(values: Float64s, counts: Int64s, order: NDArray[np.intp], sizes: Int64s) -> Float64s:
    """Mean of each group; `counts` (t, g) says how many of its values count, the others being 0."""
    divisor = np.maximum(counts, 1)
    sums = group_sums(values, order, sizes)
    means: Float64s = sums / divisor
    overflown: Bools = ~np.isfinite(sums)
    if overflown.any():
        means = np.where(overflown, group_sums(values * SCALE, order, sizes) / divisor / SCALE, means)
    return means
