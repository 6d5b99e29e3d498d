"""Go's time.Time and time.Duration, as far as templates use them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from types import MappingProxyType
from zoneinfo import ZoneInfo

from trackside.server.gotemplate.values import GoFunction, Object

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO_SECONDS = -62_135_596_800
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LAYOUT = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|-07:00:00|-07:00|-0700|-07|Z07:00|Z0700|Z07|[.,]0+(?!\d)|[.,]9+(?!\d)"
    r"|01|02|03|04|05|06|002|15|PM|pm|_2|1|2|3|4|5"
)
_NANOSECONDS = 1_000_000_000


class GoTime(Object):
    """A moment with a zone. The zero time is year 1, which marks an `endsAt` that is not known."""

    type_name = "time.Time"

    def __init__(self, nanoseconds: int, zone: tzinfo = UTC) -> None:
        """Nanoseconds since 1970."""
        self.nanoseconds = nanoseconds
        self.zone = zone

    @classmethod
    def of_seconds(cls, seconds: float) -> GoTime:
        """To the millisecond, as Prometheus reads timestamps.

        Raises:
            ValueError: not within the years 1 to 9999.
        """
        if not _ZERO_SECONDS <= seconds < 253_402_300_800:
            raise ValueError(f"not a time: {seconds}")
        return cls(round(seconds * 1000) * 1_000_000)

    @classmethod
    def of_ms(cls, milliseconds: int | None) -> GoTime:
        return cls(_ZERO_SECONDS * _NANOSECONDS if milliseconds is None else milliseconds * 1_000_000)

    @property
    def seconds(self) -> int:
        return self.nanoseconds // _NANOSECONDS

    @property
    def local(self) -> datetime:
        return (_EPOCH + timedelta(seconds=self.seconds)).astimezone(self.zone)

    def member(self, name: str) -> object:
        method = _TIME_METHODS[name]
        return GoFunction(lambda *args: method.call(self, *args), method.params[1:])

    def text(self) -> str:
        return self.format("2006-01-02 15:04:05.999999999 -0700 MST")

    def format(self, layout: str) -> str:
        local = self.local
        return _LAYOUT.sub(lambda match: _part(match[0], local, self.nanoseconds % _NANOSECONDS), layout)


class GoDuration(Object):
    type_name = "time.Duration"

    def __init__(self, nanoseconds: int) -> None:
        self.nanoseconds = nanoseconds

    def member(self, name: str) -> object:
        method = _DURATION_METHODS[name]
        return GoFunction(lambda: method(self))

    def text(self) -> str:
        size = abs(self.nanoseconds)
        sign = "-" if self.nanoseconds < 0 else ""
        if size < _NANOSECONDS:
            for unit, digits in (("ns", 0), ("µs", 3), ("ms", 6)):
                if size < 10 ** (digits + 3):
                    return f"{sign}{_decimal(size, digits)}{unit}" if size else "0s"
        minutes, rest = divmod(size, 60 * _NANOSECONDS)
        hours, minutes = divmod(minutes, 60)
        text = f"{_decimal(rest, 9)}s"
        return sign + (f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}" if minutes else text)


def _decimal(value: int, digits: int) -> str:
    whole, fraction = divmod(value, 10**digits)
    tail = str(fraction).rjust(digits, "0").rstrip("0") if digits else ""
    return f"{whole}.{tail}" if tail else str(whole)


def _part(word: str, local: datetime, nanoseconds: int) -> str:
    if word[0] in ".,":
        digits = f"{nanoseconds:09d}"[: len(word) - 1]
        if word[1] == "0":
            return word[0] + digits
        digits = digits.rstrip("0")
        return word[0] + digits if digits else ""
    if word[0] in "-Z" or word == "MST":
        return _zone(word, local)
    return _PARTS[word](local)


def _zone(word: str, local: datetime) -> str:
    offset = int((local.utcoffset() or timedelta()).total_seconds())
    if word == "MST":
        return local.tzname() or "UTC"
    if word[0] == "Z" and offset == 0:
        return "Z"
    hours, rest = divmod(abs(offset), 3600)
    minutes, seconds = divmod(rest, 60)
    text = ("-" if offset < 0 else "+") + word[1:].replace("07", f"{hours:02d}", 1)
    return re.sub(r"00$", f"{minutes:02d}", text) if ":00:00" not in word else f"{text[:3]}:{minutes:02d}:{seconds:02d}"


_PARTS: Mapping[str, Callable[[datetime], str]] = {
    "January": lambda t: _MONTHS[t.month - 1],
    "Jan": lambda t: _MONTHS[t.month - 1][:3],
    "Monday": lambda t: _DAYS[t.weekday()],
    "Mon": lambda t: _DAYS[t.weekday()][:3],
    "2006": lambda t: f"{t.year:04d}",
    "06": lambda t: f"{t.year % 100:02d}",
    "01": lambda t: f"{t.month:02d}",
    "1": lambda t: str(t.month),
    "02": lambda t: f"{t.day:02d}",
    "_2": lambda t: f"{t.day:2d}",
    "2": lambda t: str(t.day),
    "002": lambda t: f"{t.timetuple().tm_yday:03d}",
    "15": lambda t: f"{t.hour:02d}",
    "03": lambda t: f"{(t.hour + 11) % 12 + 1:02d}",
    "3": lambda t: str((t.hour + 11) % 12 + 1),
    "04": lambda t: f"{t.minute:02d}",
    "4": lambda t: str(t.minute),
    "05": lambda t: f"{t.second:02d}",
    "5": lambda t: str(t.second),
    "PM": lambda t: "PM" if t.hour >= 12 else "AM",
    "pm": lambda t: "pm" if t.hour >= 12 else "am",
}


def zone(name: str) -> tzinfo:
    """
    Raises:
        ValueError: no such time zone.
    """
    if name in ("", "UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError) as error:
        raise ValueError(f"no time zone is named {name!r}") from error


def _add(time: GoTime, duration: GoDuration) -> GoTime:
    if not isinstance(duration, GoDuration):
        raise ValueError("expected a duration")
    return GoTime(time.nanoseconds + duration.nanoseconds, time.zone)


def _sub(time: GoTime, other: GoTime) -> GoDuration:
    return GoDuration(time.nanoseconds - _time(other).nanoseconds)


def _time(value: object) -> GoTime:
    if not isinstance(value, GoTime):
        raise ValueError("expected a time")
    return value


_NUMBER_PARTS: Mapping[str, Callable[[GoTime], object]] = {
    "Year": lambda t: t.local.year,
    "Month": lambda t: _MONTHS[t.local.month - 1],
    "Day": lambda t: t.local.day,
    "Hour": lambda t: t.local.hour,
    "Minute": lambda t: t.local.minute,
    "Second": lambda t: t.local.second,
    "Nanosecond": lambda t: t.nanoseconds % _NANOSECONDS,
    "Weekday": lambda t: _DAYS[t.local.weekday()],
    "YearDay": lambda t: t.local.timetuple().tm_yday,
    "Unix": lambda t: t.seconds,
    "UnixMilli": lambda t: t.nanoseconds // 1_000_000,
    "UnixNano": lambda t: t.nanoseconds,
    "IsZero": lambda t: t.seconds == _ZERO_SECONDS,
    "UTC": lambda t: GoTime(t.nanoseconds),
    "Local": lambda t: t,
    "String": lambda t: t.text(),
}
_SELF = ("any",)
_TIME_METHODS: Mapping[str, GoFunction] = MappingProxyType(
    {name: GoFunction(part, _SELF) for name, part in _NUMBER_PARTS.items()}
    | {
        "Format": GoFunction(GoTime.format, ("any", "string")),
        "Add": GoFunction(_add, ("any", "any")),
        "Sub": GoFunction(_sub, ("any", "any")),
        "After": GoFunction(lambda t, other: t.nanoseconds > _time(other).nanoseconds, ("any", "any")),
        "Before": GoFunction(lambda t, other: t.nanoseconds < _time(other).nanoseconds, ("any", "any")),
        "Equal": GoFunction(lambda t, other: t.nanoseconds == _time(other).nanoseconds, ("any", "any")),
    }
)
_DURATION_METHODS: Mapping[str, Callable[[GoDuration], object]] = {
    "Seconds": lambda d: d.nanoseconds / _NANOSECONDS,
    "Minutes": lambda d: d.nanoseconds / _NANOSECONDS / 60,
    "Hours": lambda d: d.nanoseconds / _NANOSECONDS / 3600,
    "Milliseconds": lambda d: d.nanoseconds // 1_000_000,
    "Nanoseconds": lambda d: d.nanoseconds,
    "String": lambda d: d.text(),
}
