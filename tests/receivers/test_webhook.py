"""The webhook: its JSON, and what each answer means."""

import re
import ssl
from pathlib import Path

import pytest

from trackside.exceptions import DeliveryError
from trackside.server.fingerprint import fingerprint
from trackside.server.receivers.templates import NotificationTemplates
from trackside.server.receivers.webhook import Webhook, WebhookConfig, payload

CERTIFICATE = Path(__file__).parent / "testdata" / "untrusted.pem"
TEMPLATES = NotificationTemplates({}, lambda: 0)


def hook(**config):
    return lambda url: Webhook(WebhookConfig.model_validate({"url": url, **config}), TEMPLATES)


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
        "notification_reason": "first notification",
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
        return Webhook(WebhookConfig(url_file=str(address)), TEMPLATES)

    assert deliver(from_file, new_notification()).requests
    address.unlink()
    with pytest.raises(DeliveryError, match="cannot read") as raised:
        deliver(lambda url: Webhook(WebhookConfig(url_file=str(address)), TEMPLATES), new_notification())
    assert raised.value.retry


@pytest.mark.parametrize(
    ("code", "headers", "retry", "after_s"),
    [
        pytest.param(500, [], True, None, id="server error"),
        pytest.param(502, [], True, None, id="a gateway that lost the receiver"),
        pytest.param(504, ["Retry-After: 3"], True, 3.0, id="a gateway that waited in vain"),
        pytest.param(501, [], True, None, id="an error that no gateway makes"),
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
    ],
)
def test_answers(deliver, new_notification, server, answer, code, headers, retry, after_s):
    with pytest.raises(DeliveryError) as raised:
        deliver(hook(), new_notification(), server(answer(code, *headers, body="because\nof x")))
    error = raised.value
    assert (error.retry, error.retry_after_s, error.status) == (retry, after_s, code)
    # A gateway may have passed the message on before it gave up.
    assert error.maybe_sent is (code in (502, 504))
    assert error.reason == f"answered {code} Reason: because of x"


def test_a_long_answer_is_not_read_to_its_end(deliver, new_notification, server, answer):
    with pytest.raises(DeliveryError) as raised:
        deliver(hook(), new_notification(), server(answer(500, body="x" * 5_000_000)))
    assert len(raised.value.reason) < 300


def test_no_answer_in_time(deliver, new_notification, server):
    with pytest.raises(DeliveryError) as raised:
        deliver(hook(timeout="100ms"), new_notification(), server(None))
    assert (raised.value.reason, raised.value.retry, raised.value.maybe_sent) == ("no answer within 0.1 s", True, True)
    assert raised.value.status is None


def test_a_connection_that_breaks(deliver, new_notification, server):
    with pytest.raises(DeliveryError, match="connection lost") as raised:
        deliver(hook(), new_notification(), server(b""))
    assert (raised.value.retry, raised.value.maybe_sent) == (True, True)


def test_a_certificate_nobody_vouches_for(deliver, new_notification):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    with pytest.raises(DeliveryError, match="its certificate is not trusted: self-signed certificate") as raised:
        deliver(hook(), new_notification(), tls=tls)
    assert (raised.value.retry, raised.value.maybe_sent) == (True, False)


def test_nobody_listens(deliver, new_notification, unused_port):
    with pytest.raises(DeliveryError, match="no connection") as raised:
        deliver(lambda url: hook()(f"http://127.0.0.1:{unused_port}/"), new_notification())
    assert (raised.value.retry, raised.value.maybe_sent) == (True, False)


def test_a_redirection_within_the_host_is_followed(deliver, new_notification, server, answer):
    fake = server(first=[answer(308, "Location: /elsewhere")])
    deliver(hook(), new_notification(), fake)
    assert [line for line, _, _ in fake.requests] == ["POST /hook HTTP/1.1", "POST /elsewhere HTTP/1.1"]
    assert fake.bodies[0] == fake.bodies[1]


@pytest.mark.parametrize(
    ("code", "location", "follow", "reason"),
    [
        pytest.param(307, "http://localhost/x", True, "redirects to http://localhost", id="to another host"),
        pytest.param(302, "/x", True, "a redirect that loses the message", id="one that makes a GET of it"),
        pytest.param(308, "/hook", True, "redirects more than 5 times", id="in a circle"),
        pytest.param(308, "/x", False, "answered 308 Reason", id="not wanted"),
    ],
)
def test_redirections_that_are_not_followed(deliver, new_notification, server, answer, code, location, follow, reason):
    config = {"follow_redirects": follow}
    with pytest.raises(DeliveryError) as raised:
        deliver(hook(http_config=config), new_notification(), server(answer(code, f"Location: {location}")))
    assert reason in raised.value.reason
    assert not raised.value.retry


def test_a_certificate_may_go_unchecked_or_be_trusted(deliver, new_notification):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    trusted = {"ca_file": str(CERTIFICATE)}
    inline = re.search(r"-----BEGIN CERTIFICATE.*END CERTIFICATE-----", CERTIFICATE.read_text(), re.S)[0]
    for config in ({"insecure_skip_verify": True}, trusted, {"ca": inline}):
        assert deliver(hook(http_config={"tls_config": config}), new_notification(), tls=tls).requests
    with pytest.raises(DeliveryError, match="not valid for 'localhost'"):
        deliver(hook(http_config={"tls_config": {**trusted, "server_name": "localhost"}}), new_notification(), tls=tls)


def test_a_certificate_of_our_own_is_shown(deliver, new_notification):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    tls.load_verify_locations(CERTIFICATE)
    tls.verify_mode = ssl.CERT_REQUIRED
    pem = CERTIFICATE.read_text()
    ours = {"insecure_skip_verify": True, "cert": pem, "key": pem}
    assert deliver(hook(http_config={"tls_config": ours}), new_notification(), tls=tls).requests
    with pytest.raises(DeliveryError):
        deliver(hook(http_config={"tls_config": {"insecure_skip_verify": True}}), new_notification(), tls=tls)


def test_a_certificate_that_cannot_be_read_is_tried_again(deliver, new_notification):
    with pytest.raises(DeliveryError, match="certificate or key cannot be used") as raised:
        deliver(hook(http_config={"tls_config": {"ca_file": "/nowhere/ca.pem"}}), new_notification())
    assert raised.value.retry


def test_a_proxy_is_asked(deliver, new_notification, server):
    proxy = server()

    def through(url):
        return hook(http_config={"proxy_url": url})("http://receiver.invalid/hook")

    deliver(through, new_notification(), proxy)
    assert proxy.requests[0][0] == "POST http://receiver.invalid/hook HTTP/1.1"


def test_headers_of_ones_own(deliver, new_notification, tmp_path):
    (tmp_path / "h").write_text("c\n")
    given = {"X-A": {"values": ["a"], "secrets": ["b"], "files": [str(tmp_path / "h")]}}
    fake = deliver(hook(http_config={"http_headers": given}), new_notification())
    assert fake.requests[0][1]["x-a"] == "a, b, c"


def test_a_secret_with_a_line_break_is_not_shown(deliver, new_notification):
    with pytest.raises(DeliveryError, match="a header has a character") as raised:
        deliver(hook(http_config={"authorization": {"credentials": "abc\nsecret"}}), new_notification())
    assert "secret" not in raised.value.reason


def test_oauth_asks_for_a_token_first(deliver, new_notification, server, answer):
    token = answer(200, body='{"access_token": "tok", "token_type": "bearer"}')
    fake = server(first=[token])

    def make(url):
        oauth = {"client_id": "me", "client_secret": "s", "token_url": f"{url}/token", "scopes": ["a", "b"]}
        return hook(http_config={"oauth2": oauth})(url)

    deliver(make, new_notification(), fake)
    (line, asked, form), (_, headers, _) = fake.requests
    assert line == "POST /hook/token HTTP/1.1"
    assert asked["authorization"] == "Basic bWU6cw=="
    assert form == "grant_type=client_credentials&scope=a+b"
    assert headers["authorization"] == "Bearer tok"


OAUTH = {"client_id": "me", "token_url": "http://127.0.0.1:1/"}
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@pytest.mark.parametrize(
    ("http", "reason"),
    [
        ({"oauth2": {**OAUTH, "client_secret_ref": "x"}}, "oauth2: secrets are named by reference"),
        (
            {"oauth2": {**OAUTH, "grant_type": GRANT, "client_certificate_key": "k"}},
            "oauth2: the grant by a signed tok",
        ),
        ({"authorization": {"credentials_ref": "x"}}, "authorization: secrets are named by reference"),
        ({"basic_auth": {"username": "u", "password_ref": "x"}}, "basic_auth: secrets are named by reference"),
        ({"tls_config": {"ca_ref": "x"}}, "tls_config: secrets are named by reference"),
    ],
    ids=["client secret", "signed token", "credentials", "password", "certificate"],
)
def test_what_we_cannot_log_in_by_is_said(deliver, new_notification, http, reason):
    with pytest.raises(DeliveryError, match=reason) as raised:
        deliver(hook(http_config=http), new_notification())
    assert (raised.value.retry, raised.value.maybe_sent) == (False, False)


@pytest.mark.parametrize(
    ("status_code", "body", "reason", "retry"),
    [
        (401, "", "the token was refused: 401", False),
        (503, "", "the token was refused: 503", True),
        (200, "{}", "holds no access_token", True),
        (200, "[]", "holds no access_token", True),
        (200, "<html>", "holds no access_token", True),
    ],
)
def test_no_token_no_message(deliver, new_notification, server, answer, status_code, body, reason, retry):
    fake = server(answer(status_code, body=body))

    def make(url):
        return hook(http_config={"oauth2": {"client_id": "me", "client_secret": "s", "token_url": url}})(url)

    with pytest.raises(DeliveryError, match=reason) as raised:
        deliver(make, new_notification(), fake)
    assert (len(fake.requests), raised.value.retry) == (1, retry)


def test_what_a_message_is_called_is_the_same_at_each_attempt(deliver, new_notification):
    assert deliver(hook(), new_notification()).requests[0][1]["idempotency-key"] == "0123abcd"


def test_the_address_may_be_a_template(deliver, new_notification):
    fake = deliver(lambda url: hook()(url + "/{{ .CommonLabels.job }}"), new_notification())
    assert fake.requests[0][0] == "POST /hook/shop HTTP/1.1"
    with pytest.raises(DeliveryError, match="a template failed"):
        deliver(lambda url: hook()(url + "/{{ .Nothing }}"), new_notification())


def test_a_payload_of_ones_own(deliver, new_notification):
    payload = {
        "text": "{{ .Status }}",
        "count": "{{ .Alerts | len }}",
        "list": ["{{ range .Alerts }}{{ .Labels.i }}{{ end }}", "fixed", 3, True],
        "obj": {"{{ .Status }}": "{{ .CommonLabels | toJson }}"},
        "yaml": "a: 1\nb: [x]",
        "failed": "{{ .Nothing }}",
        "reference": "&a [*a]",
        "nan": "NaN",
        "reason": "{{ .NotificationReason }}",
    }
    assert deliver(hook(payload=payload), new_notification()).bodies == [
        {
            "text": "firing",
            "count": 2,
            "list": [12, "fixed", 3, True],
            "obj": {"firing": {"alertname": "Down", "job": "shop"}},
            "yaml": {"a": 1, "b": ["x"]},
            "failed": None,
            "reference": "&a [*a]",
            "nan": "NaN",
            "reason": "first notification",
        }
    ]
