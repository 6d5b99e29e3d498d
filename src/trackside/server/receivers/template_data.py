"""A notification as its templates see it: Alertmanager's names for its parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from urllib.parse import quote, urlencode

from trackside.model.alerts import Alert, AlertState, Notification
from trackside.model.labels import Labels, quoted
from trackside.server.fingerprint import fingerprint
from trackside.server.gotemplate.times import GoTime
from trackside.server.gotemplate.values import GoFunction, Object, StringMap

TEXT_ANNOTATIONS = ("summary", "description", "message")
RUNBOOK_ANNOTATIONS = ("runbook_url", "runbook")
HasRunbook = Callable[[str], bool]
"""Whether this server shows a runbook for the alert of this name."""


def no_runbook(name: str) -> bool:
    return False


class Pair(Object):
    type_name = "template.Pair"

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.value = value

    def member(self, name: str) -> object:
        return {"Name": self.name, "Value": self.value}[name]

    def text(self) -> str:
        return f"{self.name}={self.value}"


class Pairs(list[Pair], Object):
    type_name = "template.Pairs"

    def member(self, name: str) -> object:
        return GoFunction({"Names": self.names, "Values": self.values}[name])

    def names(self) -> list[str]:
        return [pair.name for pair in self]

    def values(self) -> list[str]:
        return [pair.value for pair in self]

    def text(self) -> str:
        return ", ".join(f"{pair.name}={pair.value}" for pair in self)


class KeyValues(StringMap, Object):
    """Labels or annotations. A name that is not there reads as the empty string."""

    type_name = "template.KV"

    def member(self, name: str) -> object:
        methods = {
            "SortedPairs": GoFunction(self.sorted_pairs),
            "Names": GoFunction(lambda: self.sorted_pairs().names()),
            "Values": GoFunction(lambda: self.sorted_pairs().values()),
            "Remove": GoFunction(self._remove, ("list",)),
        }
        # They win over a label of the same name, as in Alertmanager.
        return methods[name]

    def sorted_pairs(self) -> Pairs:
        names = sorted(self, key=lambda name: (name != "alertname", name))
        return Pairs(Pair(name, self[name]) for name in names)

    def _remove(self, names: Iterable[object]) -> KeyValues:
        gone = set(names)
        return KeyValues({name: value for name, value in self.items() if name not in gone})

    def text(self) -> str:
        return self.sorted_pairs().text()


class Around:
    """What alerts are told with."""

    def __init__(self, notification: Notification, has_runbook: HasRunbook = no_runbook) -> None:
        self.notification, self.has_runbook = notification, has_runbook
        self.trends = dict(notification.trends)


class AlertData(Object):
    type_name = "template.Alert"

    def __init__(self, alert: Alert, around: Around) -> None:
        self.alert = alert
        chart = around.notification.chart
        if chart is not None and chart.labels != alert.labels:
            chart = None
        external_url = around.notification.external_url
        resolved = alert.state is AlertState.RESOLVED
        self.status = "resolved" if resolved else "firing"
        self._fields = {
            "Status": self.status,
            "Labels": key_values(alert.labels),
            "Annotations": key_values(alert.annotations),
            "StartsAt": GoTime.of_ms(alert.started_ms),
            "EndsAt": GoTime.of_ms(alert.resolved_at_ms if resolved else None),
            "GeneratorURL": alert.generator_url,
            "Fingerprint": fingerprint(alert.labels),
            # Ours: alerts that were pushed have no value.
            "ValueText": "" if math.isnan(alert.value) else f"{alert.value:.6g}",
            "TrendText": around.trends.get(alert.labels, ""),
            "Sentence": sentence(alert),
            "RunbookURL": runbook_url(alert, external_url, around.has_runbook),
            "ChartAlt": "" if chart is None else chart.alt,
            "ChartURL": "" if chart is None else chart.url,
            "SilenceURL": silence_url(alert.labels, external_url),
            "AlertURL": f"{external_url}/alerts/{fingerprint(alert.labels)}",
        }

    def member(self, name: str) -> object:
        return self._fields[name]


class Alerts(list[AlertData], Object):
    type_name = "template.Alerts"

    def member(self, name: str) -> object:
        status = {"Firing": "firing", "Resolved": "resolved"}[name]
        return GoFunction(lambda: Alerts(alert for alert in self if alert.status == status))


class NotificationData(Object):
    type_name = "template.Data"

    def __init__(self, notification: Notification, has_runbook: HasRunbook = no_runbook) -> None:
        around, chart = Around(notification, has_runbook), notification.chart
        self._fields: dict[str, object] = {
            "Receiver": notification.receiver,
            "Status": notification.status,
            "Alerts": Alerts(AlertData(alert, around) for alert in notification.alerts),
            "GroupLabels": key_values(notification.group_labels),
            "CommonLabels": key_values(notification.common_labels),
            "CommonAnnotations": key_values(notification.common_annotations),
            "ExternalURL": notification.external_url,
            "GroupKey": notification.group_key,
            "TruncatedAlerts": notification.truncated_alerts,
            "NotificationReason": notification.reason,
            # Ours, too.
            "AlertsURL": alerts_url(notification.group_labels, notification.external_url),
            "ChartAlt": "" if chart is None else chart.alt,
            "ChartURL": "" if chart is None else chart.url,
        }

    def member(self, name: str) -> object:
        return self._fields[name]


def key_values(labels: Labels) -> KeyValues:
    return KeyValues(labels.pairs)


def sentence(alert: Alert) -> str:
    """What is wrong, as the rule says it; else which alert it is."""
    said = next((text for name in TEXT_ANNOTATIONS if (text := alert.annotations.get(name))), "")
    return said or " ".join(pair.text() for pair in key_values(alert.labels).sorted_pairs())


def runbook_url(alert: Alert, external_url: str, has_runbook: HasRunbook) -> str:
    """What the rule says, or the page here; "" when nobody has written one."""
    said = next((text for name in RUNBOOK_ANNOTATIONS if (text := alert.annotations.get(name))), "")
    if said.startswith(("http://", "https://")):
        return said
    return f"{external_url}/alerts/runbooks/{quote(alert.name, safe='')}" if has_runbook(alert.name) else ""


def silence_url(labels: Labels, external_url: str) -> str:
    """Where a silence for the alert is made."""
    return f"{external_url}/silences/new?{urlencode({'matchers': chr(10).join(_matchers(labels))}, errors='replace')}"


def alerts_url(group: Labels, external_url: str) -> str:
    """Where the alerts of the group are shown."""
    return (
        f"{external_url}/alerts?{urlencode({'filter': ', '.join(_matchers(group))}, errors='replace')}"
        if group
        else f"{external_url}/alerts"
    )


def _matchers(labels: Labels) -> list[str]:
    return [f'{_name(name)}="{quoted(value)}"' for name, value in labels]


def _name(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else f'"{quoted(name)}"'
