"""When an alert is told again, and what is said of it: an Alertmanager forgets what it hears of no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.model.moments import rfc3339

ENDS_AFTER = 4
"""So many times the longer of the resend delay and the rule's interval after it was last told, an alert is taken to be
over: three messages may be lost."""
FORGET_MS = 20 * 60_000
"""Longer than a resolved alert is offered."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What was last said of an alert."""

    at_ms: int
    resolved: bool
    offered_ms: int


def due(alert: Alert, before: Sent | None, now_ms: int, resend_delay_ms: int) -> bool:
    """Whether an alert is to be told now. Its end is told at once."""
    if alert.state is AlertState.PENDING:
        return False
    if before is None:
        return True
    if (alert.state is AlertState.RESOLVED) != before.resolved:
        return True
    return now_ms - before.at_ms > resend_delay_ms


def remembered(
    before: Mapping[Labels, Sent], offered: Iterable[Alert], told: Iterable[Alert], now_ms: int
) -> dict[Labels, Sent]:
    """What is known after `told`, of all that was `offered`, was said. Alerts nobody speaks of are forgotten."""
    after = {labels: sent for labels, sent in before.items() if now_ms - sent.offered_ms < FORGET_MS}
    for alert in offered:
        if (sent := after.get(alert.labels)) is not None:
            after[alert.labels] = Sent(sent.at_ms, sent.resolved, now_ms)
    for alert in told:
        after[alert.labels] = Sent(now_ms, alert.state is AlertState.RESOLVED, now_ms)
    return after


def message(alert: Alert, labels: Labels, now_ms: int, ends_after_ms: int) -> dict[str, object]:
    """As API v2 takes it."""
    ended_ms = now_ms + ends_after_ms if alert.resolved_at_ms is None else alert.resolved_at_ms
    return {
        "labels": labels.as_dict(),
        "annotations": alert.annotations.as_dict(),
        "startsAt": rfc3339(alert.started_ms),
        "endsAt": rfc3339(ended_ms),
        "generatorURL": alert.generator_url,
    }
