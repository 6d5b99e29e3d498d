"""The status page as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from trackside.server.status.model import DAY_MS, DayView, State, StatusView
from trackside.server.web.render import environment
from trackside.server.web.status.feed import STATE_WORDS

WORDS: Mapping[str, str] = {
    "up": "works",
    "degraded": "works less well",
    "down": "does not work",
    "maintenance": "in maintenance",
    "unknown": "not known",
}
# Height of a bar: says the same as its colour.
HEIGHTS: Mapping[str, int] = {"up": 20, "degraded": 25, "down": 30, "maintenance": 12, "unknown": 5}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a copy of the page stands."""

    address: str
    """Its own, in full, without a trailing slash: feeds need it."""
    base: str = ""
    """What links within it begin with: "/status/", or "" where all of it is in one folder."""
    style: str = "status.css"
    script: str = "status.js"
    icon: str = "icon.svg"


def status_page(view: StatusView, place: Place) -> bytes:
    template = environment().get_template("status.html")
    return template.render(
        view=view,
        place=place,
        sentence=sentence(view),
        words=WORDS,
        heights=HEIGHTS,
        date=_date,
        day_words=_day_words,
    ).encode()


def sentence(view: StatusView) -> str:
    """What the page opens with."""
    incidents = [one for one in view.open if not one.is_maintenance]
    # What a person calls it says more than what was measured.
    return incidents[0].title if incidents else f"{STATE_WORDS[view.state]}."


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_MS / 1000, UTC).strftime("%-d %b %Y")


def _day_words(day: DayView) -> str:
    minutes = day.minutes
    if day.state is State.UNKNOWN:
        return "not known"
    told = (
        (minutes.down, "does not work"),
        (minutes.degraded, "works less well"),
        (minutes.maintenance, "in maintenance"),
    )
    parts = [f"{count} min {word}" for count, word in told if count]
    return ", ".join(parts) or "works"
