"""The webhook: its JSON, and what each answer means."""

import ssl
from pathlib import Path

import pytest

from trackside.exceptions import ConfigError, DeliveryError
from trackside.server.receivers.config import ReceiverConfig
from trackside.server.receivers.fingerprint import fingerprint
from trackside.server.receivers.webhook import Webhook, WebhookConfig, payload
from trackside.server.yamlfile import parse_yaml, section_of


def hook(**config):
    return lambda url: Webhook(WebhookConfig(url=url, **config))


def test_the_payload_is_alertmanagers(new_notification, new_alert):
    message = new_notification(new_alert(job="shop", i="1"), new_alert(job="shop", i="2", resolved=True))
    body = payload(message)
    first, second = body.pop("alerts")
    assert body == {
        "version": "4",
        "groupKey": '{}:{alertname="Down"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "team",
        "groupLabels": {"alertname": "Down"},
        "commonLabels": {"alertname": "Down", "job": "shop"},
        "commonAnnotations": {"summary": "Down is bad", "runbook_url": "http://runbook/1"},
        "externalURL": "http://monitor",
    }
    assert first == {
        "status": "firing",
        "labels": {"alertname": "Down", "i": "1", "job": "shop"},
        "annotations": {"summary": "Down is bad", "runbook_url": "http://runbook/1"},
        "startsAt": "2023-11-14T22:13:20Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://monitor/graph?a=b&c=d",
        "fingerprint": fingerprint(message.alerts[0].labels),
    }
    assert (second["status"], second["endsAt"]) == ("resolved", "2023-11-14T22:13:21.5Z")


def test_the_status_is_resolved_when_all_are(new_notification, new_alert):
    assert payload(new_notification(new_alert(resolved=True)))["status"] == "resolved"


def test_many_alerts_are_cut(new_notification, new_alert):
    body = payload(new_notification(*(new_alert(i=str(number)) for number in range(5))), max_alerts=2)
    assert (len(body["alerts"]), body["truncatedAlerts"]) == (2, 3)
    assert body["commonLabels"] == {"alertname": "Down"}


def test_it_is_posted_as_json(deliver, new_notification):
    fake = deliver(hook(), new_notification())
    ((line, headers, body),) = fake.requests
    assert line == "POST /hook HTTP/1.1"
    assert headers["content-type"] == "application/json"
    assert body["receiver"] == "team"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"basic_auth": {"username": "u", "password": "p"}}, "Basic dTpw"),
        ({"authorization": {"credentials": "tok"}}, "Bearer tok"),
        ({"authorization": {"type": "Token", "credentials": "tok"}}, "Token tok"),
    ],
)
def test_it_logs_in(deliver, new_notification, config, expected):
    fake = deliver(hook(http_config=config), new_notification())
    assert fake.requests[0][1]["authorization"] == expected


def test_secrets_are_read_from_files_at_each_use(deliver, new_notification, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("p\n")
    config = {"basic_auth": {"username": "u", "password_file": str(secret)}}
    assert deliver(hook(http_config=config), new_notification()).requests[0][1]["authorization"] == "Basic dTpw"
    address = tmp_path / "url"

    def from_file(url):
        address.write_text(f"{url}\n")
        return Webhook(WebhookConfig(url_file=str(address)))

    assert deliver(from_file, new_notification()).requests
    address.unlink()
    with pytest.raises(DeliveryError, match="cannot read") as raised:
        deliver(lambda url: Webhook(WebhookConfig(url_file=str(address))), new_notification())
    assert raised.value.retry


@pytest.mark.parametrize(
    ("code", "headers", "retry", "after_s"),
    [
        pytest.param(500, [], True, None, id="server error"),
        pytest.param(503, ["Retry-After: 7"], True, 7.0, id="come back in seven seconds"),
        pytest.param(429, ["Retry-After: 120"], True, 120.0, id="too many requests"),
        pytest.param(429, [], True, None, id="too many, no hint"),
        pytest.param(
            429,
            ["Date: Wed, 21 Oct 2015 07:28:00 GMT", "Retry-After: Wed, 21 Oct 2015 07:28:30 GMT"],
            True,
            30.0,
            id="a date",
        ),
        pytest.param(429, ["Retry-After: soon"], True, None, id="a hint that is none"),
        pytest.param(400, ["Retry-After: 7"], False, None, id="refused"),
        pytest.param(404, [], False, None, id="not there"),
        pytest.param(302, ["Location: http://127.0.0.1/"], False, None, id="a redirection is not followed"),
    ],
)
def test_answers(deliver, new_notification, server, answer, code, headers, retry, after_s):
    with pytest.raises(DeliveryError) as raised:
        deliver(hook(), new_notification(), server(answer(code, *headers, body="because\nof x")))
    error = raised.value
    assert (error.retry, error.retry_after_s, error.maybe_sent) == (retry, after_s, False)
    assert error.reason == f"answered {code} Reason: because of x"


def test_a_long_answer_is_not_read_to_its_end(deliver, new_notification, server, answer):
    with pytest.raises(DeliveryError) as raised:
        deliver(hook(), new_notification(), server(answer(500, body="x" * 5_000_000)))
    assert len(raised.value.reason) < 300


def test_no_answer_in_time(deliver, new_notification, server):
    with pytest.raises(DeliveryError) as raised:
        deliver(hook(timeout="100ms"), new_notification(), server(None))
    assert (raised.value.reason, raised.value.retry, raised.value.maybe_sent) == ("no answer within 0.1 s", True, True)


def test_a_connection_that_breaks(deliver, new_notification, server):
    with pytest.raises(DeliveryError, match="connection lost") as raised:
        deliver(hook(), new_notification(), server(b""))
    assert (raised.value.retry, raised.value.maybe_sent) == (True, True)


def test_a_certificate_nobody_vouches_for(deliver, new_notification):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(Path(__file__).parent / "testdata" / "untrusted.pem")
    with pytest.raises(DeliveryError, match="its certificate is not trusted: self-signed certificate") as raised:
        deliver(hook(), new_notification(), tls=tls)
    assert (raised.value.retry, raised.value.maybe_sent) == (True, False)


def test_nobody_listens(deliver, new_notification, unused_port):
    with pytest.raises(DeliveryError, match="no connection") as raised:
        deliver(lambda url: Webhook(WebhookConfig(url=f"http://127.0.0.1:{unused_port}/")), new_notification())
    assert (raised.value.retry, raised.value.maybe_sent) == (True, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{}", "expected either `url` or `url_file`", id="no URL"),
        pytest.param("{url: 'http://x', url_file: y}", "expected either `url` or `url_file`", id="both"),
        pytest.param("{url: 'ftp://x'}", "expected a URL that begins with http:// or https://", id="scheme"),
        pytest.param("{url: 'http://x', max_alerts: -1}", "max_alerts", id="negative"),
        pytest.param("{url: 'http://x', timeout: 5}", "expected a duration such as 5s", id="duration"),
        pytest.param("{url: 'http://x', http_config: {proxy_url: y}}", "unknown key", id="unknown key"),
        pytest.param(
            "{url: 'http://x', http_config: {basic_auth: {username: u}, authorization: {credentials: c}}}",
            "`basic_auth` and `authorization` exclude each other",
            id="two ways to log in",
        ),
        pytest.param(
            "{url: 'http://x', http_config: {authorization: {}}}",
            "expected either `credentials` or `credentials_file`",
            id="no credentials",
        ),
    ],
)
def test_refused_configuration(text, expected):
    with pytest.raises(ConfigError) as raised:
        section_of(parse_yaml(f"name: r\nwebhook_configs:\n- {text}\n", "t.yml"), ReceiverConfig)
    assert str(raised.value).startswith("t.yml:3: webhook_configs[0]")
    assert expected in str(raised.value)
