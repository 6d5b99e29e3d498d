"""What needs order: quantiles of windows and groups, and the k largest of a group."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trackside.server.kernels.windows import CHUNK_ELEMENTS, Windows
from trackside.server.series import Bools, Float64s, Int64s


def quantiles_of_rows(q: Float64s, values: Float64s, counts: Int64s) -> Float64s:
    """Quantile of the first `counts` of each last axis of `values` once sorted; what does not count is NaN.

    NaN among what counts is the smallest value. `q` and `counts` have the shape of `values` without its last axis.
    Anything where `counts` is 0.
    """
    rising = np.sort(values, axis=-1)
    numbers = (~np.isnan(values)).sum(axis=-1)
    nans = counts - numbers
    rank = np.clip(q, 0.0, 1.0) * (counts - 1)
    rank = np.where(np.isnan(rank), 0.0, np.maximum(rank, 0.0))
    below = np.floor(rank)
    above = np.minimum(below + 1, counts - 1)
    weight = rank - below
    result: Float64s = _at(rising, below - nans) * (1 - weight) + _at(rising, above - nans) * weight
    result = np.where(q < 0, -np.inf, result)
    result = np.where(q > 1, np.inf, result)
    return np.where(np.isnan(q), np.nan, result)


def _at(rising: Float64s, rank: Float64s) -> Float64s:
    index = np.clip(rank, 0, rising.shape[-1] - 1).astype(np.intp)
    found = np.take_along_axis(rising, index[..., None], axis=-1)[..., 0]
    return np.where(rank < 0, np.nan, found)


def window_quantiles(windows: Windows, q: Float64s) -> Float64s:
    """Shape (t, s); `q` of shape (t,)."""
    q = np.broadcast_to(windows.per_step(q), _rows(windows))

    def quantile(values: Float64s, counts: Int64s, rows: slice) -> Float64s:
        return quantiles_of_rows(q[rows], values, counts)

    return _by_sorting(windows, quantile)


def window_deviations(windows: Windows) -> Float64s:
    """Median of the absolute deviations from the median; NaN if any value is."""

    def deviation(values: Float64s, counts: Int64s, rows: slice) -> Float64s:
        half = np.full(counts.shape, 0.5)
        median = quantiles_of_rows(half, values, counts)
        apart = quantiles_of_rows(half, np.abs(values - median[..., None]), counts)
        return np.where((~np.isnan(values)).sum(axis=-1) < counts, np.nan, apart)

    return _by_sorting(windows, deviation)


def _rows(windows: Windows) -> tuple[int, ...]:
    return (len(windows.lo), *windows.values.shape[1:])


def _by_sorting(windows: Windows, compute: Callable[[Float64s, Int64s, slice], Float64s]) -> Float64s:
    """`compute(values (w, …, longest), counts, rows)` over a few windows at a time, since they are laid out in full."""
    longest = max(1, int(windows.counts().max(initial=0)))
    shape = _rows(windows)
    result = np.empty(shape)
    per_window = longest * int(np.prod(shape[1:]))
    width = max(1, 8 * CHUNK_ELEMENTS // per_window)
    for start in range(0, shape[0], width):
        rows = slice(start, min(start + width, shape[0]))
        positions = windows.lo[rows, None] + np.arange(longest)
        inside = positions < windows.hi[rows, None]
        values = windows.values[np.minimum(positions, len(windows.values) - 1)]
        if values.ndim == 3:
            values = np.moveaxis(values, 1, 2)
            inside = inside[:, None, :]
        counts = np.broadcast_to(inside.sum(axis=-1), (rows.stop - rows.start, *shape[1:]))
        result[rows] = compute(np.where(inside, values, np.nan), counts, rows)
    return windows.finished(result)


def largest(values: Float64s, present: Bools, k: Int64s) -> Bools:
    """Which of the last axis are among the k largest; the first of equal ones, and NaN only when nothing else is left.

    `values` and `present` have shape (t, …, s), `k` the shape (t,).
    """
    size = values.shape[-1]
    k = np.minimum(np.maximum(k, 0), size).reshape(-1, *([1] * (values.ndim - 2)))
    keys = np.where(present, -values, np.nan)
    if size and int(k.min()) == int(k.max()) > 0 and not np.isnan(keys).any():
        return _below_threshold(keys, int(k.flat[0]))
    ranks = np.empty(values.shape, dtype=np.int64)
    order = np.lexsort((keys, ~present), axis=-1)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(size), values.shape), axis=-1)
    return (ranks < k[..., None]) & present


def _below_threshold(keys: Float64s, k: int) -> Bools:
    """As ranking does, in linear time: all below the k-th key, and of those equal to it the first ones."""
    threshold = np.partition(keys, k - 1, axis=-1)[..., k - 1 : k]
    chosen = keys <= threshold
    crowded = np.count_nonzero(chosen, axis=-1) > k
    rows, limits, marks = (array.reshape(-1, array.shape[-1]) for array in (keys, threshold, chosen))
    for row in np.flatnonzero(crowded):
        below = rows[row] < limits[row]
        marks[row] = below
        marks[row, np.flatnonzero(rows[row] == limits[row])[: k - np.count_nonzero(below)]] = True
    return chosen
