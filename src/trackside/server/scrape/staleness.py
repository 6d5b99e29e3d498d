"""What vanished between two scrapes, and the row that is stored for one. Pure."""

from __future__ import annotations

import numpy as np

from trackside.server.series import STALE, Float64s, Int64s

NO_REFS: Int64s = np.zeros(0, dtype=np.int64)
NO_VALUES: Float64s = np.zeros(0, dtype=np.float64)


def vanished(before: Int64s, *now: Int64s) -> Int64s:
    """Series of the scrape before that are not in this one: they end here."""
    return np.setdiff1d(before, np.concatenate(now)) if len(before) else NO_REFS


def appeared(before: Int64s, now: Int64s) -> int:
    """How many series of this scrape were not in the one before."""
    return len(np.setdiff1d(now, before))


def without(refs: Int64s, values: Float64s, taken: Int64s) -> tuple[Int64s, Float64s]:
    """`refs` and `values` without the series `taken`; the same arrays when there are none."""
    clash = np.isin(refs, taken)
    return (refs[~clash], values[~clash]) if clash.any() else (refs, values)


def stale(count: int) -> Float64s:
    return np.full(count, STALE, dtype=np.float64)
