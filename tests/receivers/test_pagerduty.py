"""PagerDuty: its events, and what a limit of theirs means."""

import hashlib

import pytest

from trackside.exceptions import DeliveryError
from trackside.server.receivers.pagerduty import V1_URL, PagerdutyConfig, event_v1

KEY = hashlib.sha256(b'{}:{alertname="Down"}').hexdigest()


def test_an_event(deliver, integration, new_notification, new_alert, answer, server):
    section = {
        "url": "{url}",
        "routing_key": "secret-key",
        "severity": "{{ or .CommonLabels.severity `critical` }}",
        "class": "cls",
        "component": "{{ .CommonLabels.job }}",
        "group": "grp",
        "details": {"extra": "{{ .Alerts | len }} alerts", "nested": {"list": ["{{ .Status }}", 2], "urgent": True}},
        "links": [
            {"href": "http://rb/{{ .GroupLabels.alertname }}", "text": "Runbook"},
            {"href": "", "text": "dropped"},
        ],
        "images": [{"src": "http://img/x.png", "alt": "graph", "href": "http://p/"}, {"alt": "dropped"}],
    }
    fake = deliver(
        integration("pagerduty", section), new_notification(new_alert(job="shop")), server(answer(202, body="{}"))
    )
    (body,) = fake.bodies
    details = body["payload"].pop("custom_details")
    assert body == {
        "routing_key": "secret-key",
        "event_action": "trigger",
        "dedup_key": KEY,
        "client": "Alertmanager",
        "client_url": "http://monitor/#/alerts?receiver=team",
        "payload": {
            "summary": "[FIRING:1] Down (shop)",
            "source": "Alertmanager",
            "severity": "critical",
            "class": "cls",
            "component": "shop",
            "group": "grp",
        },
        "links": [{"href": "http://rb/Down", "text": "Runbook"}],
        "images": [{"src": "http://img/x.png", "alt": "graph", "href": "http://p/"}],
    }
    firing = details.pop("firing")
    assert [alert["labels"] for alert in firing] == [{"alertname": "Down", "job": "shop"}]
    assert details == {
        "extra": "1 alerts",
        "nested": {"list": ["firing", 2], "urgent": True},
        "num_firing": 1,
        "num_resolved": 0,
        "resolved": [],
    }


def test_the_end_closes_the_same_incident(deliver, integration, new_notification, new_alert):
    config = integration("pagerduty", url="{url}", routing_key="k")
    (body,) = deliver(config, new_notification(new_alert(resolved=True))).bodies
    assert (body["event_action"], body["dedup_key"]) == ("resolve", KEY)
    assert body["payload"]["custom_details"]["num_resolved"] == 1


def test_a_key_in_a_file_may_be_a_template(deliver, integration, new_notification, tmp_path):
    (tmp_path / "key").write_text("{{ .CommonLabels.job }}-key\n")
    fake = deliver(integration("pagerduty", url="{url}", routing_key_file=str(tmp_path / "key")), new_notification())
    assert fake.bodies[0]["routing_key"] == "shop-key"
    (tmp_path / "key").write_text("\n")
    with pytest.raises(DeliveryError, match="the key is empty"):
        deliver(integration("pagerduty", url="{url}", routing_key_file=str(tmp_path / "key")), new_notification())


def test_a_service_key_speaks_version_1(new_notification, templates):
    message = new_notification()
    body = event_v1(PagerdutyConfig(service_key="k"), templates.texts(message), message, {"a": 1})
    assert body == {
        "event_type": "trigger",
        "incident_key": KEY,
        "description": "[FIRING:2] Down (shop)",
        "details": {"a": 1},
        "client": "Alertmanager",
        "client_url": "http://monitor/#/alerts?receiver=team",
    }
    assert V1_URL.startswith("https://events.pagerduty.com/generic/")


def test_what_is_too_large_is_sent_without_its_details(deliver, integration, new_notification, new_alert):
    many = [new_alert(i=str(number), text="x" * 1_000) for number in range(600)]
    (body,) = deliver(integration("pagerduty", url="{url}", routing_key="k"), new_notification(*many)).bodies
    assert body["payload"]["custom_details"] == {
        "note": "details of 600 alerts left out: PagerDuty takes no event of that size"
    }
    assert body["payload"]["summary"].startswith("[FIRING:600] Down")


def test_a_summary_is_cut(deliver, integration, new_notification):
    config = integration("pagerduty", url="{url}", routing_key="k", description="x" * 2_000)
    assert len(deliver(config, new_notification()).bodies[0]["payload"]["summary"]) == 1_024


@pytest.mark.parametrize(
    ("code", "headers", "retry", "after_s"),
    [(429, ["Retry-After: 3"], True, 3.0), (500, [], True, None), (400, [], False, None)],
)
def test_refusals(deliver, integration, new_notification, server, answer, code, headers, retry, after_s):
    body = '{"status":"invalid event","errors":["Length of \'routing_key\' is incorrect"]}'
    with pytest.raises(DeliveryError, match="routing_key") as raised:
        deliver(
            integration("pagerduty", url="{url}", routing_key="k"),
            new_notification(),
            server(answer(code, *headers, body=body)),
        )
    assert (raised.value.retry, raised.value.retry_after_s) == (retry, after_s)
