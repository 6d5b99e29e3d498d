"""Slack messages: their texts, and answers that look like success."""

import pytest

from trackside.exceptions import ConfigError, DeliveryError
from trackside.server.receivers.config import ReceiverConfig
from trackside.server.receivers.slack import Slack, SlackConfig, check_answer, message
from trackside.server.receivers.templates import NotificationTemplates
from trackside.server.yamlfile import parse_yaml, section_of

TEMPLATES = NotificationTemplates({}, lambda: 1_700_000_060_000)


def body(notification, templates=TEMPLATES, **config):
    section = SlackConfig(api_url="https://hooks.example/x", **config)
    return message(section, templates.texts(notification), notification)


def test_the_default_message_says_what_is_wrong_and_where_to_look(new_notification):
    assert body(new_notification(), channel="#alerts") == {
        "channel": "#alerts",
        "username": "Trackside",
        "attachments": [
            {
                "title": "[FIRING:2] Down (shop)",
                "title_link": "http://monitor/alerts?receiver=team",
                "text": "Down is bad <http://monitor/graph?a=b&c=d|Graph> <http://runbook/1|Runbook>\n" * 2,
                "fallback": "[FIRING:2] Down (shop) | http://monitor/alerts?receiver=team",
                "color": "danger",
                "mrkdwn_in": ["fallback", "pretext", "text"],
            }
        ],
    }


def test_the_end_is_green(new_notification, new_alert):
    (attachment,) = body(new_notification(new_alert(resolved=True)))["attachments"]
    assert (attachment["title"], attachment["color"]) == ("[RESOLVED] Down", "good")
    assert attachment["text"].startswith(":white_check_mark: Down is bad")


def test_a_long_list_is_cut(new_notification, new_alert):
    (attachment,) = body(new_notification(*(new_alert(i=str(number)) for number in range(33))))["attachments"]
    lines = attachment["text"].splitlines()
    assert (len(lines), lines[-1]) == (21, "and 13 more")


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
        actions=[{"text": "Runbook", "url": "{{ (index .Alerts 0).Annotations.runbook_url }}", "style": "primary"}],
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


def test_it_is_posted(deliver, new_notification):
    fake = deliver(lambda url: Slack(SlackConfig(api_url=url, title="t"), TEMPLATES), new_notification())
    assert fake.requests[0][2]["attachments"][0]["title"] == "t"


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{channel: '#c'}", "expected either `api_url` or `api_url_file`", id="no URL"),
        pytest.param("{api_url: hooks}", "expected the URL of an incoming webhook", id="no web address"),
        pytest.param("{api_url: 'https://x', title: '{{ .X '}", "this template does not parse", id="template"),
        pytest.param("{api_url: 'https://x', app_token: t}", "unknown key", id="unknown key"),
    ],
)
def test_refused_configuration(text, expected):
    with pytest.raises(ConfigError) as raised:
        section_of(parse_yaml(f"name: r\nslack_configs: [{text}]\n", "t.yml"), ReceiverConfig)
    assert expected in str(raised.value)
