"""What would have been sent: the server's own grouping and decisions, on alerts of the past and a clock that jumps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.server.alerting.decision import Terms, Told, after_delivery, due, without_resolved
from trackside.server.alerting.group import AlertGroup
from trackside.server.alerting.grouping import Grouping
from trackside.server.alerting.inhibition import Inhibition
from trackside.server.alerting.route import Route
from trackside.server.alerting.routing import RoutingConfig
from trackside.server.backtest.result import Sent

MAX_NOTIFICATIONS = 100_000
_NOBODY = Told()


@dataclass(frozen=True, slots=True)
class Teller:
    """One integration of a receiver."""

    kind: str
    send_resolved: bool


@dataclass(frozen=True, slots=True)
class Telling:
    """Who is told what."""

    routing: RoutingConfig
    receivers: Mapping[str, Sequence[Teller]]


@dataclass(slots=True, eq=False)
class _Replay:
    telling: Telling
    grouping: Grouping
    inhibition: Inhibition
    told: dict[tuple[str, str, int], Told] = field(default_factory=dict)
    """By group, receiver and the place of the integration."""
    sent: list[Sent] = field(default_factory=list)

    def take(self, alert: Alert, now_ms: int) -> None:
        if alert.state is AlertState.FIRING:
            self.inhibition.begins(alert.labels)
        else:
            self.inhibition.ends(alert.labels)
        self.grouping.offer(alert, now_ms)

    def flush(self, group: AlertGroup, now_ms: int) -> None:
        due_ms = group.flush(now_ms)
        shown = self._shown(group, self.grouping.route(group), due_ms)
        held: set[Labels] = set()
        for place, teller in enumerate(self.telling.receivers.get(group.receiver, ())):
            held |= self._tell(group, (group.group_id, group.receiver, place), teller, shown, due_ms)
        over = {labels for labels, alert in group.alerts.items() if alert.state is AlertState.RESOLVED} - held
        self.grouping.remove(group, over)
        if not group.alerts:
            self.grouping.drop(group)

    def _tell(
        self, group: AlertGroup, key: tuple[str, str, int], teller: Teller, shown: list[Alert], now_ms: int
    ) -> frozenset[Labels]:
        """What this integration must still hear the end of."""
        told = self.told.get(key, _NOBODY)
        if not teller.send_resolved:
            told = without_resolved(told, group.alerts.values())
        message = due(shown, told, Terms(teller.send_resolved, group.repeat_interval_ms), now_ms)
        if message is not None:
            told = after_delivery(told, message.alerts, now_ms)
            names = tuple(dict.fromkeys(alert.name for alert in message.alerts))
            if len(self.sent) < MAX_NOTIFICATIONS:
                self.sent.append(Sent(now_ms, group.receiver, teller.kind, message.reason.value, names))
        self.told[key] = told
        return told.holds

    def _shown(self, group: AlertGroup, route: Route | None, now_ms: int) -> list[Alert]:
        if route is not None and self._is_quiet(route, now_ms):
            return []
        return [alert for labels, alert in group.alerts.items() if self.inhibition.inhibitor(labels) is None]

    def _is_quiet(self, route: Route, now_ms: int) -> bool:
        intervals = self.telling.routing.time_intervals
        if any(intervals[name].contains(now_ms) for name in route.mute_time_intervals):
            return True
        active = route.active_time_intervals
        return bool(active) and not any(intervals[name].contains(now_ms) for name in active)


def would_be_sent(transitions: Sequence[tuple[int, Alert]], telling: Telling, end_ms: int) -> list[Sent]:
    """`transitions`: the alerts that fire or are over, each with when it did. Silences are not looked at."""
    routing = telling.routing
    replay = _Replay(telling, Grouping(routing.root), Inhibition(routing.inhibit_rules))
    waiting = sorted(transitions, key=lambda one: one[0])
    place = 0
    while True:
        flushes = [(group.next_flush_ms, key) for key, group in replay.grouping.groups.items()]
        flush_ms, key = min(flushes, default=(end_ms + 1, ""))
        if place < len(waiting) and waiting[place][0] <= flush_ms:
            now_ms, alert = waiting[place]
            replay.take(alert, now_ms)
            place += 1
        elif flush_ms <= end_ms:
            replay.flush(replay.grouping.groups[key], flush_ms)
        else:
            return replay.sent
