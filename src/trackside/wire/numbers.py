"""How numbers stand in an exposition: shortest text that reads back as the same number, and nothing looser."""

from __future__ import annotations

import math

# Above it, neighbouring floats are more than one apart, and a long row of digits would pretend a precision.
_EXACT_INTEGERS = 2.0**53


def format_value(value: float) -> str:
    """`12` rather than `12.0`: shorter, and what other exporters write."""
    if -_EXACT_INTEGERS < value < _EXACT_INTEGERS and value == (whole := int(value)):
        # Negative zero has no integer to stand for it.
        return str(whole) if whole or math.copysign(1.0, value) > 0 else "-0"
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def parse_value(text: str) -> float:
    """
    Raises:
        ValueError: `text` is no number; the message does not repeat it.
    """
    # float() also takes what Python allows in its source and what surrounds a number in prose.
    if "_" in text or not text.isascii() or text != text.strip():
        raise ValueError("expected a number")
    try:
        return float(text)
    except ValueError:
        raise ValueError("expected a number") from None


def canonical_bound(text: str) -> str:
    """A bucket's `le` or a quantile as Prometheus stores it, so that "1" and "1.0" are one series.

    `text` itself when it is no number.
    """
    try:
        value = parse_value(text)
    except ValueError:
        return text
    if value == 0 or not math.isfinite(value):
        return format_value(value) if value else "0.0"
    exponent = _exponent(repr(abs(value)))
    # Where Go's %g changes over to an exponent; Python's repr does so ten digits later.
    if -4 <= exponent < 6:
        return repr(value)
    # The shortest digits that read back as the same number are those of repr; only the point moves.
    digits = repr(abs(value)).partition("e")[0].replace(".", "").strip("0")
    mantissa = f"{digits[0]}.{digits[1:]}".rstrip(".")
    return f"{'-' if value < 0 else ''}{mantissa}e{exponent:+03}"


def _exponent(text: str) -> int:
    """Of ten, from the shortest digits of a number: from rounded ones, 1e-12 would be 9.9…e-13."""
    digits, _, exponent = text.partition("e")
    if exponent:
        return int(exponent)
    whole, _, fraction = digits.partition(".")
    return len(whole) - 1 if whole != "0" else len(fraction.lstrip("0")) - len(fraction) - 1
