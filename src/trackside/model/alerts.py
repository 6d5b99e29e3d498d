"""Alerts and notifications: the same objects from the rule to the receiver."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from trackside.model.labels import Labels


class AlertState(Enum):
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alert:
    """What a rule says is wrong, for one label set."""

    labels: Labels
    """The series' labels and the rule's, with `alertname`: the identity of the alert."""
    annotations: Labels
    state: AlertState
    value: float
    active_at_ms: int
    """When the expression first held: pending since."""
    fired_at_ms: int | None = None
    resolved_at_ms: int | None = None
    keep_firing_since_ms: int | None = None
    """When the expression stopped holding, while `keep_firing_for` still keeps the alert."""
    generator_url: str = ""
    """Link to the expression in Explore."""

    @property
    def name(self) -> str:
        return self.labels.get("alertname")

    @property
    def started_ms(self) -> int:
        """When it began to fire; of one that is pending, to be so."""
        return self.active_at_ms if self.fired_at_ms is None else self.fired_at_ms


@dataclass(frozen=True, slots=True)
class ChartImage:
    """A picture of how the value behind an alert went."""

    labels: Labels
    """Of the alert."""
    png: bytes
    alt: str
    """What it shows, in words."""
    url: str = ""
    """Where it can be fetched without logging in; "" for one that is sent along."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to one receiver about one group of alerts."""

    receiver: str
    group_key: str
    group_labels: Labels
    alerts: tuple[Alert, ...]
    external_url: str
    truncated_alerts: int = 0
    reason: str = ""
    """Why now, in Alertmanager's words: "first notification", "new alerts added" …"""
    delivery_id: str = ""
    """The same at each attempt to deliver it, so that a receiver may know a repetition when it sees one."""
    trends: tuple[tuple[Labels, str], ...] = ()
    """How the value of an alert went, as a line of text, by its labels; not for all."""
    chart: ChartImage | None = None
    """Of one of the alerts; None for receivers that show no pictures, and when there was none in time."""
    thread: str = ""
    """What the receiver called its last message about this group, as it was handed back; "" for a group that is new."""

    @property
    def status(self) -> str:
        """As Alertmanager has it: "firing" while any alert is, else "resolved"."""
        return "firing" if any(a.state is AlertState.FIRING for a in self.alerts) else "resolved"

    @property
    def common_labels(self) -> Labels:
        return _common([alert.labels for alert in self.alerts])

    @property
    def common_annotations(self) -> Labels:
        return _common([alert.annotations for alert in self.alerts])


@dataclass(frozen=True, slots=True)
class NotificationRecord:
    """What became of one notification: a line of the notification log."""

    notification_id: str
    receiver: str
    integration: str
    """Kind of receiver: "webhook", "slack"."""
    group_key: str
    status: str
    """Either "firing" or "resolved"."""
    alert_names: tuple[str, ...]
    alert_count: int
    decided_at_ms: int
    delivered_at_ms: int | None
    attempts: int
    last_error: str = ""
    reason: str = ""
    """Why it was sent, as in `Notification`."""
    group_labels: Labels = Labels(())
    alerts: tuple[Alert, ...] = ()
    """The first of them, as they were told."""
    is_waiting: bool = False
    """Whether it is on its way, or will be tried again."""


def _common(label_sets: list[Labels]) -> Labels:
    if not label_sets:
        return Labels()
    shared = set(label_sets[0].pairs).intersection(*(labels.pairs for labels in label_sets[1:]))
    return Labels(tuple(sorted(shared)))
