"""How many pings a minute are taken. Pure."""

from __future__ import annotations

MINUTE_MS = 60_000


class Allowance:
    """A bucket that holds a minute's worth, and fills evenly."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._left = float(per_minute)
        self._at_ms: int | None = None

    def take(self, now_ms: int) -> int:
        """0: taken; else how many milliseconds until the next one may be."""
        if self._at_ms is not None:
            # A clock that was set back fills nothing, and takes nothing away.
            passed_ms = max(0, now_ms - self._at_ms)
            self._left = min(float(self._per_minute), self._left + passed_ms * self._per_minute / MINUTE_MS)
        self._at_ms = now_ms
        if self._left >= 1:
            self._left -= 1
            return 0
        return max(1, int((1 - self._left) * MINUTE_MS / self._per_minute))
