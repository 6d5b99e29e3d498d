"""What `*_over_time` computes: one number from all samples of a window. All results have shape (t, s)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trackside.server.kernels.compensated import window_means, window_sums
from trackside.server.kernels.windows import Parts, Windows, prefix_counts, reduce_windows
from trackside.server.series import Bools, Float64s

Reduction = Callable[[Windows], Float64s]


def total(windows: Windows) -> Float64s:
    return windows.finished(window_sums(windows.values, windows))


def mean(windows: Windows) -> Float64s:
    return windows.finished(window_means(windows))


def count(windows: Windows) -> Float64s:
    return windows.finished(windows.counts().astype(np.float64))


def one(windows: Windows) -> Float64s:
    return np.broadcast_to(np.float64(1), windows.shape)


def lowest(windows: Windows) -> Float64s:
    """NaN counts only where there is nothing else."""
    return windows.finished(reduce_windows((windows.values,), windows, _fmin)[0])


def highest(windows: Windows) -> Float64s:
    return windows.finished(reduce_windows((windows.values,), windows, _fmax)[0])


def _fmin(left: Parts, right: Parts) -> Parts:
    return (np.fmin(left[0], right[0]),)


def _fmax(left: Parts, right: Parts) -> Parts:
    return (np.fmax(left[0], right[0]),)


def last(windows: Windows) -> Float64s:
    return windows.finished(windows.at(windows.hi - 1))


def first(windows: Windows) -> Float64s:
    return windows.finished(windows.at(windows.lo))


def last_time_s(windows: Windows) -> Float64s:
    return windows.finished(windows.times_at(windows.hi - 1) / 1000.0)


def first_time_s(windows: Windows) -> Float64s:
    return windows.finished(windows.times_at(windows.lo) / 1000.0)


def highest_time_s(windows: Windows) -> Float64s:
    """When the window was highest; the last time if more than once."""
    return _time_of(windows, lambda new, old: (new >= old) | np.isnan(old))


def lowest_time_s(windows: Windows) -> Float64s:
    return _time_of(windows, lambda new, old: (new <= old) | np.isnan(old))


def _time_of(windows: Windows, better: Callable[[Float64s, Float64s], Bools]) -> Float64s:
    def combine(left: Parts, right: Parts) -> Parts:
        later = better(right[0], left[0])
        return np.where(later, right[0], left[0]), np.where(later, right[1], left[1])

    times = windows.times_ms / 1000.0
    if windows.values.ndim == 2:
        times = np.broadcast_to(times[:, None], windows.values.shape)
    return windows.finished(reduce_windows((windows.values, times), windows, combine)[1])


def variance(windows: Windows) -> Float64s:
    """Of the population. Merges (count, mean, squared deviations) of blocks, so no large numbers cancel."""
    counts = np.ones(len(windows.values))
    if windows.values.ndim == 2:
        counts = counts[:, None]
    parts = (counts, windows.values, np.where(np.isfinite(windows.values), 0.0, np.nan))
    counted, _, squares = reduce_windows(parts, windows, _merge_moments)
    return windows.finished(squares / np.maximum(counted, 1))


def deviation(windows: Windows) -> Float64s:
    return np.sqrt(variance(windows))


def _merge_moments(left: Parts, right: Parts) -> Parts:
    counted = left[0] + right[0]
    apart = right[1] - left[1]
    share = right[0] / counted
    return counted, left[1] + apart * share, left[2] + right[2] + apart * apart * left[0] * share


def changes(windows: Windows) -> Float64s:
    """How often a sample differs from the one before; NaN equals NaN."""
    now, before = windows.values[1:], windows.values[:-1]
    return _counted((now != before) & ~(np.isnan(now) & np.isnan(before)), windows)


def resets(windows: Windows) -> Float64s:
    return _counted(windows.values[1:] < windows.values[:-1], windows)


def _counted(events: Bools, windows: Windows) -> Float64s:
    """Events between neighbours, of which the first sample of a window has none."""
    before = np.zeros((len(windows.values) + 1, *windows.values.shape[1:]), dtype=np.int64)
    before[1:] = prefix_counts(events)
    inner = np.minimum(windows.lo + 1, windows.hi)
    return windows.finished((before[windows.hi] - before[inner]).astype(np.float64))
