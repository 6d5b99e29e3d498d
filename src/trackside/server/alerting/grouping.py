"""Which alerts are in which groups: routes, arrivals and departures, without a word to anyone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.server.alerting.group import AlertGroup, group_id, new_group
from trackside.server.alerting.route import Route

EMPTY_KEPT_MS = 30_000
"""How long a group without alerts keeps its rhythm, as Alertmanager's does: what fires again joins it."""
SPREAD_MS = 5_000
"""Within which the groups that fell due while the server was down are told, so that they do not all come at once."""
SPREAD_STEP_MS = 50
REMEMBERED = 100_000
"""Label sets whose routes are kept."""


class _Ways(NamedTuple):
    """Where an alert goes; one object for all alerts that go there."""

    routes: tuple[Route, ...]
    groups: tuple[str, ...]
    """The id of the group of each route."""


class Grouping:
    def __init__(self, root: Route) -> None:
        self.groups: dict[str, AlertGroup] = {}
        self.changed: set[str] = set()
        """Ids of the groups to be settled and saved."""
        self._holders: dict[Labels, tuple[str, ...]] = {}
        """Ids of the groups that hold an alert."""
        self._ways: dict[Labels, _Ways] = {}
        self._equal_ways: dict[tuple[str, ...], _Ways] = {}
        self._root = root
        self._routes = _by_id(root)

    def configure(self, root: Route, now_ms: int) -> None:
        """Go on with other routes: all groups begin a new rhythm."""
        self._root, self._routes = root, _by_id(root)
        self._ways.clear()
        self._equal_ways.clear()
        for group in self.groups.values():
            group.begin_again(now_ms)

    def restore(self, groups: Iterable[AlertGroup], now_ms: int) -> None:
        late = 0
        for group in groups:
            self.groups[group.group_id] = group
            for labels in group.alerts:
                self._holders[labels] = (*self._holders.get(labels, ()), group.group_id)
            if not group.alerts:
                group.empty_since_ms = now_ms
            if group.next_flush_ms <= now_ms:
                group.next_flush_ms = now_ms + min(late * SPREAD_STEP_MS, SPREAD_MS)
                late += 1

    def routes(self, labels: Labels) -> tuple[Route, ...]:
        """Those an alert with these labels takes."""
        return self._ways_of(labels).routes

    def _ways_of(self, labels: Labels) -> _Ways:
        found = self._ways.get(labels)
        if found is None:
            if len(self._ways) >= REMEMBERED:
                self._ways.clear()
                self._equal_ways.clear()
            ways = _ways_by(self._root.matching(labels), labels)
            found = self._ways[labels] = self._equal_ways.setdefault(ways.groups, ways)
        return found

    def route(self, group: AlertGroup) -> Route | None:
        """None: the configuration has no such route any more."""
        return self._routes.get(group.route_id)

    def holding(self, labels: Labels) -> list[AlertGroup]:
        """The groups that an alert with these labels is in, apart from those that it left."""
        found = (self.groups[key] for key in sorted(self._holders.get(labels, ())))
        return [group for group in found if labels not in group.left]

    def offer(self, alert: Alert, now_ms: int, routes: Iterable[Route] = (), *, is_stored: bool = False) -> None:
        """The state of an alert, as often as one likes.

        `routes`: instead of those of the configuration, if any. `is_stored`: the alert is kept by itself, and offered
        again after a start; so its groups need not be saved for its sake before they are told.
        """
        holders = self._holders.get(alert.labels, ())
        if alert.state is AlertState.RESOLVED:
            # Whoever was never told of it need not hear that it is over. What is kept by itself is soon forgotten.
            for key in holders:
                self._put(self.groups[key], alert, now_ms)
            return
        ways = _ways_by(tuple(routes), alert.labels) if routes else self._ways_of(alert.labels)
        for route, key in zip(*ways, strict=True):
            self._join(route, key, alert, now_ms, is_stored)
        if ways.groups == holders:
            return
        before = [key for key in holders if key not in ways.groups]
        for key in before:
            group = self.groups[key]
            group.left.add(alert.labels)
            self._put(group, alert, now_ms)
        self._holders[alert.labels] = (*before, *ways.groups) if before else ways.groups

    def leave(self, alert: Alert, now_ms: int) -> None:
        """It goes on, and somebody else tells of it from now on: here only its end is told, to whom it was told."""
        for key in self._holders.get(alert.labels, ()):
            group = self.groups[key]
            group.left.add(alert.labels)
            self._put(group, alert, now_ms)

    def due(self, now_ms: int) -> Iterator[AlertGroup]:
        for group in list(self.groups.values()):
            if group.is_due(now_ms):
                yield group

    def remove(self, group: AlertGroup, gone: Iterable[Labels]) -> None:
        for labels in list(gone):
            del group.alerts[labels]
            group.left.discard(labels)
            group.passed.discard(labels)
            holders = tuple(key for key in self._holders.get(labels, ()) if key != group.group_id)
            if holders:
                self._holders[labels] = holders
            else:
                self._holders.pop(labels, None)
                self._ways.pop(labels, None)

    def drop(self, group: AlertGroup) -> None:
        self.remove(group, group.alerts)
        del self.groups[group.group_id]

    def is_forgotten(self, group: AlertGroup, now_ms: int) -> bool:
        """Whether a group has been without alerts for so long that it need not be kept."""
        if group.alerts:
            return False
        if group.empty_since_ms is None or group.empty_since_ms > now_ms:
            group.empty_since_ms = now_ms
        return now_ms - group.empty_since_ms >= EMPTY_KEPT_MS

    def _join(self, route: Route, key: str, alert: Alert, now_ms: int, is_stored: bool) -> None:
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = new_group(route, route.group_labels(alert.labels), now_ms)
            self.changed.add(key)
        group.group_wait_ms, group.group_interval_ms = route.group_wait_ms, route.group_interval_ms
        group.repeat_interval_ms = route.repeat_interval_ms
        group.left.discard(alert.labels)
        self._put(group, alert, now_ms, is_stored)

    def _put(self, group: AlertGroup, alert: Alert, now_ms: int, is_stored: bool = False) -> None:
        if group.put(alert, now_ms) and not is_stored:
            self.changed.add(group.group_id)


def _ways_by(routes: tuple[Route, ...], labels: Labels) -> _Ways:
    return _Ways(routes, tuple(group_id(route, route.group_labels(labels)) for route in routes))


def _by_id(root: Route) -> Mapping[str, Route]:
    found = {root.route_id: root}
    for child in root.routes:
        found |= _by_id(child)
    return found
