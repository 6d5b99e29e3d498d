"""Sums that keep what rounding would lose: 1e100 + 1 - 1e100 is 1."""

from __future__ import annotations

import numpy as np

from trackside.server.kernels.windows import Parts, Windows, reduce_windows
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
    if np.isinf(sums).any():
        scaled = window_sums(windows.values * SCALE, windows) / counts / SCALE
        means = np.where(np.isinf(sums), scaled, means)
    return means


def group_sums(values: Float64s, order: Int64s, sizes: Int64s) -> Float64s:
    """Sum of each group of columns: `values` (t, s), `order` the columns group by group, `sizes` (g,) all positive.

    Pairwise, so that the work is on whole arrays and the error grows with the logarithm of the group.
    """
    total, lost = values[:, order], None
    while int(sizes.max(initial=1)) > 1:
        total, lost, sizes = _halved(total, lost, sizes)
    return total if lost is None else settled(total, lost)


def _halved(total: Float64s, lost: Float64s | None, sizes: Int64s) -> tuple[Float64s, Float64s, Int64s]:
    """Neighbours within each group added up: about half the columns."""
    starts = np.cumsum(sizes) - sizes
    halves = (sizes + 1) // 2
    new_starts = np.cumsum(halves) - halves
    within = np.arange(int(halves.sum())) - np.repeat(new_starts, halves)
    left = np.repeat(starts, halves) + 2 * within
    paired = 2 * within + 1 < np.repeat(sizes, halves)
    right = left[paired] + 1
    first, second = total[:, left[paired]], total[:, right]
    added = first + second
    part = added - first
    slip = (first - (added - part)) + (second - part)
    if lost is not None:
        slip += lost[:, left[paired]]
        slip += lost[:, right]
    if paired.all():
        return added, slip, halves
    kept = total[:, left]
    kept[:, paired] = added
    kept_lost = np.zeros_like(kept) if lost is None else lost[:, left]
    kept_lost[:, paired] = slip
    return kept, kept_lost, halves


def group_means(values: Float64s, counts: Int64s, order: Int64s, sizes: Int64s) -> Float64s:
    """Mean of each group; `counts` (t, g) says how many of its values count, the others being 0."""
    divisor = np.maximum(counts, 1)
    sums = group_sums(values, order, sizes)
    means: Float64s = sums / divisor
    overflown: Bools = np.isinf(sums)
    if overflown.any():
        means = np.where(overflown, group_sums(values * SCALE, order, sizes) / divisor / SCALE, means)
    return means
