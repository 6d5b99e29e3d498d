"""Whether one integration has to be told something about a group, and what: grouping's and deduplication's rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels

_NONE: frozenset[Labels] = frozenset()
Truth = frozenset[tuple[Labels, AlertState]]


class Reason(Enum):
    """Why an integration is told something, in Alertmanager's words."""

    FIRST = "first notification"
    NEW = "new alerts added"
    SOME_RESOLVED = "some alerts resolved"
    ALL_RESOLVED = "all alerts resolved"
    REPEAT = "repeat interval elapsed"


@dataclass(frozen=True, slots=True)
class Told:
    """What one integration knows of one group: the sum of what was delivered to it."""

    firing: frozenset[Labels] = _NONE
    """Told to be firing, and not yet told to be resolved."""
    uncertain: frozenset[Labels] = _NONE
    """Part of a message that may or may not have arrived: to be told again, whatever they are now."""
    at_ms: int | None = None
    """The time of the last message that arrived, from which a repeat counts."""
    hidden: frozenset[Labels] = _NONE
    """Those of `firing` that the last message did not name, since they were muted: to be named again when they are
    not, or the reader would take the last message for all there is."""
    thread: str = ""
    """What the receiver called its last message, by which the next can take its place."""

    @property
    def holds(self) -> frozenset[Labels]:
        """The alerts whose end the integration must still hear of."""
        return self.firing | self.uncertain


@dataclass(frozen=True, slots=True)
class Terms:
    """How an integration wants to be told."""

    send_resolved: bool
    repeat_interval_ms: int


@dataclass(frozen=True, slots=True)
class Message:
    alerts: tuple[Alert, ...]
    reason: Reason


def due(alerts: Iterable[Alert], told: Told, terms: Terms, now_ms: int) -> Message | None:
    """What is due at a flush of a group, of which `alerts` may be shown: none of them is muted.

    All that fire, if one of them is news or the last message is as old as the repeat interval; all that do when one
    is over that was told to be firing. An alert that was over before anyone heard of it is no news, but may come
    along.
    """
    firing: list[Alert] = []
    resolved: list[Alert] = []
    for alert in alerts:
        (resolved if alert.state is AlertState.RESOLVED else firing).append(alert)
    ended = terms.send_resolved and any(alert.labels in told.holds for alert in resolved)
    reason = _reason(firing, told, ended)
    if reason is None and firing and told.at_ms is not None and now_ms - told.at_ms >= terms.repeat_interval_ms:
        reason = Reason.REPEAT
    if reason is None:
        return None
    return Message(tuple(sorted((*firing, *(resolved if terms.send_resolved else ())), key=_order)), reason)


def _reason(firing: list[Alert], told: Told, ended: bool) -> Reason | None:
    known = (told.firing - told.hidden) - told.uncertain
    if any(alert.labels not in known for alert in firing):
        return Reason.NEW if told.at_ms is not None else Reason.FIRST
    if ended:
        return Reason.SOME_RESOLVED if firing else Reason.ALL_RESOLVED
    return None


def after_delivery(told: Told, alerts: Iterable[Alert], told_ms: int, thread: str = "") -> Told:
    firing, uncertain, named = set(told.firing), set(told.uncertain), set()
    for alert in alerts:
        uncertain.discard(alert.labels)
        if alert.state is AlertState.RESOLVED:
            firing.discard(alert.labels)
        else:
            firing.add(alert.labels)
            named.add(alert.labels)
    return Told(frozenset(firing), frozenset(uncertain), told_ms, frozenset(firing - named), thread)


def after_doubt(told: Told, alerts: Iterable[Alert]) -> Told:
    """After an attempt of which nobody knows whether it arrived."""
    return replace(told, uncertain=told.uncertain | {alert.labels for alert in alerts})


def without_resolved(told: Told, alerts: Iterable[Alert]) -> Told:
    """For an integration that does not want to hear of the end: it is forgotten, so that a new start is news."""
    over = {alert.labels for alert in alerts if alert.state is AlertState.RESOLVED}
    if not over & told.holds:
        return told
    return replace(told, firing=told.firing - over, uncertain=told.uncertain - over, hidden=told.hidden - over)


def truth(alerts: Iterable[Alert]) -> Truth:
    """What a message says: which alerts fire and which are over."""
    return frozenset((alert.labels, alert.state) for alert in alerts)


def _order(alert: Alert) -> tuple[str, str, Labels]:
    return alert.labels.get("job"), alert.labels.get("instance"), alert.labels
