"""A notification as its templates see it: Alertmanager's names for its parts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from urllib.parse import urlencode

from trackside.model.alerts import Alert, AlertState, Notification
from trackside.model.labels import Labels, quoted
from trackside.server.gotemplate.times import GoTime
from trackside.server.gotemplate.values import GoFunction, Object, StringMap
from trackside.server.receivers.fingerprint import fingerprint


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


class AlertData(Object):
    type_name = "template.Alert"

    def __init__(self, alert: Alert, external_url: str, trend: str = "") -> None:
        self.alert = alert
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
            "TrendText": trend,
            "SilenceURL": silence_url(alert.labels, external_url),
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

    def __init__(self, notification: Notification) -> None:
        url, trends = notification.external_url, dict(notification.trends)
        self._fields: dict[str, object] = {
            "Receiver": notification.receiver,
            "Status": notification.status,
            "Alerts": Alerts(AlertData(alert, url, trends.get(alert.labels, "")) for alert in notification.alerts),
            "GroupLabels": key_values(notification.group_labels),
            "CommonLabels": key_values(notification.common_labels),
            "CommonAnnotations": key_values(notification.common_annotations),
            "ExternalURL": notification.external_url,
            "GroupKey": notification.group_key,
            "TruncatedAlerts": notification.truncated_alerts,
            "NotificationReason": notification.reason,
            # Ours, too.
            "AlertsURL": alerts_url(notification.group_labels, notification.external_url),
        }

    def member(self, name: str) -> object:
        return self._fields[name]


def key_values(labels: Labels) -> KeyValues:
    return KeyValues(labels.pairs)


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
