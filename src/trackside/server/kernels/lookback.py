"""The newest sample of each series at each step: what an instant selector sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trackside.server.series import Bools, Float64s, Frame, Int64s, is_hole, is_stale


@dataclass(frozen=True, slots=True, eq=False)
class Latest:
    """All of shape (t, s); anything where not present."""

    values: Float64s
    times_ms: Int64s
    present: Bools


def latest(frame: Frame, at_ms: Int64s, lookback_ms: int) -> Latest:
    """Samples in the left-open interval (at - lookback, at]; `at_ms` has shape (t,). The frame is not empty."""
    rows = np.searchsorted(frame.times_ms, at_ms, side="right") - 1
    if frame.has_markers:
        return _with_markers(frame, rows, at_ms, lookback_ms)
    shape = (len(rows), frame.values.shape[1])
    times_ms = frame.times_ms[np.maximum(rows, 0)]
    present = (rows >= 0) & (times_ms > at_ms - lookback_ms)
    return Latest(
        values=frame.values[np.maximum(rows, 0)],
        times_ms=np.broadcast_to(times_ms[:, None], shape),
        present=np.broadcast_to(present[:, None], shape),
    )


def _with_markers(frame: Frame, rows: Int64s, at_ms: Int64s, lookback_ms: int) -> Latest:
    """A hole hides nothing before it; a staleness marker hides everything."""
    positions = np.arange(len(frame.times_ms))[:, None]
    filled = np.maximum.accumulate(np.where(is_hole(frame.values), -1, positions), axis=0)
    own_rows = np.where((rows >= 0)[:, None], filled[np.maximum(rows, 0)], -1)
    safe = np.maximum(own_rows, 0)
    values = np.take_along_axis(frame.values, safe, axis=0)
    times_ms = frame.times_ms[safe]
    present = (own_rows >= 0) & (times_ms > (at_ms - lookback_ms)[:, None]) & ~is_stale(values)
    return Latest(values, times_ms, present)
