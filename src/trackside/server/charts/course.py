"""How the value behind an alert went: what a chart of it shows, in a line of text or as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from trackside.server.series import Float64s

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    values: Float64s
    """Shape (n,), one for each step; NaN where there is none."""
    start_ms: int
    step_ms: int
    fired_ms: int
    over_ms: int | None = None
    """When it stopped firing; None: it fires."""
    limit: float | None = None

    @property
    def end_ms(self) -> int:
        return self.start_ms + (len(self.values) - 1) * self.step_ms

    @property
    def finite(self) -> Float64s:
        return self.values[np.isfinite(self.values)]


def words(course: Course) -> str:
    """What the picture shows, for who cannot see it."""
    finite = course.finite
    if len(finite) == 0:
        return "no values"
    low, high = float(finite.min()), float(finite.max())
    minutes = round((course.end_ms - course.start_ms) / 60_000)
    room = f"at {figure(low)}" if figure(low) == figure(high) else f"between {figure(low)} and {figure(high)}"
    parts = [f"{room} in the last {minutes} minutes, last {figure(float(finite[-1]))}"]
    if course.limit is not None:
        parts.append(f"limit {figure(course.limit)}")
    parts.append(f"firing since {moment(course.fired_ms)}")
    if course.over_ms is not None:
        parts[-1] = f"fired from {clock_time(course.fired_ms)} to {moment(course.over_ms)}"
    return "; ".join(parts)


_SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def figure(value: float) -> str:
    """Three digits at most: "0.043", "12.5", "3.4M"."""
    for size, suffix in _SUFFIXES:
        # What rounds to the next size belongs there.
        if abs(value) >= size * 0.9995:
            scaled = value / size
            return f"{scaled:.3g}{suffix}" if abs(scaled) < 999.5 else f"{value:.3g}"
    return f"{value + 0.0:.3g}"


def clock_time(time_ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=time_ms)).strftime("%H:%M")


def moment(time_ms: int) -> str:
    return f"{clock_time(time_ms)} UTC"
