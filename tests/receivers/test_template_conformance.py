"""Templates as Alertmanager 0.33 renders them, in the text of a Slack message."""

import re
from datetime import UTC, datetime

import pytest

from trackside.model.alerts import Alert, AlertState, Notification
from trackside.model.labels import Labels
from trackside.server.receivers.templates import NotificationTemplates

NOW_MS = 1_790_000_000_000


def notification(number, test):
    alerts = []
    for given in test.get("alerts", [{"labels": {"alertname": "A"}}]):
        labels = Labels.of({name: str(value) for name, value in {**given["labels"], "t": number}.items()})
        started_ms = NOW_MS + round(given.get("starts", 0) * 1000)
        annotations = Labels.of(given.get("annotations", {}))
        url = given.get("generatorURL", "")
        state = AlertState.FIRING
        alerts.append(Alert(labels, annotations, state, float("nan"), started_ms, started_ms, generator_url=url))
    alerts.sort(key=lambda one: (one.labels.get("job"), one.labels.get("instance"), one.labels))
    group = alerts[0].labels.only(test.get("group_by", ["alertname"]))
    url = "http://127.0.0.1:9093"
    return Notification(f"r{number}", f"{{}}:{group}", group, tuple(alerts), url, reason="first notification")


@pytest.mark.conformance("alerting/own/templates.yaml", "templates")
@pytest.mark.conformance("alerting/own/newer.yaml", "templates")
def test_renders(conformance):
    case, test = conformance
    message = notification(case["tests"].index(test), test)
    templates = NotificationTemplates({}, lambda: NOW_MS)
    rendered = templates.texts(message).render(test["text"])
    if test.get("fails"):
        assert rendered == ""
    elif "want_re" in test:
        assert re.search(test["want_re"], rendered, re.S), rendered
    else:
        year = datetime.fromtimestamp(NOW_MS / 1000, UTC).year
        assert rendered == test["want"].replace("@YEAR(0)@", str(year))
