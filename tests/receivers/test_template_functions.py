"""Alertmanager's template functions and data."""

import json

import pytest

from trackside.server.receivers.templates import NotificationTemplates

TEMPLATES = NotificationTemplates({}, lambda: 1_700_000_090_000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{{ join "," (stringSlice "a" "b") }} {{ stringSlice "a" "b" | join "-" }}', "a,b a-b"),
        ('{{ " x " | trimSpace }}|{{ urlUnescape "a+b%26" }}|{{ safeUrl "u" }}', "x|a b&|u"),
        ('{{ (index .Alerts 0).StartsAt | tz "Europe/Berlin" | date "15:04 MST" }}', "23:13 CET"),
        ("{{ since (index .Alerts 0).StartsAt | humanizeDuration }} {{ humanizeDuration 90 }}", "1m 30s 1m 30s"),
        ('{{ now.Format "2006" }} {{ (index .Alerts 0).EndsAt.IsZero }}', "2023 true"),
        ('{{ toJson (dict "a" (list 1 "b") "t" now) }}', '{"a":[1,"b"],"t":"2023-11-14T22:14:50Z"}'),
        ("{{ append (list 1) 2 3 }}", "[1 2 3]"),
        ("{{ .GroupLabels }} {{ .CommonLabels.Names }} {{ .CommonLabels.nosuch }}", "alertname=Down [alertname job] "),
        ('{{ .CommonLabels.SortedPairs.Values }} {{ index .CommonLabels "job" }}', "[Down shop] shop"),
        ('{{ (.CommonLabels.Remove (stringSlice "job")).Names }}', "[alertname]"),
        ("{{ .Receiver }} {{ .Status }} {{ .ExternalURL }} {{ len .Alerts.Resolved }}", "team firing http://monitor 0"),
        ('{{ template "__subject" . }}', "[FIRING:2] Down (shop)"),
        ("{{ (index .Alerts 0).Fingerprint | len }}", "16"),
    ],
)
def test_renders(new_notification, text, expected):
    assert TEMPLATES.texts(new_notification()).render(text, "failed") == expected


def test_alerts_as_json_are_those_of_the_webhook(new_notification):
    (first, _) = json.loads(TEMPLATES.texts(new_notification()).render("{{ toJson .Alerts }}"))
    assert (first["status"], first["labels"]["i"], first["startsAt"]) == ("firing", "1", "2023-11-14T22:13:20Z")


@pytest.mark.parametrize("text", ['{{ tz "Nowhere" now }}', '{{ date "x" 1 }}', '{{ dict "a" }}', "{{ toJson . }}"])
def test_fails(new_notification, text):
    assert TEMPLATES.texts(new_notification()).render(text, "failed") == "failed"


def test_of_more_alerts_than_fit_the_first_are_told(new_notification, new_alert):
    many = new_notification(*(new_alert(i=str(number), text="x" * 1_000) for number in range(600)))
    texts = TEMPLATES.texts(many)
    told = texts.render("{{ range .Alerts }}{{ .Labels.text }}{{ end }} {{ .TruncatedAlerts }} more")
    assert told == "x" * 100_000 + " 500 more"
    assert texts.render("{{ len .Alerts }}") == "600"
    assert texts.render("{{ .Nothing }}", "failed") == "failed"
