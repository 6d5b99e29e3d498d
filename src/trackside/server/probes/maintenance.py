"""Hours in which a check may fail without anybody being told: once, or every week. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, field_validator, model_validator

from trackside.server.schema import Section

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError(f"not a moment: {value!r}; expected one such as 2026-03-01T22:00:00Z") from error
    if isinstance(value, date) and not isinstance(value, datetime):
        raise ValueError(f"expected a day and a time, such as {value.isoformat()}T22:00:00Z")
    return value


def _minutes(value: Any) -> Any:
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, str) and found is None:
        raise ValueError(f"not a time of day: {value!r}; expected one such as 02:30")
    return value


Moment = Annotated[datetime | None, BeforeValidator(_moment)]
TimeOfDay = Annotated[str, BeforeValidator(_minutes)]


def zone(name: str) -> ZoneInfo:
    """
    Raises:
        ValueError: there is no such time zone here.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"not a time zone: {name!r}; expected one such as UTC or Europe/Berlin") from error


class MaintenanceConfig(Section):
    name: str = "maintenance"
    checks: tuple[str, ...] = ()
    """Names of checks or heartbeats, or groups of checks; empty: all of them."""
    start: Moment = None
    end: Moment = None
    """Of one window. Without an offset: in `timezone`."""
    days: tuple[Day, ...] = ()
    """Of windows that come every week; empty: every day."""
    from_: TimeOfDay = Field(default="", alias="from")
    to: TimeOfDay = ""
    """Before `from`: on the next day."""
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        zone(name)
        return name

    @model_validator(mode="after")
    def _is_a_window(self) -> MaintenanceConfig:
        once, weekly = (self.start, self.end), (self.from_, self.to)
        if all(once) and not any(weekly) and not self.days:
            if _at(self.start, self.timezone) >= _at(self.end, self.timezone):
                raise ValueError("end: expected a moment after start")
        elif not (all(weekly) and not any(once)):
            raise ValueError("expected either start and end, or from and to (and days)")
        elif self.from_ == self.to:
            raise ValueError("to: expected another time than from; a whole day is from 00:00 to 24:00")
        return self

    def concerns(self, name: str, group: str) -> bool:
        return not self.checks or name in self.checks or bool(group and group in self.checks)

    def covers(self, now_ms: int) -> bool:
        """Whether `now_ms` lies within it, its end excluded."""
        if self.start is not None:
            return _at(self.start, self.timezone) <= now_ms < _at(self.end, self.timezone)
        local_day = datetime.fromtimestamp(now_ms / 1000, zone(self.timezone)).date()
        # A window that began yesterday may still be open.
        return any(self._covers_from(local_day - timedelta(days=back), now_ms) for back in (0, 1))

    def _covers_from(self, day: date, now_ms: int) -> bool:
        if self.days and DAYS[day.weekday()] not in self.days:
            return False
        start_ms = self._on(day, self.from_)
        end_ms = self._on(day if self.to > self.from_ else day + timedelta(days=1), self.to)
        return start_ms <= now_ms < end_ms

    def _on(self, day: date, text: str) -> int:
        if text == "24:00":
            day, text = day + timedelta(days=1), "00:00"
        hour, minute = map(int, text.split(":"))
        return int(datetime.combine(day, time(hour, minute), zone(self.timezone)).timestamp() * 1000)


def _at(moment: datetime | None, timezone: str) -> int:
    """Unix time in milliseconds."""
    if moment is None:
        return 0
    placed = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone(timezone))
    return int(placed.astimezone(UTC).timestamp() * 1000)
