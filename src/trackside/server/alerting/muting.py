"""What keeps an alert from being told: silences, other alerts, and the time of day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trackside.model.alerts import Alert
from trackside.model.labels import Labels
from trackside.server.alerting.collector import AlertingMetrics
from trackside.server.alerting.group import AlertGroup
from trackside.server.alerting.inhibition import Inhibition
from trackside.server.alerting.route import Route
from trackside.server.alerting.silences.register import Silences
from trackside.server.alerting.time_intervals import TimeInterval


@dataclass(frozen=True, slots=True)
class Mute:
    silenced_by: tuple[str, ...] = ()
    """Ids of silences."""
    inhibited_by: Labels | None = None
    """The labels of the alert that explains it."""

    def __bool__(self) -> bool:
        return bool(self.silenced_by) or self.inhibited_by is not None


@dataclass(frozen=True, slots=True)
class Muting:
    silences: Silences
    inhibition: Inhibition
    intervals: Mapping[str, TimeInterval]

    def of(self, labels: Labels, now_ms: int) -> Mute:
        return Mute(self.silences.silencing(labels, now_ms), self.inhibition.inhibitor(labels))

    def is_muted(self, labels: Labels, now_ms: int) -> bool:
        return self.inhibition.inhibitor(labels) is not None or bool(self.silences.silencing(labels, now_ms))

    def muted_by(self, route: Route | None, now_ms: int) -> tuple[str, ...]:
        """Names of the time intervals that keep a route quiet now: those that mute it, or, when none of those that it
        is active in holds, these."""
        if route is None:
            return ()
        muting = tuple(name for name in route.mute_time_intervals if self.intervals[name].contains(now_ms))
        if muting or not route.active_time_intervals:
            return muting
        active = any(self.intervals[name].contains(now_ms) for name in route.active_time_intervals)
        return () if active else route.active_time_intervals

    def unmuted(self, group: AlertGroup, route: Route | None, now_ms: int, metrics: AlertingMetrics) -> list[Alert]:
        """The alerts of a group that may be told now; the others are counted."""
        named = self.muted_by(route, now_ms)
        if named:
            inactive = route is not None and named == route.active_time_intervals
            metrics.suppressed("active_time_interval" if inactive else "mute_time_interval", len(group.alerts))
            return []
        shown: list[Alert] = []
        inhibited = silenced = 0
        for labels, alert in group.alerts.items():
            if self.inhibition.inhibitor(labels) is not None:
                inhibited += 1
            elif self.silences.silencing(labels, now_ms):
                silenced += 1
            else:
                shown.append(alert)
        metrics.suppressed("inhibition", inhibited)
        metrics.suppressed("silence", silenced)
        return shown
