"""The alerts that somebody is to hear of: those that fire, and are neither silenced nor explained by another."""

from __future__ import annotations

from dataclasses import dataclass

from trackside.model.alerts import Alert, AlertState
from trackside.server.web.console import Console
from trackside.server.web.verdict import Level, alerts_in, in_order, severity_level


@dataclass(frozen=True, slots=True)
class Heard:
    alerts: list[Alert]
    """Most severe first, then the longest."""
    muted: int
    """How many more fire."""


@dataclass(frozen=True, slots=True)
class Count:
    count: int
    level: Level
    """Of the worst; OK where there is none."""


def heard(console: Console) -> Heard:
    dispatcher = console.alerting()
    if dispatcher is None:
        # Nobody mutes anything yet.
        return Heard(alerts_in(console.rule_groups(), AlertState.FIRING), 0)
    unmuted, muted = dispatcher.views.by_muting(console.clock.now_ms())
    return Heard(in_order(unmuted), muted)


def counted(console: Console) -> Count:
    """For every page: without a look at the alerts themselves, of which there may be many."""
    dispatcher = console.alerting()
    found = [] if dispatcher is None else list(dispatcher.views.unmuted_labels(console.clock.now_ms()))
    return Count(len(found), max((severity_level(labels) for labels in found), default=Level.OK))
