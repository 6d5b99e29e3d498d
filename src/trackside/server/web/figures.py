"""Numbers as people read them: few digits, always the unit. `frontend/src/figures.js` says the same for charts."""

from __future__ import annotations

import math
from collections.abc import Callable

# Narrow and unbreakable: "4.1 %" never ends a line before its unit.
GAP = "\u202f"
NOTHING = "–"

_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def amount(value: float | None) -> str:
    """Three digits that count and a decimal prefix: 1234567 → "1.23 M"."""
    if value is None:
        return NOTHING
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    for size, prefix in _LARGE:
        # 999.5 and more would be written "1000", so it moves up a prefix.
        if abs(value) >= size * 0.9995:
            return f"{_digits(value / size)}{GAP}{prefix}"
    if value and abs(value) < 0.001:
        return f"{value:.1e}"
    return _digits(value)


def per_second(value: float | None) -> str:
    return NOTHING if value is None else f"{amount(value)}/s"


def share(value: float | None) -> str:
    """A ratio in per cent: 0.041 → "4.1 %"."""
    if value is None or math.isnan(value):
        return NOTHING
    percent = value * 100
    if percent and abs(percent) < 0.01:
        return f"<0.01{GAP}%"
    digits = 0 if abs(percent) >= 10 or percent == 0 else 1 if abs(percent) >= 1 else 2
    return f"{percent:.{digits}f}{GAP}%"


def availability(value: float | None) -> str:
    """A share of time in per cent, rounded down: what was down for a moment is never 100 %. 0.99987 → "99.98 %"."""
    if value is None or math.isnan(value):
        return NOTHING
    # In whole hundredths of a per cent; the little is for what floats make of 0.7.
    hundredths = math.floor(value * 10_000 + 1e-7)
    text = f"{hundredths / 100:.2f}".rstrip("0").rstrip(".")
    return f"{text}{GAP}%"


def seconds(value: float | None) -> str:
    """0.0853 → "85.3 ms"; 190 → "3.17 min"."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return amount(value)
    size = abs(value)
    for limit, scale, unit in ((0.0009995, 1e6, "µs"), (0.9995, 1e3, "ms"), (99.95, 1, "s"), (5_400, 1 / 60, "min")):
        if size < limit:
            return f"{_digits(value * scale)}{GAP}{unit}"
    return f"{_digits(value / 3600)}{GAP}h"


def age(milliseconds: int) -> str:
    """A time span in one unit, whole: 183000 → "3 min"."""
    whole_s = max(0, milliseconds) // 1000
    if whole_s < 60:
        return f"{whole_s}{GAP}s"
    if whole_s < 3600:
        return f"{whole_s // 60}{GAP}min"
    if whole_s < 172_800:
        return f"{whole_s // 3600}{GAP}h"
    return f"{whole_s // 86_400}{GAP}days"


def count(value: int) -> str:
    """12345 → "12 345"."""
    return f"{value:,}".replace(",", GAP)


def plural(number: int, one: str, many: str = "") -> str:
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def exact(value: float) -> str:
    """As PromQL's own table: the shortest text that reads back as the same number."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e15 else repr(value)


FORMATS: dict[str, Callable[[float | None], str]] = {
    "amount": amount,
    "rate": per_second,
    "share": share,
    "seconds": seconds,
}
"""By the unit a chart names."""


def _digits(value: float) -> str:
    size = abs(value)
    if size == 0:
        return "0"
    places = 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.09995 else 3
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
