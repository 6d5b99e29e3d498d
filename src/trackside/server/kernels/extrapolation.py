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
    span = (sampled_s, to_start_s, to_end_s, windows.range_ms / 1000.0 if per_second else 1.0)
    if counter:
        return windows.finished(_scaled_counter(windows, first, change, span))
    return windows.finished(change * windows.beside_values(_factor(*span)))


def _factor(sampled_s: Float64s, to_start_s: Float64s, to_end_s: Float64s, per_s: float) -> Float64s:
    """What a change over the sampled part becomes over the whole window, or per second of it."""
    factor: Float64s = (sampled_s + to_start_s + to_end_s) / sampled_s
    return factor / per_s


def _scaled_counter(
    windows: Windows, first: Float64s, change: Float64s, span: tuple[Float64s, Float64s, Float64s, float]
) -> Float64s:
    """As any change, but a counter is not older than the moment its line crosses zero.

    That moment differs from series to series, and matters for few: these are computed one by one.
    """
    sampled_s, to_start_s, to_end_s, per_s = span
    young = first * windows.beside_values(sampled_s) < change * windows.beside_values(to_start_s)
    young &= first >= 0
    where = np.nonzero(young)
    if not where[0].size:
        change *= windows.beside_values(_factor(*span))
        return change
    rows = where[0]
    own, own_first = change[where], first[where]
    to_zero_s = sampled_s[rows] * (own_first / own)
    to_start = np.where(to_zero_s < to_start_s[rows], to_zero_s, to_start_s[rows])
    own = own * _factor(sampled_s[rows], to_start, to_end_s[rows], per_s)
    change *= windows.beside_values(_factor(*span))
    change[where] = own
    return change


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
