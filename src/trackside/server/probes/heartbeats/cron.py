"""The five fields of a crontab line, and the next moment they name. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?:(?P<all>\*)|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d{1,4}))?", re.ASCII)
# 29 February on a certain day of the week comes within 40 years, if it comes at all.
MAX_DAYS = 366 * 41


@dataclass(frozen=True, slots=True)
class Cron:
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    either_day: bool
    """Both kinds of days are restricted: then one of them is enough, as cron has always had it."""

    @classmethod
    @lru_cache(maxsize=1_000)
    def parsed(cls, text: str) -> Cron:
        """
        Raises:
            ValueError: this is no schedule, or one that never comes.
        """
        fields = _NICKNAMES.get(text.strip().lower(), text).lower().split()
        if len(fields) != 5 or len(text) > 500:
            raise ValueError(
                f"not a schedule: {text[:100]!r}; expected minute, hour, day, month and weekday, or @daily"
            )
        weekdays = {day % 7 for day in _field(fields[4], "weekday", 0, 7, _DAYS)}
        cron = cls(
            tuple(sorted(_field(fields[0], "minute", 0, 59))),
            tuple(sorted(_field(fields[1], "hour", 0, 23))),
            frozenset(_field(fields[2], "day", 1, 31)),
            frozenset(_field(fields[3], "month", 1, 12, ("", *_MONTHS))),
            frozenset(weekdays),
            not fields[2].startswith("*") and not fields[4].startswith("*"),
        )
        if cron._never():
            raise ValueError(f"a schedule that never comes: {text!r}")
        return cron

    def next_ms(self, after_ms: int, zone: ZoneInfo) -> int | None:
        """The first moment after `after_ms`; None when there is none in 40 years.

        A time that the clocks leave out in spring comes when they have jumped; one that comes twice in autumn counts
        the first time.
        """
        day = datetime.fromtimestamp(after_ms / 1000, zone).date()
        for _ in range(MAX_DAYS):
            if self._on_day(day.month, day.day, day.isoweekday() % 7):
                for hour in self.hours:
                    for minute in self.minutes:
                        moment = datetime.combine(day, time(hour, minute), zone)
                        # There and back: a time that does not exist is moved to one that does.
                        at_ms = int(moment.astimezone(UTC).timestamp()) * 1000
                        if at_ms > after_ms:
                            return at_ms
            try:
                day += timedelta(days=1)
            except OverflowError:
                return None
        return None

    def _on_day(self, month: int, day: int, weekday: int) -> bool:
        if month not in self.months:
            return False
        by_day, by_weekday = day in self.days, weekday in self.weekdays
        return by_day or by_weekday if self.either_day else by_day and by_weekday

    def _never(self) -> bool:
        longest = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
        return not self.either_day and all(min(self.days) > longest.get(month, 31) for month in self.months)


def _field(text: str, what: str, least: int, most: int, names: tuple[str, ...] = ()) -> set[int]:
    """
    Raises:
        ValueError: the field is wrong; the message says which.
    """
    values: set[int] = set()
    for part in text.split(","):
        found = _PART.fullmatch(part)
        if found is None:
            raise ValueError(f"{what}: {part[:40]!r} is none; expected *, a number, a range 1-5 or a step */10")
        step = int(found["step"] or 1)
        low = least if found["all"] else _number(found["low"], what, least, most, names)
        high = most if found["all"] else low
        if found["high"]:
            high = _number(found["high"], what, least, most, names)
        elif found["step"]:
            high = most
        if step < 1 or low > high:
            raise ValueError(f"{what}: {part!r} holds no value")
        values.update(range(low, high + 1, step))
    return values


def _number(text: str, what: str, least: int, most: int, names: tuple[str, ...]) -> int:
    """
    Raises:
        ValueError: it is no number, or not one of this field's.
    """
    if text in names:
        return names.index(text)
    if not text.isdigit() or len(text) > 4 or not least <= int(text) <= most:
        raise ValueError(f"{what}: {text[:40]!r} is not between {least} and {most}")
    return int(text)
