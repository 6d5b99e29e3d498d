"""Parameters of the Prometheus API: times, steps, durations, limits; each error names the parameter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.datastructures import MultiDict

from trackside.exceptions import TracksideError
from trackside.model.durations import parse_duration

# Year 10,000 and as far back: farther out, times are typing errors.
MAX_TIME_MS = 253_402_300_800_000
MAX_TIMEOUT_MS = 120_000


class ParameterError(TracksideError):
    """A parameter that is missing or makes no sense; names it, and says what was expected."""


@dataclass(frozen=True, slots=True)
class Parameters:
    form: MultiDict
    now_ms: int

    def text(self, name: str) -> str:
        value = self.form.get(name)
        if not value:
            raise ParameterError(f'invalid parameter "{name}": it is required, and missing')
        return str(value)

    def texts(self, name: str) -> list[str]:
        return [str(value) for value in self.form.getlist(name)]

    def time_ms(self, name: str, default_ms: int | None = None) -> int:
        """Unix seconds with a fraction, or RFC 3339."""
        text = self.form.get(name)
        if not text:
            if default_ms is None:
                raise ParameterError(f'invalid parameter "{name}": it is required, and missing')
            return default_ms
        try:
            milliseconds = float(text) * 1_000
        except ValueError:
            milliseconds = _rfc3339_ms(name, text)
        if not math.isfinite(milliseconds) or abs(milliseconds) > MAX_TIME_MS:
            raise self._wrong(name, text, "a time as Unix seconds or RFC 3339")
        return round(milliseconds)

    def duration_ms(self, name: str, default_ms: int | None = None) -> int:
        """A duration such as 15s, or a number of seconds; positive."""
        text = self.form.get(name)
        if not text and default_ms is not None:
            return default_ms
        if not text:
            raise ParameterError(f'invalid parameter "{name}": it is required, and missing')
        try:
            milliseconds = float(text) * 1_000
        except ValueError:
            try:
                milliseconds = parse_duration(text)
            except ValueError:
                raise self._wrong(name, text, "a duration such as 15s, or a number of seconds") from None
        if not math.isfinite(milliseconds) or milliseconds > MAX_TIME_MS:
            raise self._wrong(name, text, "a duration such as 15s, or a number of seconds")
        if milliseconds < 1:
            raise self._wrong(name, text, "a duration above zero")
        return round(milliseconds)

    def timeout_ms(self) -> int | None:
        return min(self.duration_ms("timeout"), MAX_TIMEOUT_MS) if self.form.get("timeout") else None

    def limit(self) -> int:
        """How many results are wanted; 0: all."""
        text = self.form.get("limit") or "0"
        if not text.isascii() or not text.isdigit() or len(text) > 12:
            raise self._wrong("limit", text, "a whole number, 0 for no limit")
        return int(text)

    @staticmethod
    def _wrong(name: str, text: str, expected: str) -> ParameterError:
        return ParameterError(f'invalid parameter "{name}": cannot use {text[:80]!r}; expected {expected}')


def _rfc3339_ms(name: str, text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        wrong = f'invalid parameter "{name}": cannot use {text[:80]!r}; expected a time as Unix seconds or RFC 3339'
        raise ParameterError(wrong) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000
