"""Which routes an alert takes, and which group it joins there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher
from trackside.server.alerting.config import ALL_LABELS, RouteConfig
from trackside.server.alerting.matchers import matches, written

GROUP_WAIT_MS = 30_000
GROUP_INTERVAL_MS = 5 * 60_000
REPEAT_INTERVAL_MS = 4 * 3_600_000


@dataclass(frozen=True, slots=True)
class Route:
    """A node of the tree, with what it inherits filled in."""

    receiver: str
    group_by: tuple[str, ...] | None
    """None: all labels."""
    group_wait_ms: int
    group_interval_ms: int
    repeat_interval_ms: int
    matchers: tuple[Matcher, ...]
    continues: bool
    key: str
    """As Alertmanager writes it: `{}/{team="a"}`. Two routes may share it."""
    route_id: str
    """The key with the place of each route among its siblings, which no two share."""
    mute_time_intervals: tuple[str, ...] = ()
    """Names. Within any of them nobody is told. Not inherited, as `active_time_intervals`."""
    active_time_intervals: tuple[str, ...] = ()
    """Names. Outside all of them nobody is told; () is always."""
    routes: tuple[Route, ...] = ()

    def matching(self, labels: Labels) -> tuple[Route, ...]:
        """The deepest routes that take an alert with these labels; () if this one does not."""
        if not matches(self.matchers, labels):
            return ()
        found: list[Route] = []
        for child in self.routes:
            taken = child.matching(labels)
            found += taken
            if taken and not child.continues:
                break
        return tuple(found) or (self,)

    def group_labels(self, labels: Labels) -> Labels:
        return labels if self.group_by is None else labels.only(self.group_by)


def route_tree(config: RouteConfig) -> Route:
    root = takes_all(config.receiver or "")
    return _filled(config, root, root.key, root.route_id)


def takes_all(receiver: str) -> Route:
    """A tree of one route, for which nothing else is said."""
    return Route(receiver, (), GROUP_WAIT_MS, GROUP_INTERVAL_MS, REPEAT_INTERVAL_MS, (), False, "{}", "{}")


def _filled(config: RouteConfig, parent: Route, key: str, route_id: str) -> Route:
    group_by = parent.group_by
    if config.group_by is not None:
        group_by = None if config.group_by == (ALL_LABELS,) else config.group_by
    route = Route(
        config.receiver or parent.receiver,
        group_by,
        _or(config.group_wait, parent.group_wait_ms),
        _or(config.group_interval, parent.group_interval_ms),
        _or(config.repeat_interval, parent.repeat_interval_ms),
        config.all_matchers,
        config.continue_,
        key,
        route_id,
        config.mute_time_intervals,
        config.active_time_intervals,
    )
    children = tuple(_child(child, route, index) for index, child in enumerate(config.routes))
    return replace(route, routes=children)


def _child(config: RouteConfig, parent: Route, index: int) -> Route:
    matchers = sorted(config.all_matchers, key=lambda one: (one.name, one.value, one.op.value))
    part = "{" + ",".join(map(written, matchers)) + "}"
    return _filled(config, parent, f"{parent.key}/{part}", f"{parent.route_id}/{part}/{index}")


def _or(value: int | None, inherited: int) -> int:
    return inherited if value is None else value
