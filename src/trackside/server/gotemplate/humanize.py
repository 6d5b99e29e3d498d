"""Numbers for people: 1.235M, 120m, 1h 0m 0s."""

from __future__ import annotations

import math

from trackside.server.gotemplate.printf import sprintf
from trackside.server.gotemplate.values import special

_LARGE = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")
_BINARY = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")


def number(value: object) -> float:
    """A number, or the text of one.

    Raises:
        ValueError: neither.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"cannot make a number of {value!r}")
    if isinstance(value, str):
        try:
            return float(value.replace("_", "x"))
        except ValueError as error:
            raise ValueError(f"not a number: {value!r}") from error
    return float(value)


def humanize(value: float) -> str:
    """Four digits with an SI prefix."""
    if value == 0 or not math.isfinite(value):
        return _four(value)
    if abs(value) >= 1:
        return _scaled(value, 1000, _LARGE)
    return _enlarged(value)


def humanize_1024(value: float) -> str:
    if abs(value) <= 1 or not math.isfinite(value):
        return _four(value)
    return _scaled(value, 1024, _BINARY)


def humanize_percentage(value: float) -> str:
    return f"{_four(value * 100)}%"


def humanize_duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return _four(seconds)
    if seconds == 0:
        return "0s"
    if abs(seconds) >= 1:
        return _long(seconds) if abs(seconds) >= 60 else f"{_four(seconds)}s"
    return f"{_enlarged(seconds)}s"


def _long(seconds: float) -> str:
    sign = "-" if seconds < 0 else ""
    minutes, rest = divmod(int(abs(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {rest}s"
    return f"{sign}{hours}h {minutes}m {rest}s" if hours else f"{sign}{minutes}m {rest}s"


def _scaled(value: float, base: int, prefixes: tuple[str, ...]) -> str:
    prefix = ""
    for candidate in prefixes:
        if abs(value) < base:
            break
        prefix = candidate
        value /= base
    return _four(value) + prefix


def _enlarged(value: float) -> str:
    """Of a number below 1: with the prefix that makes it at least 1, or the smallest there is."""
    for prefix in _SMALL:
        value *= 1000
        if abs(value) >= 1:
            return _four(value) + prefix
    return _four(value) + _SMALL[-1]


def _four(value: float) -> str:
    return special(value) if not math.isfinite(value) else sprintf("%.4g", value)
