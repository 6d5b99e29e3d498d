"""The one time range and refresh control of all pages, read from the URL and written back into every link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from trackside.model.durations import format_duration, parse_duration

RANGES = ("5m", "15m", "1h", "6h", "24h", "7d", "30d")
REFRESHES_S = (5, 10, 30, 60, 0)
DEFAULT_REFRESH_S = 10

# Charts are some 600 to 1,200 pixels wide; more points than this cannot be told apart, and cost transfer and queries.
MAX_POINTS = 240
MIN_SPAN_MS = 10_000
MAX_SPAN_MS = 400 * 86_400_000
# The first minutes of a server fit into this one; an hour with a dot at its right edge says nothing.
YOUNG_RANGE = "15m"
USUAL_RANGE = "1h"
_YOUNG_MS = 15 * 60_000

_STEPS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)


@dataclass(frozen=True, slots=True)
class Period:
    now_ms: int
    start_ms: int
    end_ms: int
    step_ms: int
    refresh_s: int
    range_text: str
    """As the URL has it ("1h"), or "" when the URL names a start and an end."""
    fixed_s: tuple[str, str] = ("", "")
    """Start and end as the URL has them, when it names them; the others are widened to whole steps."""
    interval_ms: int = 15_000
    """The longest scrape interval; a rate over fewer than four of them is mostly noise."""

    @property
    def is_fixed(self) -> bool:
        return not self.range_text

    @property
    def until_ms(self) -> int:
        """Where it ends, or now, if that is not over; the step that is going on counts as far as it has come."""
        return min(self.end_ms, self.now_ms) if self.is_fixed else self.now_ms

    @property
    def window(self) -> str:
        """What to put between the brackets of `rate(x[…])` so that no sample falls between two steps."""
        return format_duration(max(60_000, 4 * self.step_ms, 4 * self.interval_ms))

    @property
    def span_text(self) -> str:
        return self.range_text or format_duration(max(1000, (self.end_ms - self.start_ms) // 1000 * 1000))

    def params(self) -> dict[str, str]:
        from_s, to_s = self.fixed_s
        span = {"range": self.range_text} if self.range_text else {"from": from_s, "to": to_s}
        return {**span, "refresh": str(self.refresh_s)}

    def link(self, path: str, **params: str) -> str:
        """`path` with this range and refresh, unless `params` say otherwise; empty parameters are left out."""
        own = {name: value for name, value in self.params().items() if name not in params}
        return path + "?" + urlencode({**{name: value for name, value in params.items() if value}, **own})

    def explore(self, expr: str, mode: str = "") -> str:
        return self.link("/explore", expr=expr, mode=mode)


def period_of(params: Mapping[str, str], now_ms: int, started_ms: int, interval_ms: int = 15_000) -> Period:
    """What the URL asks for; anything it says that makes no sense counts as not said."""
    fixed = _fixed(params)
    refresh_s = _refresh(params.get("refresh", ""), fixed is not None)
    if fixed is not None:
        start_ms, end_ms = fixed
        step_ms = step_for(end_ms - start_ms)
        fixed_s = (_s(start_ms), _s(end_ms))
        start_ms, end_ms = start_ms // step_ms * step_ms, -(-end_ms // step_ms) * step_ms
        return Period(now_ms, start_ms, end_ms, step_ms, refresh_s, "", fixed_s, interval_ms)
    usual = USUAL_RANGE if now_ms - started_ms > _YOUNG_MS else YOUNG_RANGE
    range_text, span_ms = _span(params.get("range", ""), usual)
    # On whole steps, so that two refreshes ask for the same points and the curve does not shiver.
    step_ms = step_for(span_ms)
    end_ms = now_ms // step_ms * step_ms
    start_ms = end_ms - span_ms // step_ms * step_ms
    return Period(now_ms, start_ms, end_ms, step_ms, refresh_s, range_text, interval_ms=interval_ms)


def step_for(span_ms: int) -> int:
    for step_s in _STEPS_S:
        if span_ms <= step_s * 1000 * MAX_POINTS:
            return step_s * 1000
    return _STEPS_S[-1] * 1000


def _fixed(params: Mapping[str, str]) -> tuple[int, int] | None:
    try:
        start_ms, end_ms = int(float(params["from"]) * 1000), int(float(params["to"]) * 1000)
    except (KeyError, ValueError, OverflowError):
        return None
    if not 0 <= start_ms < end_ms or end_ms - start_ms > MAX_SPAN_MS:
        return None
    return start_ms, max(end_ms, start_ms + MIN_SPAN_MS)


def _span(text: str, usual: str) -> tuple[str, int]:
    try:
        span_ms = parse_duration(text)
    except ValueError:
        return usual, parse_duration(usual)
    return (text, span_ms) if MIN_SPAN_MS <= span_ms <= MAX_SPAN_MS else (usual, parse_duration(usual))


def _refresh(text: str, is_fixed: bool) -> int:
    if text.isdecimal() and len(text) < 6:
        return 0 if int(text) == 0 else max(2, int(text))
    return 0 if is_fixed else DEFAULT_REFRESH_S


def _s(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.0f}"
