"""Where the pages about alerts are, and what leads there."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlencode

from trackside.model.alerts import Alert
from trackside.model.labels import Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.alerting.matchers import written
from trackside.server.fingerprint import fingerprint

ALERTS, SILENCES = "/alerts", "/silences"
RULES, NOTIFICATIONS, RUNBOOKS = "/alerts/rules", "/alerts/notifications", "/alerts/runbooks"
TABS = (
    ("now", ALERTS, "Now"),
    ("silences", SILENCES, "Silences"),
    ("notifications", NOTIFICATIONS, "Notifications"),
    ("rules", RULES, "Rules"),
    ("runbooks", RUNBOOKS, "Runbooks"),
)


def alert_path(alert: Alert) -> str:
    return f"{ALERTS}/{fingerprint(alert.labels)}"


def matchers_of(labels: Labels) -> tuple[Matcher, ...]:
    """Those that hold for an alert with these labels, and for few others."""
    return tuple(Matcher(name, MatchOp.EQUAL, value) for name, value in labels)


def matchers_text(matchers: Iterable[Matcher]) -> str:
    """A line each, as one writes them."""
    return "\n".join(written(one) for one in matchers)


def silence_link(labels: Labels) -> str:
    """The form of a new silence, filled in for an alert."""
    return f"{SILENCES}/new?{urlencode({'matchers': matchers_text(matchers_of(labels))})}"
