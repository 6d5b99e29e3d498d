"""Lines and trends through the samples of a window: `deriv`, `predict_linear`, `double_exponential_smoothing`."""

from __future__ import annotations

import numpy as np

from trackside.server.kernels.windows import Parts, Windows, reduce_windows
from trackside.server.series import Float64s


def slopes(windows: Windows) -> Float64s:
    """Shape (t, s), per second. Needs windows of two samples."""
    return windows.finished(_line(windows)[0])


def predictions(windows: Windows, after_s: Float64s, now_ms: Float64s) -> Float64s:
    """Shape (t, s): the line's value `after_s` behind `now_ms`, both (t,)."""
    slope, mean_time_s, mean_value, start_ms = _line(windows)
    at_s = windows.per_step((now_ms - start_ms) / 1000.0 + after_s)
    return windows.finished(mean_value + slope * (at_s - mean_time_s))


def _line(windows: Windows) -> tuple[Float64s, Float64s, Float64s, int]:
    """Slope, mean time, mean value of each window, and the moment from which times count."""
    start_ms = int(windows.times_ms[0])
    times_s = (windows.times_ms - start_ms) / 1000.0
    values = windows.values
    counts = np.ones(len(times_s))
    if values.ndim == 2:
        times_s, counts = times_s[:, None], counts[:, None]
    # A value that is not finite has no line through it, not even alone in its window.
    poison = np.where(np.isfinite(values), 0.0, np.nan)
    parts = (counts, times_s, values, np.zeros_like(times_s), poison)
    _, mean_time_s, mean_value, squares, products = reduce_windows(parts, windows, _merge_lines)
    return products / squares, mean_time_s, mean_value, start_ms


def _merge_lines(left: Parts, right: Parts) -> Parts:
    """Means and centred moments of two sets of points put together."""
    counted = left[0] + right[0]
    share = right[0] / counted
    weight = left[0] * share
    later, higher = right[1] - left[1], right[2] - left[2]
    return (
        counted,
        left[1] + later * share,
        left[2] + higher * share,
        left[3] + right[3] + later * later * weight,
        left[4] + right[4] + later * higher * weight,
    )


def smoothed(windows: Windows, level_factor: Float64s, trend_factor: Float64s) -> Float64s:
    """Holt's double exponential smoothing; both factors of shape (t,). Needs windows of two samples."""
    level_factor, trend_factor = windows.per_step(level_factor), windows.per_step(trend_factor)
    level = before = windows.at(windows.lo)
    trend = windows.at(windows.lo + 1) - level
    counts = windows.counts()
    for position in range(1, int(counts.max(initial=0))):
        going_on = windows.beside_values(position < counts)
        value = windows.at(windows.lo + position)
        if position > 1:
            new_trend = trend_factor * (level - before) + (1 - trend_factor) * trend
            trend = np.where(going_on, new_trend, trend)
        before = level
        level = np.where(going_on, level_factor * value + (1 - level_factor) * (level + trend), level)
    return windows.finished(level)
