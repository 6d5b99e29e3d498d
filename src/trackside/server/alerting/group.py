"""Alerts that are told together, and when they are told next."""

from __future__ import annotations

from dataclasses import dataclass, field

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.server.alerting.route import Route

LATE_MS = 1_500
"""A flush that is later than this begins a new rhythm: the server was down, or the clock was set."""


@dataclass(slots=True, eq=False)
class AlertGroup:
    group_id: str
    receiver: str
    group_key: str
    """As Alertmanager writes it: `{}/{team="a"}:{alertname="Down"}`."""
    labels: Labels
    group_wait_ms: int
    group_interval_ms: int
    repeat_interval_ms: int
    next_flush_ms: int
    flushed: bool = False
    alerts: dict[Labels, Alert] = field(default_factory=dict)
    left: set[Labels] = field(default_factory=set)
    """Alerts that are routed elsewhere since the configuration changed: only their end is still told here."""
    passed: set[Labels] = field(default_factory=set)
    """Resolved alerts that a flush has passed since: whoever was not told of them by then is not told any more."""
    empty_since_ms: int | None = None

    @property
    def route_id(self) -> str:
        return self.group_id[len(self.receiver) + 1 : -len(str(self.labels)) - 1]

    def put(self, alert: Alert, now_ms: int) -> bool:
        """Take the newest state of an alert; whether that is worth a write."""
        before = self.alerts.get(alert.labels)
        self.alerts[alert.labels] = alert
        self.empty_since_ms = None
        if alert.state is AlertState.FIRING:
            self.passed.discard(alert.labels)
            # An alert that is older than the wait has been waited for: by the server that died, or by another.
            if not self.flushed and alert.started_ms + self.group_wait_ms < now_ms:
                self.next_flush_ms = min(self.next_flush_ms, now_ms)
        return before is None or _milestones(before) != _milestones(alert)

    def is_due(self, now_ms: int) -> bool:
        # Further away than any wait: the clock was set back.
        lost = self.next_flush_ms > now_ms + max(self.group_wait_ms, self.group_interval_ms)
        return lost or self.next_flush_ms <= now_ms

    def flush(self, now_ms: int) -> int:
        """Set the time of the next flush, an interval after this one; the moment this one was due.

        That moment and not `now_ms` goes into the log, else a flush that is woken a little late would put off a repeat
        by a whole interval.
        """
        on_time = 0 <= now_ms - self.next_flush_ms <= LATE_MS
        due_ms = self.next_flush_ms if on_time else now_ms
        self.flushed = True
        self.next_flush_ms = due_ms + self.group_interval_ms
        return due_ms

    def begin_again(self, now_ms: int) -> None:
        """A new rhythm from now on, as after a reload: what was waited for is not waited for again."""
        if self.flushed:
            self.next_flush_ms = now_ms


def group_id(route: Route, labels: Labels) -> str:
    return f"{route.receiver}|{route.route_id}:{labels}"


def new_group(route: Route, labels: Labels, now_ms: int) -> AlertGroup:
    return AlertGroup(
        group_id(route, labels),
        route.receiver,
        f"{route.key}:{labels}",
        labels,
        route.group_wait_ms,
        route.group_interval_ms,
        route.repeat_interval_ms,
        now_ms + route.group_wait_ms,
    )


def _milestones(alert: Alert) -> tuple[object, ...]:
    return alert.state, alert.fired_at_ms, alert.resolved_at_ms
