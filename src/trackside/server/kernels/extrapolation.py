"""`rate`, `increase`, `delta` and their instant variants over windows, extrapolated to the edges as Prometheus does."""

from __future__ import annotations

import numpy as np

from trackside.server.kernels.windows import Parts, Windows, reduce_windows
from trackside.server.series import Float64s

# A series whose first sample lies further from the edge than this many sample intervals began inside the window.
EDGE_INTERVALS = 1.1


def rates(windows: Windows, *, counter: bool, per_second: bool) -> Float64s:
    """Shape (t, s). Needs windows of two samples; anything elsewhere."""
    last = windows.at(windows.hi - 1)
    first = windows.at(windows.lo)
    change = last - first
    if counter and (lost := reset_corrections(windows)) is not None:
        change += lost
    first_ms, last_ms = windows.times_at(windows.lo), windows.times_at(windows.hi - 1)
    sampled_s = (last_ms - first_ms) / 1000.0
    average_s = sampled_s / np.maximum(windows.counts() - 1, 1)
    to_start_s = (first_ms - (windows.ends_ms - windows.range_ms)) / 1000.0
    to_end_s = (windows.ends_ms - last_ms) / 1000.0
    to_start_s = np.where(to_start_s >= average_s * EDGE_INTERVALS, average_s / 2, to_start_s)
    to_end_s = np.where(to_end_s >= average_s * EDGE_INTERVALS, average_s / 2, to_end_s)
    sampled = windows.beside_values(sampled_s)
    start = windows.beside_values(to_start_s)
    if counter:
        start = _not_below_zero(first, change, sampled, start)
    factor = (sampled + start + windows.beside_values(to_end_s)) / sampled
    if per_second:
        factor = factor / (windows.range_ms / 1000.0)
    change *= factor
    return windows.finished(change)


def _not_below_zero(first: Float64s, change: Float64s, sampled_s: Float64s, to_start_s: Float64s) -> Float64s:
    """Distance to extrapolate to the left: a counter is not older than the moment its line crosses zero."""
    to_zero_s = sampled_s * (first / change)
    bounded = (change > 0) & (first >= 0) & (to_zero_s < to_start_s)
    return np.where(bounded, to_zero_s, to_start_s)


def reset_corrections(windows: Windows) -> Float64s | None:
    """What each window's counter lost to resets, one row per window; None if there is no reset at all."""
    values = windows.values
    dropped = values[1:] < values[:-1]
    if not dropped.any():
        return None
    if values.ndim == 1:
        return _lost(values, windows)
    corrections = np.zeros((len(windows.lo), values.shape[1]))
    columns = np.flatnonzero(dropped.any(axis=0))
    corrections[:, columns] = _lost(values[:, columns], windows)
    return corrections


def _lost(values: Float64s, windows: Windows) -> Float64s:
    lost = np.zeros_like(values)
    lost[1:] = np.where(values[1:] < values[:-1], values[:-1], 0.0)
    # The first sample of a window is no reset, whatever came before it.
    inner = Windows(
        windows.times_ms,
        lost,
        np.minimum(windows.lo + 1, windows.hi),
        windows.hi,
        windows.ends_ms,
        windows.range_ms,
        windows.shape,
    )
    return reduce_windows((lost,), inner, _add)[0]


def _add(left: Parts, right: Parts) -> Parts:
    return (left[0] + right[0],)


def instant_rates(windows: Windows, *, counter: bool, per_second: bool) -> Float64s:
    """Shape (t, s): change between the last two samples of each window; anything where there are fewer."""
    last, before = windows.at(windows.hi - 1), windows.at(windows.hi - 2)
    change = last - before
    if counter:
        change = np.where(last < before, last, change)
    if per_second:
        elapsed_ms = windows.times_at(windows.hi - 1) - windows.times_at(windows.hi - 2)
        change = change / windows.beside_values(elapsed_ms / 1000.0)
    return windows.finished(change)
