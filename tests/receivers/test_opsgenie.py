"""OpsGenie: an alert is made, changed and closed by the key of its group."""

import hashlib

import pytest

from trackside.exceptions import DeliveryError

ALIAS = hashlib.sha256(b'{}:{alertname="Down"}').hexdigest()


def test_an_alert(deliver, integration, new_notification):
    section = {
        "api_url": "{url}",
        "api_key": "k",
        "details": {"extra": "{{ .Status }}"},
        "responders": [
            {"name": "{{ .CommonLabels.job }}", "type": "team"},
            {"name": "a, b", "type": "teams"},
            {"username": "{{ .CommonLabels.nobody }}", "type": "user"},
        ],
        "tags": "one, {{ .CommonLabels.job }} ,",
        "note": "n",
        "priority": "P1",
        "entity": "e",
        "actions": "restart, page",
        "message": "{{ .GroupLabels.alertname }} " + "x" * 200,
    }
    fake = deliver(integration("opsgenie", section), new_notification())
    ((line, headers, body),) = fake.requests
    assert line == "POST /hook/v2/alerts HTTP/1.1"
    assert headers["authorization"] == "GenieKey k"
    description = body.pop("description")
    assert description.startswith("http://runbook/1 Down is bad\nAlerts Firing:\nLabels:")
    assert len(body.pop("message")) == 130
    assert body == {
        "alias": ALIAS,
        "details": {"alertname": "Down", "job": "shop", "extra": "firing"},
        "source": "http://monitor/#/alerts?receiver=team",
        "responders": [
            {"name": "shop", "type": "team"},
            {"name": "a", "type": "team"},
            {"name": "b", "type": "team"},
        ],
        "tags": ["one", "shop"],
        "note": "n",
        "priority": "P1",
        "entity": "e",
        "actions": ["restart", "page"],
    }


def test_the_end_closes_it(deliver, integration, new_notification, new_alert):
    fake = deliver(integration("opsgenie", api_url="{url}", api_key="k"), new_notification(new_alert(resolved=True)))
    ((line, _, body),) = fake.requests
    assert line == f"POST /hook/v2/alerts/{ALIAS}/close?identifierType=alias HTTP/1.1"
    assert body == {"source": "http://monitor/#/alerts?receiver=team"}


def test_what_was_closed_by_hand_is_closed(deliver, integration, new_notification, new_alert, server, answer):
    config = integration("opsgenie", api_url="{url}", api_key="k")
    deliver(config, new_notification(new_alert(resolved=True)), server(answer(404)))
    with pytest.raises(DeliveryError):
        deliver(config, new_notification(), server(answer(404)))


def test_an_alert_is_kept_up_to_date(deliver, integration, new_notification):
    fake = deliver(integration("opsgenie", api_url="{url}", api_key="k", update_alerts=True), new_notification())
    assert [line.split()[:2] for line, _, _ in fake.requests] == [
        ["POST", "/hook/v2/alerts"],
        ["PUT", f"/hook/v2/alerts/{ALIAS}/message?identifierType=alias"],
        ["PUT", f"/hook/v2/alerts/{ALIAS}/description?identifierType=alias"],
    ]
    assert fake.bodies[1] == {"message": "[FIRING:2] Down (shop)"}


def test_a_limit_is_waited_for(deliver, integration, new_notification, server, answer):
    with pytest.raises(DeliveryError) as raised:
        deliver(integration("opsgenie", api_url="{url}", api_key="k"), new_notification(), server(answer(429)))
    assert raised.value.retry
