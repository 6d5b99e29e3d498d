"""The `time_intervals` section: Alertmanager's way to write down parts of a calendar."""

from __future__ import annotations

import os
import re
import zoneinfo
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from trackside.server.alerting.time_intervals import DAY_MINUTES, UTC_ZONE, Span, TimeInterval
from trackside.server.schema import Section, Text

WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_INTEGER = re.compile(r"[+-]?[0-9]{1,6}", re.A)
LOCAL_TIME = Path("/etc/localtime")
_SHORTEST_MONTH = 28

Range = tuple[int, int]


def _ranges(read: Callable[[str], Range]) -> BeforeValidator:
    def validate(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise ValueError("expected a list")
        return tuple(one if isinstance(one, tuple) else read(str(getattr(one, "source", one))) for one in value)

    return BeforeValidator(validate)


def _ends(text: str, number: Callable[[str], int]) -> Range:
    """ "a:b" is a range with both ends in it, "a" a range of one."""
    parts = text.lower().split(":")
    if len(parts) > 2:
        raise ValueError(f"not a range: {text!r}; expected one value, or two with a colon between them")
    return number(parts[0]), number(parts[-1])


def _weekdays(text: str) -> Range:
    start, end = _ends(text, _weekday)
    if start > end:
        raise ValueError(f"{text!r} ends before it begins: a week begins on Sunday; write two ranges")
    return start, end


def _weekday(text: str) -> int:
    if text not in WEEKDAYS:
        raise ValueError(f"{text!r} is not a weekday; expected sunday, monday, …, saturday")
    return WEEKDAYS.index(text)


def _days_of_month(text: str) -> Range:
    start, end = _ends(text, _integer)
    for day in (start, end):
        if not 1 <= abs(day) <= 31:
            raise ValueError(f"{day} is not a day of a month; expected 1 to 31, or -1 (the last) to -31")
    if start < 0 < end:
        raise ValueError(f"{text!r} begins at the end of the month, and so must end there: with a negative day")
    if _in_february(start) > _in_february(end):
        raise ValueError(f"{text!r} may end before it begins")
    return start, end


def _in_february(day: int) -> int:
    return day if day > 0 else _SHORTEST_MONTH + day


def _months(text: str) -> Range:
    start, end = _ends(text, _month)
    if start > end:
        raise ValueError(f"{text!r} ends before it begins: a year begins in January; write two ranges")
    return start, end


def _month(text: str) -> int:
    if text in MONTHS:
        return MONTHS.index(text) + 1
    if _INTEGER.fullmatch(text):
        return int(text)
    raise ValueError(f"{text!r} is not a month; expected january, …, december, or 1 to 12")


def _years(text: str) -> Range:
    start, end = _ends(text, _integer)
    if start > end:
        raise ValueError(f"{text!r} ends before it begins")
    return start, end


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def _minute(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if value == "24:00":
        return DAY_MINUTES
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is not a time of day; expected HH:MM, such as '09:00' or '24:00'")
    return int(found[1]) * 60 + int(found[2])


def _zone(value: Any) -> Any:
    if isinstance(value, zoneinfo.ZoneInfo):
        return value
    return time_zone(value) if isinstance(value, str) else value


def time_zone(name: str) -> zoneinfo.ZoneInfo:
    """
    Raises:
        ValueError: there is none of this name.
    """
    if not name:
        return UTC_ZONE
    if name == "Local":
        return _local_zone()
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        # What is no name at all may be a folder of the data base, or one of its other files.
        raise ValueError(f"no time zone is named {name!r}; expected a name such as Europe/Berlin") from error


def _local_zone() -> zoneinfo.ZoneInfo:
    """That of the machine, or UTC where it has none."""
    named = os.environ.get("TZ", "").removeprefix(":")
    if named:
        return time_zone(named)
    try:
        with LOCAL_TIME.open("rb") as file:
            return zoneinfo.ZoneInfo.from_file(file, key="Local")
    except (OSError, ValueError):
        return UTC_ZONE


class TimeRangeConfig(Section):
    """Of a day; the end is not in it."""

    start_time: Annotated[int, BeforeValidator(_minute)]
    end_time: Annotated[int, BeforeValidator(_minute)]

    @model_validator(mode="after")
    def _forwards(self) -> TimeRangeConfig:
        if self.start_time >= self.end_time:
            raise ValueError("expected an end_time after start_time; for times over midnight write two ranges")
        return self


class SpanConfig(Section):
    times: tuple[TimeRangeConfig, ...] = ()
    weekdays: Annotated[tuple[Range, ...], _ranges(_weekdays)] = ()
    days_of_month: Annotated[tuple[Range, ...], _ranges(_days_of_month)] = ()
    months: Annotated[tuple[Range, ...], _ranges(_months)] = ()
    years: Annotated[tuple[Range, ...], _ranges(_years)] = ()
    location: Annotated[zoneinfo.ZoneInfo, BeforeValidator(_zone)] = UTC_ZONE

    @property
    def span(self) -> Span:
        minutes = tuple((one.start_time, one.end_time) for one in self.times)
        return Span(minutes, self.weekdays, self.days_of_month, self.months, self.years, self.location)


class TimeIntervalConfig(Section):
    name: Text = Field(min_length=1)
    time_intervals: tuple[SpanConfig, ...] = ()

    @property
    def interval(self) -> TimeInterval:
        return TimeInterval(self.name, tuple(one.span for one in self.time_intervals))


def intervals(*sections: Iterable[TimeIntervalConfig]) -> dict[str, TimeInterval]:
    return {one.name: one.interval for section in sections for one in section}
