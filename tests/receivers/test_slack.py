"""Slack messages: their texts, and answers that look like success."""

import json
from dataclasses import replace

import pytest

from trackside.exceptions import ConfigError, DeliveryError
from trackside.server.receivers.slack import SlackConfig, check_answer, message
from trackside.server.receivers.templates import NotificationTemplates

TEMPLATES = NotificationTemplates({}, lambda: 1_700_000_060_000)


def body(notification, templates=TEMPLATES, **config):
    section = SlackConfig(api_url="https://hooks.example/x", **config)
    return message(section, templates.texts(notification))


def test_the_default_message_is_alertmanagers(new_notification):
    link = "http://monitor/#/alerts?receiver=team"
    assert body(new_notification(), channel="#alerts") == {
        "channel": "#alerts",
        "username": "Alertmanager",
        "attachments": [
            {
                "title": "[FIRING:2] Down (shop)",
                "title_link": link,
                "text": "",
                "fallback": f"[FIRING:2] Down (shop) | {link}",
                "callback_id": "",
                "footer": "",
                "color": "danger",
                "mrkdwn_in": ["fallback", "pretext", "text"],
            }
        ],
    }


OURS = '{{ template "trackside.slack.text" . }}'


def test_our_own_text_says_what_is_wrong_and_where_to_look(new_notification, new_alert):
    (attachment,) = body(new_notification(new_alert(job="shop")), text=OURS)["attachments"]
    silence = "http://monitor/silences/new?matchers=alertname%3D%22Down%22%0Ajob%3D%22shop%22"
    assert attachment["text"].splitlines() == [
        "Down is bad",
        "_since Nov 14 22:13 UTC, value 1_ <http://monitor/graph?a=b&amp;c=d|Graph> <http://runbook/1|Runbook>"
        f" <{silence}|Silence>",
    ]


def test_the_end_is_green_and_says_when(new_notification, new_alert):
    (attachment,) = body(new_notification(new_alert(resolved=True)), text=OURS)["attachments"]
    assert (attachment["title"], attachment["color"]) == ("[RESOLVED] Down", "good")
    assert attachment["text"].startswith(
        ":white_check_mark: Down is bad\n_over since 22:13 UTC, began Nov 14 22:13 UTC"
    )


def test_a_long_list_is_cut(new_notification, new_alert):
    message = new_notification(*(new_alert(i=str(number)) for number in range(33)))
    (attachment,) = body(message, text=OURS)["attachments"]
    assert attachment["text"].count("Down is bad") == 20
    assert attachment["text"].splitlines()[-1] == "and 13 more"


def test_all_texts_are_templates(new_notification):
    made = body(
        new_notification(),
        username="bot",
        icon_emoji=":fire:",
        message_text="{{ .Status }} <!here>",
        title="{{ .GroupLabels.alertname | toUpper }} {{ range .CommonLabels.SortedPairs }}{{ .Name }},{{ end }}",
        text="{{ range .Alerts.Firing }}{{ .Labels.i }}{{ end }} {{ since (index .Alerts 0).StartsAt }}",
        color='{{ if eq .CommonLabels.job "shop" }}#ff0000{{ end }}',
        short_fields=True,
        fields=[{"title": "Job", "value": "{{ .CommonLabels.job }}"}, {"title": "n", "value": "1", "short": False}],
        actions=[
            {
                "type": "button",
                "text": "Runbook",
                "url": "{{ (index .Alerts 0).Annotations.runbook_url }}",
                "style": "primary",
            }
        ],
        link_names=True,
    )
    assert (made["username"], made["icon_emoji"], made["text"], made["link_names"]) == (
        "bot",
        ":fire:",
        "firing <!here>",
        True,
    )
    (attachment,) = made["attachments"]
    assert (attachment["title"], attachment["text"]) == ("DOWN alertname,job,", "12 1m0s")
    assert attachment["color"] == "#ff0000"
    assert attachment["fields"] == [
        {"title": "Job", "value": "shop", "short": True},
        {"title": "n", "value": "1", "short": False},
    ]
    assert attachment["actions"] == [
        {"type": "button", "text": "Runbook", "url": "http://runbook/1", "style": "primary"}
    ]


def test_a_template_that_fails_hurts_its_own_field_only(new_notification):
    (attachment,) = body(new_notification(), title="{{ .NoSuch }}", text="{{ .NoSuch }}", color="red")["attachments"]
    assert attachment["title"] == '[FIRING] {}:{alertname="Down"}'
    assert (attachment["text"], attachment["color"]) == ("", "red")


def test_templates_of_files_are_there_and_win(new_notification):
    files = {"a.tmpl": '{{ define "slack.default.title" }}mine{{ end }}{{ define "x" }}X{{ end }}'}
    templates = NotificationTemplates(files, lambda: 0)
    (attachment,) = body(new_notification(), templates, text='{{ template "x" . }}')["attachments"]
    assert (attachment["title"], attachment["text"]) == ("mine", "X")
    with pytest.raises(ConfigError, match=r"b\.tmpl:2: function 'nosuch' is not defined \(column 4\)"):
        NotificationTemplates({"b.tmpl": "\n{{ nosuch }}"}, lambda: 0)


def test_a_button_may_send_a_value_after_a_question(new_notification):
    action = {
        "type": "button",
        "text": "Ack",
        "name": "ack",
        "value": "{{ .GroupKey }}",
        "confirm": {"text": "Sure?", "ok_text": "Yes"},
    }
    (attachment,) = body(new_notification(), actions=[action])["attachments"]
    assert attachment["actions"] == [
        {
            "type": "button",
            "text": "Ack",
            "name": "ack",
            "value": '{}:{alertname="Down"}',
            "confirm": {"text": "Sure?", "ok_text": "Yes"},
        }
    ]


def test_it_is_posted(deliver, integration, new_notification):
    fake = deliver(integration("slack", api_url="{url}", title="t"), new_notification())
    assert fake.bodies[0]["attachments"][0]["title"] == "t"
    assert fake.thread == ""


def posted(channel="C1", ts="1.5"):
    return json.dumps({"ok": True, "channel": channel, "ts": ts})


APP = {"app_url": "{url}/api/chat.postMessage", "app_token": "xoxb-1", "channel": "#c"}


def test_an_app_logs_in(deliver, integration, new_notification, server, answer):
    fake = deliver(integration("slack", APP), new_notification(), server(answer(200, body=posted())))
    ((line, headers, body),) = fake.requests
    assert (line, headers["authorization"]) == ("POST /hook/api/chat.postMessage HTTP/1.1", "Bearer xoxb-1")
    assert (body["channel"], fake.thread) == ("#c", "")


def test_a_message_is_changed_instead_of_repeated(deliver, integration, new_notification, server, answer):
    app = integration("slack", APP, update_message=True)
    fake = deliver(app, new_notification(), server(answer(200, body=posted())))
    assert fake.thread == "C1/1.5"
    again = deliver(app, replace(new_notification(), thread=fake.thread), server(answer(200, body=posted())))
    ((line, _, body),) = again.requests
    assert line == "POST /hook/api/chat.update HTTP/1.1"
    assert (body["channel"], body["ts"], again.thread) == ("C1", "1.5", "C1/1.5")


def test_the_next_outage_gets_a_message_of_its_own(deliver, integration, new_notification, new_alert, server, answer):
    over = replace(new_notification(new_alert(resolved=True)), thread="C1/1.5")
    fake = deliver(integration("slack", APP, update_message=True), over, server(answer(200, body=posted())))
    assert (fake.bodies[0]["ts"], fake.thread) == ("1.5", "")


def test_a_message_that_is_gone_is_told_anew(deliver, integration, new_notification, server, answer):
    gone = answer(200, body='{"ok":false,"error":"message_not_found"}')
    fake = server(answer(200, body=posted(ts="2.5")), [gone])
    deliver(integration("slack", APP, update_message=True), replace(new_notification(), thread="C1/1.5"), fake)
    assert [body.get("ts") for body in fake.bodies] == ["1.5", None]
    assert fake.thread == "C1/2.5"


def test_a_limit_is_waited_for_and_not_told_anew(deliver, integration, new_notification, server, answer):
    fake = server(answer(429, "Retry-After: 30"))
    with pytest.raises(DeliveryError) as raised:
        deliver(integration("slack", APP, update_message=True), replace(new_notification(), thread="C1/1.5"), fake)
    assert (raised.value.retry, raised.value.retry_after_s, len(fake.requests)) == (True, 30.0, 1)


@pytest.mark.parametrize("text", ["ok", "", '{"ok": true}', "Thanks!", "{broken", "[]", "<html>"])
def test_answers_that_are_fine(text):
    check_answer(text)


@pytest.mark.parametrize(
    ("text", "reason", "retry"),
    [
        ("no_service", "Slack answered: no_service", False),
        ('{"ok":false,"error":"channel_not_found"}', "Slack answered: channel_not_found", False),
        ('{"ok":false}', "Slack answered: not ok", False),
        ('{"ok":false,"error":"rate_limited"}', "Slack answered: rate_limited", True),
    ],
)
def test_answers_that_only_look_fine(text, reason, retry):
    with pytest.raises(DeliveryError) as raised:
        check_answer(text)
    assert (raised.value.reason, raised.value.retry) == (reason, retry)
