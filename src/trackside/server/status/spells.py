"""Alerts that are over: a page that looks at what fires only now and then would never know of a short one."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels

REMEMBERED_MS = 3_600_000
"""Longer than rules speak of what has ended."""


@dataclass(frozen=True, slots=True)
class Spell:
    """An alert fired for so long, and does not any more."""

    alert: str
    """Its name."""
    starts_ms: int
    ends_ms: int


class Ended:
    """What has ended since somebody took it. Rules tell of an end at each evaluation for a while: it is noted once."""

    def __init__(self, since_ms: int) -> None:
        """What was over before `since_ms` is no news."""
        self._since_ms = since_ms
        self._noted: dict[Labels, int] = {}
        """When each of them ended last."""
        self._spells: list[Spell] = []

    def hear(self, alerts: Iterable[Alert], names: Container[str]) -> None:
        """Of those with such a name."""
        for alert in alerts:
            ends_ms = alert.resolved_at_ms
            if alert.state is not AlertState.RESOLVED or ends_ms is None or alert.name not in names:
                continue
            if ends_ms >= self._since_ms and self._noted.get(alert.labels) != ends_ms:
                self._noted[alert.labels] = ends_ms
                self._spells.append(Spell(alert.name, alert.started_ms, ends_ms))

    def take(self, now_ms: int) -> list[Spell]:
        taken, self._spells = self._spells, []
        self._noted = {labels: ends_ms for labels, ends_ms in self._noted.items() if now_ms - ends_ms < REMEMBERED_MS}
        return taken
