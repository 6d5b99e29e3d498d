"""Parameters of the Prometheus API: times, steps, durations, limits; each error names the parameter."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.datastructures import MultiDict

from trackside.model.durations import parse_duration
from trackside.server.web.forms import ParameterError

# Year 10,000 and as far back: farther out, times are typing errors.
MAX_TIME_MS = 253_402_300_800_000
MAX_TIMEOUT_MS = 120_000
# `float` reads much more: underscores, spaces, other scripts' digits.
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:inf|nan)", re.A | re.I)
_TIME = "a time as Unix seconds or RFC 3339"
_DURATION = "a duration such as 15s, or a number of seconds"


@dataclass(frozen=True, slots=True)
class Parameters:
    form: MultiDict
    now_ms: int

    def text(self, name: str) -> str:
        value = self.form.get(name)
        if not value:
            raise ParameterError(name, "it is required, and missing")
        return str(value)

    def texts(self, name: str) -> list[str]:
        return [str(value) for value in self.form.getlist(name)]

    def time_ms(self, name: str, default_ms: int | None = None) -> int:
        """Unix seconds with a fraction, or RFC 3339."""
        text = self.form.get(name)
        if not text and default_ms is not None:
            return default_ms
        text = self.text(name)
        milliseconds = float(text) * 1_000 if _NUMBER.fullmatch(text) else _rfc3339_ms(text)
        if not math.isfinite(milliseconds) or abs(milliseconds) > MAX_TIME_MS:
            raise _wrong(name, text, _TIME)
        return round(milliseconds)

    def duration_ms(self, name: str) -> int:
        """A duration such as 15s, or a number of seconds; positive."""
        text = self.text(name)
        milliseconds = float(text) * 1_000 if _NUMBER.fullmatch(text) else _duration_ms(text)
        if not math.isfinite(milliseconds) or milliseconds > MAX_TIME_MS:
            raise _wrong(name, text, _DURATION)
        if milliseconds < 1:
            raise _wrong(name, text, "a duration above zero")
        return round(milliseconds)

    def timeout_ms(self) -> int | None:
        return min(self.duration_ms("timeout"), MAX_TIMEOUT_MS) if self.form.get("timeout") else None

    def limit(self, name: str = "limit") -> int:
        """How many results are wanted; 0: all."""
        text = self.form.get(name) or "0"
        if not text.isascii() or not text.isdigit() or len(text) > 12:
            raise _wrong(name, text, "a whole number, 0 for no limit")
        return int(text)

    def choice(self, name: str, *choices: str) -> str:
        """One of `choices`; the first when nothing is said."""
        text = self.form.get(name) or choices[0]
        if text not in choices:
            raise _wrong(name, text, " or ".join(filter(None, choices)))
        return text


def _wrong(name: str, text: str, expected: str) -> ParameterError:
    return ParameterError(name, f"cannot use {text[:80]!r}; expected {expected}")


def _rfc3339_ms(text: str) -> float:
    """NaN: not a time."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000
    except (ValueError, OverflowError):
        return math.nan


def _duration_ms(text: str) -> float:
    """NaN: not a duration."""
    try:
        # Digits without end are no duration of anybody's.
        return parse_duration(text) if len(text) < 100 else math.nan
    except ValueError:
        return math.nan
