"""Receivers from three variables, without a file."""

import pytest

from trackside.exceptions import ConfigError
from trackside.model.labels import Labels
from trackside.server.config import load_config
from trackside.server.environment_receivers import from_environment

SLACK = {"SLACK_WEBHOOK_URL": "https://hooks.example/x"}
PAGERDUTY = {"PAGERDUTY_ROUTING_KEY": "key"}
MAIL = {"SMTP_URL": "smtp://u%40x.test:p%2F@mail.test/?to=a@b.test&to=c@d.test"}


def kinds(told, severity):
    labels = Labels.of(alertname="A", severity=severity)
    (route,) = told.routing.root.matching(labels)
    (receiver,) = (one for one in told.receivers if one.name == route.receiver)
    return [kind for kind, _, _ in receiver.configs()]


@pytest.mark.parametrize(
    ("environment", "critical", "warning", "other"),
    [
        pytest.param(SLACK | PAGERDUTY | MAIL, ["pagerduty", "slack"], ["slack"], ["email"], id="all"),
        pytest.param(SLACK, ["slack"], ["slack"], ["slack"], id="Slack"),
        pytest.param(PAGERDUTY, ["pagerduty"], ["pagerduty"], ["pagerduty"], id="PagerDuty"),
        pytest.param(MAIL, ["email"], ["email"], ["email"], id="mail"),
        pytest.param(SLACK | PAGERDUTY, ["pagerduty", "slack"], ["slack"], ["slack"], id="no mail"),
        pytest.param(PAGERDUTY | MAIL, ["pagerduty"], ["email"], ["email"], id="no Slack"),
        pytest.param(SLACK | MAIL, ["slack"], ["slack"], ["email"], id="no PagerDuty"),
    ],
)
def test_who_hears_what(environment, critical, warning, other):
    told = from_environment(environment)
    assert [kinds(told, severity) for severity in ("critical", "warning", "info", "")] == [
        critical,
        warning,
        other,
        other,
    ]


@pytest.mark.parametrize("environment", [{}, {"SLACK_WEBHOOK_URL": " ", "SMTP_URL": ""}])
def test_nothing_is_set(environment):
    assert from_environment(environment) is None


def mail(url):
    told = from_environment({"SMTP_URL": url})
    return told.receivers[-1].email_configs[0]


def test_a_mail_server():
    one = mail(MAIL["SMTP_URL"])
    assert (one.to, one.from_, one.smarthost) == ("a@b.test, c@d.test", "u@x.test", "mail.test:587")
    assert (one.auth_username, one.auth_password.get_secret_value()) == ("u@x.test", "p/")
    assert (one.require_tls, one.force_implicit_tls, one.send_resolved) == (True, False, True)


@pytest.mark.parametrize(
    ("url", "smarthost", "implicit", "required"),
    [
        ("smtps://mail.test/?from=a@b.test", "mail.test:465", True, False),
        ("smtp://[::1]:25?from=a@b.test&require_tls=false", "[::1]:25", False, False),
    ],
)
def test_other_mail_servers(url, smarthost, implicit, required):
    one = mail(url)
    assert (one.smarthost, one.force_implicit_tls, one.require_tls, one.to) == (
        smarthost,
        implicit,
        required,
        "a@b.test",
    )


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SLACK_WEBHOOK_URL": "abc-secret"}, "SLACK_WEBHOOK_URL: expected the URL"),
        ({"SMTP_URL": "abc-secret"}, "SMTP_URL: expected smtp://"),
        ({"SMTP_URL": "smtp://u:abc-secret@:x/"}, "SMTP_URL: expected smtp://"),
        ({"SMTP_URL": "smtp://u:abc-secret@mail.test"}, "SMTP_URL: it does not say to whom"),
        ({"SMTP_URL": "smtp://u:abc-secret@mail.test?to=a@b&form=x"}, "SMTP_URL: unknown part 'form'"),
        ({"SMTP_URL": "http://abc-secret.test/"}, "SMTP_URL: expected smtp://"),
    ],
)
def test_refused_without_showing_what_is_secret(environment, expected):
    with pytest.raises(ConfigError) as raised:
        from_environment(environment)
    assert expected in str(raised.value)
    assert "abc-secret" not in str(raised.value)


def test_a_file_that_names_receivers_wins(tmp_path):
    file = tmp_path / "trackside.yml"
    file.write_text("route: {receiver: mine}\nreceivers: [{name: mine}]\n")
    assert load_config(file, environment=SLACK).notifications.routing.receivers == ("mine",)
    file.write_text("scrape_configs: []\n")
    assert load_config(file, environment=SLACK).notifications.routing.receivers == ("critical", "warning", "default")
    assert load_config(None, environment=SLACK).notifications is not None
    assert load_config(None, environment={}).notifications is None


def test_the_texts_are_our_defaults_and_no_secret_is_shown():
    told = from_environment(SLACK | PAGERDUTY | MAIL)
    (slack,) = told.receivers[1].slack_configs
    assert (slack.username, slack.text) == (
        '{{ template "slack.default.username" . }}',
        '{{ template "slack.default.text" . }}',
    )
    assert "hooks.example" not in told.routing.original
