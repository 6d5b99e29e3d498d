"""What somebody has typed into the form of a silence, and the silence that it asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import MultiDict

from trackside.exceptions import TracksideError
from trackside.model.durations import parse_duration
from trackside.model.labels import Labels
from trackside.model.matchers import Matcher
from trackside.server.alerting.matchers import parse_matchers
from trackside.server.alerting.silences.recurrence import Recurrence
from trackside.server.alerting.silences.silence import Silence
from trackside.server.alerting.silences.until_resolved import LONGEST_MS, MARK, lasts_until_resolved
from trackside.server.web.moments import for_input, moment_ms
from trackside.server.web.pages.alerts.places import matchers_text
from trackside.server.web.pages.silences.words import simple_span

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LENGTHS = (
    ("1h", "for 1 hour"),
    ("4h", "for 4 hours"),
    ("resolved", "until it is resolved, a day at most"),
    ("tomorrow", "until tomorrow 9:00 UTC"),
    ("3d", "for 3 days"),
    ("7d", "for a week"),
    ("30d", "for 30 days"),
    ("365d", "for a year"),
    ("custom", "until the time below"),
)
MAX_TEXT = 4_000
LATEST_MS = 4_102_444_800_000
"""2100: what ends later was mistyped."""


class DraftError(TracksideError):
    """A form that makes no silence; the text says why."""


@dataclass(frozen=True, slots=True)
class Draft:
    """All texts as they were typed."""

    silence_id: str = ""
    matchers: str = ""
    """One a line, or between braces."""
    length: str = "1h"
    starts: str = ""
    """In UTC, as a browser writes it; "" is now."""
    ends: str = ""
    comment: str = ""
    author: str = ""
    weekdays: tuple[str, ...] = ()
    from_time: str = ""
    to_time: str = ""
    location: str = ""
    recurrence: str = ""
    """JSON of one that the fields above cannot say."""

    @classmethod
    def of_form(cls, form: MultiDict, author: str) -> Draft:
        def text(name: str) -> str:
            return str(form.get(name) or "").strip()[:MAX_TEXT]

        return cls(
            text("id"),
            text("matchers") or text("filter"),
            text("for") or "1h",
            text("starts"),
            text("ends"),
            text("comment"),
            text("author") or author,
            tuple(day for day in WEEKDAYS if day in form.getlist("weekday")),
            text("from_time"),
            text("to_time"),
            text("location"),
            text("recurrence"),
        )

    @classmethod
    def of_silence(cls, silence: Silence) -> Draft:
        span = simple_span(silence.recurrence)
        draft = cls(
            silence.silence_id,
            matchers_text(silence.matchers),
            "resolved" if lasts_until_resolved(silence) else "custom",
            _for_input(silence.starts_ms),
            _for_input(silence.ends_ms),
            silence.comment,
            silence.created_by,
        )
        return replace(draft, recurrence=silence.recurrence.text) if span is None else _with_span(draft, span)

    def spelled_out(self) -> Draft:
        """A line for each matcher, if they can be read."""
        try:
            return replace(self, matchers=matchers_text(self.read_matchers()))
        except DraftError:
            return self

    def read_matchers(self) -> tuple[Matcher, ...]:
        """
        Raises:
            DraftError: they cannot be read.
        """
        found: list[Matcher] = []
        for line in filter(None, (line.strip().rstrip(",") for line in self.matchers.split("\n"))):
            try:
                found += parse_matchers(line)
            except ValueError as error:
                raise DraftError(str(error)) from error
        return tuple(found)

    def silence(self, now_ms: int) -> Silence:
        """
        Raises:
            DraftError: a field makes no sense.
        """
        starts_ms = _moment("The start", self.starts) if self.starts else now_ms
        until_resolved = self.length == "resolved"
        return Silence(
            self.silence_id,
            self.read_matchers(),
            starts_ms,
            self._ends_ms(max(starts_ms, now_ms), now_ms),
            self.author,
            self.comment,
            annotations=MARK if until_resolved else Labels(),
            recurrence=self._recurrence(),
        )

    def _ends_ms(self, starts_ms: int, now_ms: int) -> int:
        if self.length == "custom":
            return _moment("The end", self.ends)
        if self.length == "resolved":
            return now_ms + LONGEST_MS
        if self.length == "tomorrow":
            return tomorrow_ms(now_ms)
        if self.length.startswith("until:"):
            # What a script reckoned in the reader's own time zone.
            digits = self.length.removeprefix("until:")
            if not digits.isdecimal() or len(digits) > 15 or not now_ms < int(digits) <= now_ms + 3 * LONGEST_MS:
                raise DraftError("The end makes no sense.")
            return int(digits)
        try:
            return starts_ms + parse_duration(self.length)
        except ValueError as error:
            raise DraftError(f"How long: {error}") from error

    def _recurrence(self) -> Recurrence:
        span: dict[str, object] = {}
        if self.weekdays:
            span["weekdays"] = list(self.weekdays)
        if self.from_time or self.to_time:
            span["times"] = [{"start_time": self.from_time or "00:00", "end_time": self.to_time or "24:00"}]
        if span and self.location:
            span["location"] = self.location
        try:
            return Recurrence.of([span] if span else json.loads(self.recurrence or "[]"))
        except ValueError as error:
            raise DraftError(f"When it recurs: {error}") from error


def tomorrow_ms(now_ms: int) -> int:
    """Tomorrow at 9:00 in UTC; a script that knows the reader's zone sends their own instead."""
    return (now_ms // LONGEST_MS + 1) * LONGEST_MS + 9 * 3_600_000


def _with_span(draft: Draft, span: Mapping[str, Any]) -> Draft:
    times = (span.get("times") or [{}])[0]
    return replace(
        draft,
        weekdays=tuple(str(day).lower() for day in span.get("weekdays") or ()),
        from_time=str(times.get("start_time") or ""),
        to_time=str(times.get("end_time") or ""),
        location=str(span.get("location") or ""),
    )


def _moment(what: str, text: str) -> int:
    try:
        found_ms = moment_ms(text)
    except ValueError as error:
        raise DraftError(f"{what}: {error}.") from error
    if not 0 < found_ms <= LATEST_MS:
        raise DraftError(f"{what}: expected a day of this century.")
    return found_ms


def _for_input(at_ms: int) -> str:
    return for_input(min(max(at_ms, 0), LATEST_MS), "seconds")
