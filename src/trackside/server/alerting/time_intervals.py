"""When a route is muted or active: days and hours of a calendar, in a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE_MS = 60_000
DAY_MINUTES = 24 * 60
LOOK_AHEAD_DAYS = 400
"""How far a change is looked for: more than a year, since the rarest spans of a calendar are yearly."""

UTC_ZONE = ZoneInfo("UTC")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_MS, LAST_MS = -62_135_424_000_000, 253_402_128_000_000
"""The days that a calendar here can name, in any zone."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a calendar. Each condition is a list of ranges with both ends in them; () holds always."""

    minutes: tuple[tuple[int, int], ...] = ()
    """Of a day, from 0; the end is not in it."""
    weekdays: tuple[tuple[int, int], ...] = ()
    """0 is Sunday."""
    days_of_month: tuple[tuple[int, int], ...] = ()
    """From 1; -1 is the last day of the month."""
    months: tuple[tuple[int, int], ...] = ()
    years: tuple[tuple[int, int], ...] = ()
    zone: ZoneInfo = UTC_ZONE

    def contains(self, now_ms: int) -> bool:
        local = _moment(now_ms).astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        return (
            (not self.minutes or any(start <= minute < end for start, end in self.minutes))
            and _within(self.weekdays, local.isoweekday() % 7)
            and self._on_day(local)
            and _within(self.months, local.month)
            and _within(self.years, local.year)
        )

    def _on_day(self, local: datetime) -> bool:
        if not self.days_of_month:
            return True
        length = _month_length(local)
        for start, end in self.days_of_month:
            first, last = (day if day > 0 else length + day + 1 for day in (start, end))
            # A range that begins after the end of a short month has no day in it; one that ends there is cut.
            if first <= length and max(first, 1) <= local.day <= min(last, length):
                return True
        return False

    def edges(self, day: datetime) -> Iterator[int]:
        """The times at which something may change on a day of this zone, in milliseconds."""
        midnight = day.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        for minute in {0, DAY_MINUTES, *(edge for span in self.minutes for edge in span)}:
            local = midnight + timedelta(minutes=minute)
            # An hour that the clocks repeat has two of each time.
            for fold in (0, 1):
                yield _ms(local.replace(tzinfo=self.zone, fold=fold))


@dataclass(frozen=True, slots=True)
class TimeInterval:
    """A named set of spans; it contains what any of them contains."""

    name: str
    spans: tuple[Span, ...] = ()

    def contains(self, now_ms: int) -> bool:
        return any(span.contains(now_ms) for span in self.spans)

    def next_change(self, now_ms: int) -> int | None:
        """The first moment after `now_ms` at which `contains` changes; None: not within a year."""
        if not self.spans or now_ms >= LAST_MS - (LOOK_AHEAD_DAYS + 2) * DAY_MINUTES * MINUTE_MS:
            return None
        inside = self.contains(now_ms)
        before = now_ms
        midnight = _moment(now_ms).replace(hour=0, minute=0, second=0, microsecond=0)
        coming: set[int] = set()
        for ahead in range(-1, LOOK_AHEAD_DAYS):
            day = midnight + timedelta(days=ahead)
            coming |= {edge for span in self.spans for edge in span.edges(day)}
            # The days after this one begin later than here, wherever on earth.
            reached_ms = _ms(day)
            for edge in sorted(edge for edge in coming if before < edge <= reached_ms):
                if self.contains(edge) != inside:
                    return self._change_between(before, edge, inside)
                before = edge
            coming = {edge for edge in coming if edge > reached_ms}
        return None

    def _change_between(self, before_ms: int, after_ms: int, inside: bool) -> int:
        """An edge within an hour that the clocks leave out comes earlier than its name says."""
        low, high = before_ms // MINUTE_MS, after_ms // MINUTE_MS
        while high - low > 1:
            middle = (low + high) // 2
            if self.contains(middle * MINUTE_MS) == inside:
                low = middle
            else:
                high = middle
        return high * MINUTE_MS


def _moment(now_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=min(max(now_ms, FIRST_MS), LAST_MS))


def _ms(moment: datetime) -> int:
    return round((moment.astimezone(UTC) - _EPOCH) / timedelta(milliseconds=1))


def _month_length(day: datetime) -> int:
    first = day.replace(day=1, tzinfo=None)
    following = (first + timedelta(days=32)).replace(day=1)
    return (following - timedelta(days=1)).day


def _within(ranges: tuple[tuple[int, int], ...], value: int) -> bool:
    return not ranges or any(start <= value <= end for start, end in ranges)
