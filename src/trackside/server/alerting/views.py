"""What is known of alerts and groups at a moment, for whoever asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trackside.model.alerts import Alert
from trackside.model.labels import Labels
from trackside.server.alerting.group import AlertGroup
from trackside.server.alerting.grouping import Grouping
from trackside.server.alerting.intake import Intake, Known
from trackside.server.alerting.muting import Mute, Muting


@dataclass(frozen=True, slots=True)
class AlertView:
    alert: Alert
    updated_ms: int
    ends_ms: int
    """When it is taken to be over unless it is said again."""
    mute: Mute
    receivers: tuple[str, ...]
    muted_by: tuple[str, ...] = ()
    """Names of the time intervals that mute its group; () where no group is asked about."""


@dataclass(frozen=True, slots=True)
class GroupView:
    group_key: str
    labels: Labels
    receiver: str
    alerts: tuple[AlertView, ...]
    muted_by: tuple[str, ...]
    next_flush_ms: int


@dataclass(frozen=True, slots=True)
class Views:
    intake: Intake
    grouping: Grouping
    muting: Muting

    def alerts(self, now_ms: int) -> list[AlertView]:
        """All that fire."""
        return [self._view(known, now_ms) for known in self.intake.firing(now_ms)]

    def unmuted_labels(self, now_ms: int) -> Iterator[Labels]:
        """Of all that fire and are neither silenced nor inhibited."""
        muting = self.muting
        return (labels for labels in self.intake.firing_labels(now_ms) if not muting.is_muted(labels, now_ms))

    def by_muting(self, now_ms: int) -> tuple[list[Alert], int]:
        """All that fire and are neither silenced nor inhibited, and how many others do."""
        labels = list(self.intake.firing_labels(now_ms))
        found = (self.intake.known(one, now_ms) for one in labels if not self.muting.is_muted(one, now_ms))
        unmuted = [known.alert for known in found if known is not None]
        return unmuted, len(labels) - len(unmuted)

    def groups(self, now_ms: int) -> list[GroupView]:
        """All that have an alert that fires, by their labels and receiver."""
        found = [self._group(group, now_ms) for group in self.grouping.groups.values()]
        return sorted((one for one in found if one.alerts), key=lambda one: (one.labels, one.receiver))

    def _group(self, group: AlertGroup, now_ms: int) -> GroupView:
        muted_by = self.muting.muted_by(self.grouping.route(group), now_ms)
        alerts = tuple(self._in_group(group, now_ms, muted_by))
        return GroupView(group.group_key, group.labels, group.receiver, alerts, muted_by, group.next_flush_ms)

    def _in_group(self, group: AlertGroup, now_ms: int, muted_by: tuple[str, ...]) -> Iterable[AlertView]:
        for labels in sorted(group.alerts.keys() - group.left):
            known = self.intake.known(labels, now_ms)
            if known is not None:
                yield self._view(known, now_ms, muted_by)

    def _view(self, known: Known, now_ms: int, muted_by: tuple[str, ...] = ()) -> AlertView:
        labels = known.alert.labels
        receivers = tuple(route.receiver for route in self.grouping.routes(labels))
        return AlertView(
            known.alert, known.updated_ms, known.ends_ms, self.muting.of(labels, now_ms), receivers, muted_by
        )
