"""Numbers as Prometheus writes and reads them in labels and messages."""

from __future__ import annotations

import math
from decimal import Decimal


def number_text(value: float) -> str:
    """As Go's %g: 0.5, 100000, 1e+06, NaN, +Inf."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(float(value))
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        return text.removesuffix(".0")
    sign, digits, shift = Decimal(text).normalize().as_tuple()
    first, *rest = map(str, digits)
    exponent = len(rest) + int(shift)
    return f"{'-' * sign}{first}{'.' if rest else ''}{''.join(rest)}e{'-' if exponent < 0 else '+'}{abs(exponent):02}"


def value_text(value: float) -> str:
    """The shortest decimal without an exponent, as `count_values` writes it."""
    if math.isnan(value) or math.isinf(value):
        return number_text(value)
    text = format(Decimal(repr(float(value))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def bucket_bound(text: str) -> float | None:
    """Value of an `le` label; None if it is no number."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None
