"""Durations as Prometheus writes them: "5m", "1h30m", "15s", "500ms"."""

from __future__ import annotations

import re

_UNITS_MS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)


def parse_duration(text: str) -> int:
    """Milliseconds.

    Raises:
        ValueError: `text` is no duration; the message says what one looks like.
    """
    found = _DURATION.fullmatch(text)
    if text == "0":
        return 0
    if not text or found is None:
        raise ValueError(f"not a duration: {text!r}; expected a number with a unit, such as 30s, 5m or 1h30m")
    return sum(int(count) * unit for count, unit in zip(found.groups(), _UNITS_MS.values(), strict=True) if count)


def format_duration(milliseconds: int) -> str:
    """The shortest text that `parse_duration` reads back: 90000 → "1m30s"."""
    if milliseconds == 0:
        return "0s"
    if milliseconds < 0:
        return "-" + format_duration(-milliseconds)
    parts = []
    for unit, size in _UNITS_MS.items():
        # Years and weeks only when nothing is left over: "1y" reads well, "1w3d4h" does not.
        if unit in ("y", "w") and milliseconds % size:
            continue
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
