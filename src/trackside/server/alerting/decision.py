"""Whether one integration has to be told something about a group, and what: grouping's and deduplication's rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels

_NONE: frozenset[Labels] = frozenset()


@dataclass(frozen=True, slots=True)
class Told:
    """What one integration knows of one group: the sum of what was delivered to it."""

    firing: frozenset[Labels] = _NONE
    """Told to be firing, and not yet told to be resolved."""
    uncertain: frozenset[Labels] = _NONE
    """Part of a message that may or may not have arrived: to be told again, whatever they are now."""
    at_ms: int | None = None
    """The time of the last message that arrived, from which a repeat counts."""

    @property
    def holds(self) -> frozenset[Labels]:
        """The alerts whose end the integration must still hear of."""
        return self.firing | self.uncertain


@dataclass(frozen=True, slots=True)
class Terms:
    """How an integration wants to be told."""

    send_resolved: bool
    repeat_interval_ms: int


def due(alerts: Iterable[Alert], left: frozenset[Labels], told: Told, terms: Terms, now_ms: int) -> tuple[Alert, ...]:
    """The alerts of the message that is due at a flush of the group; () when there is none.

    All firing alerts of the group, if one of them is news or the last message is as old as the repeat interval; with
    them each resolved alert that was told to be firing. An alert that resolved before anyone heard of it is no news.
    Those in `left` are no longer routed here, so only their end is told.
    """
    firing: list[Alert] = []
    resolved: list[Alert] = []
    for alert in alerts:
        if alert.state is AlertState.RESOLVED:
            if terms.send_resolved and alert.labels in told.holds:
                resolved.append(alert)
        elif alert.labels not in left:
            firing.append(alert)
    news = any(alert.labels not in told.firing or alert.labels in told.uncertain for alert in firing)
    repeated = bool(firing) and told.at_ms is not None and now_ms - told.at_ms >= terms.repeat_interval_ms
    if not (news or repeated or resolved):
        return ()
    return tuple(sorted((*firing, *resolved), key=_order))


def after_delivery(told: Told, alerts: Iterable[Alert], told_ms: int) -> Told:
    firing, uncertain = set(told.firing), set(told.uncertain)
    for alert in alerts:
        uncertain.discard(alert.labels)
        if alert.state is AlertState.RESOLVED:
            firing.discard(alert.labels)
        else:
            firing.add(alert.labels)
    return Told(frozenset(firing), frozenset(uncertain), told_ms)


def after_doubt(told: Told, alerts: Iterable[Alert]) -> Told:
    """After an attempt of which nobody knows whether it arrived."""
    return replace(told, uncertain=told.uncertain | {alert.labels for alert in alerts})


def without_resolved(told: Told, alerts: Iterable[Alert]) -> Told:
    """For an integration that does not want to hear of the end: it is forgotten, so that a new start is news."""
    over = {alert.labels for alert in alerts if alert.state is AlertState.RESOLVED}
    return replace(told, firing=told.firing - over, uncertain=told.uncertain - over) if over & told.holds else told


def same_truth(one: Iterable[Alert], other: Iterable[Alert]) -> bool:
    """Whether two messages say the same: which alerts fire and which are over."""
    return {(alert.labels, alert.state) for alert in one} == {(alert.labels, alert.state) for alert in other}


def _order(alert: Alert) -> tuple[str, str, Labels]:
    return alert.labels.get("job"), alert.labels.get("instance"), alert.labels
