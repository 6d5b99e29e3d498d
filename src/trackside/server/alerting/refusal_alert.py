"""The alert that says that a receiver refuses what it is told: nobody would notice otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.server.alerting.route import Route

if TYPE_CHECKING:
    from trackside.server.alerting.sender import Sender

NAME = "TracksideReceiverRefuses"
_INTEGRATION = "integration"


def is_one(labels: Labels) -> bool:
    return labels.get("alertname") == NAME


def sender_name(labels: Labels) -> str:
    return labels.get(_INTEGRATION)


def labels_of(sender: Sender) -> Labels:
    return Labels.of(
        {"alertname": NAME, "receiver": sender.receiver, _INTEGRATION: sender.name, "severity": "critical"}
    )


def firing(sender: Sender, reason: str, now_ms: int) -> Alert:
    text = f"Receiver {sender.receiver} refuses notifications ({sender.integration.kind}): {reason}"
    advice = "It was tried three times. Whoever is told by this receiver alone is not told. Check its configuration."
    annotations = Labels.of(summary=text, description=advice)
    return Alert(labels_of(sender), annotations, AlertState.FIRING, 1.0, now_ms, now_ms)


def ended(alert: Alert, now_ms: int) -> Alert:
    return replace(alert, state=AlertState.RESOLVED, resolved_at_ms=now_ms)


def route(root: Route, receiver: str) -> Route:
    """To a receiver that takes messages: a group of its own, without a wait."""
    return Route(
        receiver,
        None,
        0,
        root.group_interval_ms,
        root.repeat_interval_ms,
        (),
        False,
        "{}/{trackside}",
        "{}/{trackside}",
    )
