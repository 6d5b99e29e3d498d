"""What holds for every receiver that is asked over HTTP: refusals, limits, certificates, and nobody there."""

import json
import ssl
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackside.exceptions import DeliveryError
from trackside.server.receivers.html_text import html_text
from trackside.server.receivers.nested import _value
from trackside.server.receivers.slack import check_answer

CERTIFICATE = Path(__file__).parent / "testdata" / "untrusted.pem"
KINDS = {
    "webhook": {"url": "{url}"},
    "slack": {"api_url": "{url}"},
    "pagerduty": {"url": "{url}", "routing_key": "k"},
    "opsgenie": {"api_url": "{url}", "api_key": "k"},
    "telegram": {"api_url": "{url}", "bot_token": "t", "chat_id": 1},
    "discord": {"webhook_url": "{url}"},
    "msteams": {"webhook_url": "{url}"},
    "msteamsv2": {"webhook_url": "{url}"},
    "mattermost": {"webhook_url": "{url}"},
    "rocketchat": {"api_url": "{url}", "token": "t", "token_id": "i"},
    "incidentio": {"url": "{url}", "alert_source_token": "t"},
    "victorops": {"api_url": "{url}", "api_key": "k", "routing_key": "r"},
    "webex": {"api_url": "{url}", "room_id": "r", "http_config": {"authorization": {"credentials": "t"}}},
    "wechat": {"api_url": "{url}", "api_secret": "s", "corp_id": "c"},
    "jira": {"api_url": "{url}", "project": "p", "issue_type": "t"},
    "sns": {"api_url": "{url}", "topic_arn": "a", "sigv4": {"region": "r", "access_key": "k", "secret_key": "s"}},
}
WELCOME = '{"issues": []}'
"""What even Jira takes for an answer."""
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
@pytest.mark.parametrize(
    ("code", "headers", "expected"),
    [
        pytest.param(429, ["Retry-After: 17"], (True, 17.0, False), id="too many"),
        pytest.param(500, [], (True, None, False), id="broken"),
        pytest.param(502, [], (True, None, True), id="a gateway gave up"),
        pytest.param(400, [], (False, None, False), id="refused"),
    ],
)
def test_refusals(deliver, integration, new_notification, server, answer, kind, code, headers, expected):
    fake = server(answer(code, *headers, body="no"))
    with pytest.raises(DeliveryError, match=f"answered {code}") as raised:
        deliver(integration(kind, KINDS[kind]), new_notification(), fake)
    assert (raised.value.retry, raised.value.retry_after_s, raised.value.maybe_sent) == expected
    assert len(fake.requests) == 1


@every_kind
def test_a_certificate_nobody_vouches_for(deliver, integration, new_notification, kind):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    with pytest.raises(DeliveryError, match="its certificate is not trusted") as raised:
        deliver(integration(kind, KINDS[kind]), new_notification(), tls=tls)
    assert (raised.value.retry, raised.value.maybe_sent) == (True, False)


@every_kind
def test_a_connection_that_breaks(deliver, integration, new_notification, server, kind):
    with pytest.raises(DeliveryError, match="connection lost") as raised:
        deliver(integration(kind, KINDS[kind]), new_notification(), server(b""))
    assert (raised.value.retry, raised.value.maybe_sent) == (True, True)


@every_kind
def test_answers_of_any_shape(deliver, integration, new_notification, server, answer, kind):
    for body in ("", "ok", "<html>", "[]", "null", '"x"', "{", '{"ok": 1, "errcode": 0}', "\x00é"):
        try:
            deliver(integration(kind, KINDS[kind]), new_notification(), server(answer(200, body=body)))
        except DeliveryError as error:
            assert error.reason


@every_kind
def test_labels_of_any_text(deliver, integration, new_notification, new_alert, server, answer, kind):
    odd = new_alert(evil="\ud800 \x00 <b>&\"'{{ .X }} \u2028 \u202e 🙂", **{"ü x": "y"})
    assert deliver(integration(kind, KINDS[kind]), new_notification(odd), server(answer(200, body=WELCOME))).requests


@pytest.mark.parametrize("kind", ["webhook", "slack", "pagerduty", "incidentio"])
def test_no_answer_in_time(deliver, integration, new_notification, server, kind):
    with pytest.raises(DeliveryError, match=r"no answer within 0\.1 s") as raised:
        deliver(integration(kind, KINDS[kind], timeout="100ms"), new_notification(), server(None))
    assert (raised.value.retry, raised.value.maybe_sent) == (True, True)


@given(st.text(alphabet='{}[]&*!:,-#"\\ \n01.ayesNao~|>', max_size=60))
def test_any_rendered_text_becomes_a_value_that_is_json(text):
    json.dumps(_value(text), allow_nan=False)


def test_a_rendered_text_that_is_deep_or_long_stays_text():
    for text in ("[" * 50_000, "{a: " * 5_000, "x" * 100_000, "- " * 30_000):
        json.dumps(_value(text))


@given(st.text(max_size=40), st.sampled_from(["", '<a href="', '<a href="http://x/', "<p>"]))
def test_no_text_is_markup(text, before):
    written = html_text(text, before)
    assert not set("<>\"'") & set(written)
    if before.endswith('href="'):
        assert not written.lower().lstrip().startswith(("javascript:", "data:", "vbscript:"))


@settings(max_examples=50)
@given(st.text(max_size=100))
def test_any_answer_of_slack_is_fine_or_a_refusal(text):
    try:
        check_answer(text)
    except DeliveryError as error:
        assert error.reason
