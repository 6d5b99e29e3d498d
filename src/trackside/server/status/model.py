"""Nouns of the status page. What stands in a `StatusView` is public; everything else is not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

DAY_MS = 86_400_000
MINUTE_MS = 60_000


class State(Enum):
    """Of a component, in the order of their weight where one of several is to be shown."""

    UNKNOWN = "unknown"
    UP = "up"
    MAINTENANCE = "maintenance"
    DEGRADED = "degraded"
    DOWN = "down"


class IncidentState(Enum):
    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"
    # Of maintenance.
    SCHEDULED = "scheduled"
    UNDER_WAY = "under way"
    COMPLETED = "completed"

    @property
    def is_over(self) -> bool:
        return self in (IncidentState.RESOLVED, IncidentState.COMPLETED)


@dataclass(frozen=True, slots=True)
class Update:
    at_ms: int
    state: IncidentState
    text: str
    author: str = ""
    """Who wrote it: for the team, never for the page. "" for this server itself."""


@dataclass(frozen=True, slots=True)
class Incident:
    id: int
    title: str
    impact: str
    """minor, major or maintenance."""
    components: tuple[str, ...]
    starts_ms: int
    ends_ms: int | None
    """When it was over; of maintenance, when it will be."""
    updates: tuple[Update, ...]
    """Oldest first; never empty."""
    alert: str = ""
    """Which alert opened it; "" for one that a person wrote."""

    @property
    def state(self) -> IncidentState:
        return self.updates[-1].state

    @property
    def is_maintenance(self) -> bool:
        return self.impact == "maintenance"

    @property
    def is_by_hand(self) -> bool:
        """Whether a person has written anything in it."""
        return any(update.author for update in self.updates)

    def is_open(self, now_ms: int) -> bool:
        return not self.state.is_over and self.starts_ms <= now_ms

    def hides(self, component: str, now_ms: int) -> bool:
        """Whether the component is in maintenance at this time."""
        over_ms = self.ends_ms if self.ends_ms is not None else now_ms + 1
        inside = self.is_maintenance and not self.state.is_over and self.starts_ms <= now_ms < over_ms
        return inside and component in self.components


@dataclass(frozen=True, slots=True)
class Minutes:
    """How many minutes of a day a component was in each state. What is missing to the day is unknown."""

    up: int = 0
    degraded: int = 0
    down: int = 0
    maintenance: int = 0

    @property
    def known(self) -> int:
        return self.up + self.degraded + self.down + self.maintenance

    @property
    def up_share(self) -> float | None:
        """Of the minutes in which it was known and expected to work. Degraded is up: it works."""
        expected = self.up + self.degraded + self.down
        return (self.up + self.degraded) / expected if expected else None

    def plus(self, other: Minutes) -> Minutes:
        return Minutes(
            self.up + other.up,
            self.degraded + other.degraded,
            self.down + other.down,
            self.maintenance + other.maintenance,
        )


@dataclass(frozen=True, slots=True)
class DayView:
    day: int
    """Days since 1970 in UTC."""
    minutes: Minutes
    state: State
    """What the bar shows."""


@dataclass(frozen=True, slots=True)
class ComponentView:
    name: str
    slug: str
    description: str
    group: str
    state: State
    days: tuple[DayView, ...]
    """Oldest first, the last one is today."""
    up_share: float | None
    """Over all these days."""


@dataclass(frozen=True, slots=True)
class StatusView:
    """Everything that the world may know, at one moment."""

    title: str
    description: str
    site: str
    has_logo: bool
    state: State
    """The worst of all components."""
    components: tuple[ComponentView, ...]
    open: tuple[Incident, ...]
    """Incidents and maintenance that go on, latest first."""
    planned: tuple[Incident, ...]
    """Maintenance to come, soonest first."""
    past: tuple[Incident, ...]
    """What is over, latest first."""
    as_of_ms: int

    @property
    def groups(self) -> list[tuple[str, list[ComponentView]]]:
        found: dict[str, list[ComponentView]] = {}
        for component in self.components:
            found.setdefault(component.group, []).append(component)
        return list(found.items())
