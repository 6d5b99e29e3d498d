"""How long a queue takes to empty at the rate of the last minutes."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from trackside.jobs.verdicts.memory import Depth

LEAST_SPAN_S = 60.0
KEEPS_UP_S = 60.0
"""Whose oldest job waits less than this is not behind, though it is never empty."""


def drain_s(points: Sequence[Depth], oldest_wait_s: float | None) -> float | None:
    """Seconds; infinity: never at this rate. None: not looked at for long enough."""
    if points and points[-1].waiting == 0:
        return 0.0
    if len(points) < 3 or span_s(points) < LEAST_SPAN_S:
        return None
    now, change = points[-1].waiting, slope(points)
    if oldest_wait_s is not None and oldest_wait_s < KEEPS_UP_S and (done := ended_per_s(points)) > 0:
        return now / done
    # Less than one job over the whole time is no change.
    return now / -change if -change * span_s(points) >= 1 else inf


def slope(points: Sequence[Depth]) -> float:
    """Jobs a second, by least squares."""
    if len(points) < 2:
        return 0.0
    times = [(point.at_ms - points[0].at_ms) / 1000 for point in points]
    mean_time = sum(times) / len(times)
    mean_depth = sum(point.waiting for point in points) / len(points)
    spread = sum((time - mean_time) ** 2 for time in times)
    if not spread:
        return 0.0
    return sum((t - mean_time) * (p.waiting - mean_depth) for t, p in zip(times, points, strict=True)) / spread


def ended_per_s(points: Sequence[Depth]) -> float:
    span = span_s(points)
    return sum(point.ended for point in points[1:]) / span if span else 0.0


def span_s(points: Sequence[Depth]) -> float:
    return (points[-1].at_ms - points[0].at_ms) / 1000 if points else 0.0
