"""A notification as its templates see it: Alertmanager's names for its parts."""

from __future__ import annotations

from collections.abc import Iterable

from trackside.model.alerts import Alert, AlertState, Notification
from trackside.model.labels import Labels
from trackside.server.gotemplate.times import GoTime
from trackside.server.gotemplate.values import GoFunction, Object, StringMap
from trackside.server.receivers.fingerprint import fingerprint
from trackside.server.receivers.payload import starts_at_ms


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

    def __init__(self, alert: Alert) -> None:
        self.alert = alert
        resolved = alert.state is AlertState.RESOLVED
        self.status = "resolved" if resolved else "firing"
        self._fields = {
            "Status": self.status,
            "Labels": key_values(alert.labels),
            "Annotations": key_values(alert.annotations),
            "StartsAt": GoTime.of_ms(starts_at_ms(alert)),
            "EndsAt": GoTime.of_ms(alert.resolved_at_ms if resolved else None),
            "GeneratorURL": alert.generator_url,
            "Fingerprint": fingerprint(alert.labels),
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
        self._fields: dict[str, object] = {
            "Receiver": notification.receiver,
            "Status": notification.status,
            "Alerts": Alerts(AlertData(alert) for alert in notification.alerts),
            "GroupLabels": key_values(notification.group_labels),
            "CommonLabels": key_values(notification.common_labels),
            "CommonAnnotations": key_values(notification.common_annotations),
            "ExternalURL": notification.external_url,
            "GroupKey": notification.group_key,
            "TruncatedAlerts": notification.truncated_alerts,
        }

    def member(self, name: str) -> object:
        return self._fields[name]


def key_values(labels: Labels) -> KeyValues:
    return KeyValues(labels.pairs)
