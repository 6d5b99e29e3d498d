"""Numbers as Prometheus writes and reads them in labels and messages."""

from __future__ import annotations

import math


def number_text(value: float) -> str:
    """As Go's %g: 0.5, 1e+06 → 1e+06, NaN, +Inf."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(float(value))
    mantissa, _, exponent = text.partition("e")
    digits = mantissa.removesuffix(".0")
    if (not exponent and 1e-4 <= abs(value) < 1e21) or value == 0:
        return digits
    if not exponent:
        return text
    return f"{digits}e{exponent[0] if exponent[0] in '+-' else '+'}{exponent.lstrip('+-').zfill(2)}"


def bucket_bound(text: str) -> float | None:
    """Value of an `le` label; None if it is no number."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None
