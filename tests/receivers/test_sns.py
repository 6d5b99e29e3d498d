"""SNS: what is published, and within which limits."""

import hashlib
from dataclasses import replace
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.exceptions import DeliveryError
from trackside.server.receivers.sns import MAX_MESSAGE_BYTES, SnsConfig, _subject, message
from trackside.server.receivers.templates import NotificationTemplates

GROUP = hashlib.sha256(b'{}:{alertname="Down"}').hexdigest()
LOGIN = {"region": "us-east-2", "access_key": "AKIAX", "secret_key": "abc-secret"}
TOPIC = "arn:aws:sns:us-east-2:1:topic"


@pytest.fixture
def published(deliver, integration, new_notification, new_alert, server):
    """Request line, headers and form of what is published."""

    def run(answer=None, resolved=False, **section):
        given = {"api_url": "{url}", "sigv4": LOGIN, "topic_arn": TOPIC, **section}
        fake = server(answer) if answer else server()
        deliver(integration("sns", given), new_notification(new_alert(job="shop", resolved=resolved)), fake)
        ((line, headers, body),) = fake.requests
        return line, headers, dict(parse_qsl(body, keep_blank_values=True))

    return run


def attributes(form):
    places = range(1, 1 + sum(name.endswith(".Name") for name in form))
    entries = [f"MessageAttributes.entry.{place}" for place in places]
    assert all(form[f"{entry}.Value.DataType"] == "String" for entry in entries)
    return {form[f"{entry}.Name"]: form[f"{entry}.Value.StringValue"] for entry in entries}


def test_a_message(published):
    line, headers, form = published(attributes={"severity": "{{ .Status }}", "empty": "", "{{ .Nosuch }}": "x"})
    assert line == "POST /hook HTTP/1.1"
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert headers["x-amz-date"] == "20231114T221420Z"
    assert headers["authorization"].startswith(
        "AWS4-HMAC-SHA256 Credential=AKIAX/20231114/us-east-2/sns/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, Signature="
    )
    assert form.pop("Message").startswith("http://runbook/1 Down is bad\nAlerts Firing:\nLabels:\n - alertname = Down")
    assert attributes(form) == {"severity": "firing"}
    assert {name: text for name, text in form.items() if not name.startswith("MessageAttributes")} == {
        "Action": "Publish",
        "Version": "2010-03-31",
        "TopicArn": TOPIC,
        "Subject": "[FIRING:1] Down (shop)",
    }


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"topic_arn": "{{ .CommonLabels.job }}"}, {"TopicArn": "shop"}),
        ({"topic_arn": "", "phone_number": "+1555"}, {"PhoneNumber": "+1555"}),
        ({"topic_arn": "", "target_arn": TOPIC}, {"TargetArn": TOPIC}),
    ],
)
def test_targets(published, section, expected):
    _, _, form = published(**section)
    assert {name: text for name, text in form.items() if name in ("TopicArn", "PhoneNumber", "TargetArn")} == expected


@pytest.mark.parametrize("target", ["{{ `` }}", "{{ .CommonLabels.nobody }} ", "{{ .Nosuch }}"])
def test_a_target_that_is_nobody(published, target):
    with pytest.raises(DeliveryError, match=r"says nothing about these alerts|a template failed") as raised:
        published(topic_arn=target)
    assert not raised.value.retry


@pytest.mark.parametrize(
    ("section", "characters", "size"),
    [
        pytest.param({"message": "x" * 300_000}, 262_125, 262_125, id="a topic"),
        pytest.param({"message": "é" * 200_000}, 131_062, 262_124, id="between letters"),
        pytest.param(
            {"message": "x" * 300_000, "attributes": {"abc": "d" * 91}}, 262_025, 262_025, id="attributes count"
        ),
        pytest.param({"topic_arn": "", "phone_number": "1", "message": "é" * 2_000}, 800, 1_600, id="a phone"),
    ],
)
def test_what_is_too_long_is_cut_and_says_so(published, section, characters, size):
    _, _, form = published(**section)
    assert (len(form["Message"]), len(form["Message"].encode())) == (characters, size)
    assert attributes(form)["truncated"] == "true"


def test_what_just_fits_is_not_cut(published):
    _, _, form = published(message="x" * MAX_MESSAGE_BYTES)
    assert (len(form["Message"]), attributes(form)) == (MAX_MESSAGE_BYTES, {})


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("one\r\n two\tthree\x00four", "one two three four"),
        ("s" * 99, "s" * 99),
        ("s" * 100, "s" * 96 + "..."),
        ("é" * 100, "é" * 96 + "..."),
        ("", None),
        (" \n", None),
    ],
)
def test_a_subject_is_one_short_line(published, subject, expected):
    _, _, form = published(subject=subject)
    assert form.get("Subject") == expected


@given(st.text())
def test_any_subject_is_one_that_sns_takes(text):
    subject = _subject(text)
    assert len(subject) < 100
    assert subject == "" or subject.isprintable()


def test_a_message_always_says_something(published):
    _, _, form = published(message="{{ .Nosuch }}")
    assert form["Message"] == '[FIRING] {}:{alertname="Down"}'


def test_an_ordered_topic_knows_what_belongs_together_and_what_is_the_same(published, templates, new_notification):
    _, _, form = published(topic_arn=f"{TOPIC}.fifo")
    assert (form["MessageGroupId"], form["MessageDeduplicationId"]) == (GROUP, "0123abcd")
    config = SnsConfig(topic_arn="a.fifo")
    bare = [replace(new_notification(), delivery_id="")] * 2
    first, second = (message(config, templates.texts(one), one)["MessageDeduplicationId"] for one in bare)
    assert first == second
    other = message(config.model_copy(update={"message": "other"}), templates.texts(bare[0]), bare[0])
    assert other["MessageDeduplicationId"] != first
    assert len(first) <= 128


@pytest.mark.parametrize("url", ["http://[", "http://x:y/", "nothing", "ftp://x/", "http://", "\x00", "http://a b/"])
def test_an_address_that_is_none(published, url):
    with pytest.raises(DeliveryError) as raised:
        published(api_url=url)
    assert raised.value.reason


def test_what_the_section_does_not_say_is_in_the_environment(deliver, integration, new_notification):
    def make(url):
        one = integration("sns", {"topic_arn": TOPIC})(url)
        one.environment = {"AWS_ENDPOINT_URL_SNS": url, "AWS_ACCESS_KEY_ID": "AKENV", "AWS_SECRET_ACCESS_KEY": "s"}
        return one

    ((line, headers, _),) = deliver(make, new_notification()).requests
    assert line == "POST /hook HTTP/1.1"
    # The region is that of the topic.
    assert "Credential=AKENV/20231114/us-east-2/sns/aws4_request" in headers["authorization"]


REFUSAL = (
    '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>{}</Code>'
    "<Message>Topic &lt;x&gt; is not yours</Message></Error><RequestId>r</RequestId></ErrorResponse>"
)


@pytest.mark.parametrize(
    ("code", "name", "retry"),
    [
        (400, "InvalidParameter", False),
        (403, "AuthorizationError", False),
        (403, "SignatureDoesNotMatch", False),
        (404, "NotFound", False),
        (429, "Throttled", True),
        (400, "ThrottlingException", True),
        (400, "KMSThrottling", True),
        (403, "ExpiredToken", True),
        (500, "InternalError", True),
    ],
)
def test_refusals(published, answer, code, name, retry):
    with pytest.raises(DeliveryError) as raised:
        published(answer(code, "Retry-After: 3", body=REFUSAL.format(name)))
    assert str(raised.value) == f"answered {code} Reason: {name}: Topic <x> is not yours"
    assert (raised.value.retry, raised.value.status) == (retry, code)
    assert raised.value.retry_after_s == (3.0 if code in (429, 500) else None)


@pytest.mark.parametrize(
    "body", ["", "<", "<Code>", "<Code>A", "<Code>A</Code><Message>", "<Code>A</Code><Message>&#x;&lt", "x" * 10_000]
)
def test_refusals_of_any_shape(published, answer, body):
    with pytest.raises(DeliveryError, match="answered 400 Reason") as raised:
        published(answer(400, body=body))
    assert not raised.value.retry


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_signed_request_follows_no_redirect(published, answer, code):
    with pytest.raises(DeliveryError, match=f"answered {code}") as raised:
        published(answer(code, "Location: /elsewhere"))
    assert not raised.value.retry


def test_a_signature_takes_the_place_of_another_login(published):
    login = {"basic_auth": {"username": "u", "password": "p"}, "http_headers": {"X-A": {"values": ["1"]}}}
    _, headers, _ = published(http_config=login)
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256")
    assert headers["x-a"] == "1"
    _, headers, _ = published(http_config=login, use_aws_http_client=True)
    assert "x-a" not in headers


def test_no_secret_is_told(published, caplog, answer):
    with pytest.raises(DeliveryError) as raised:
        published(answer(403, body=REFUSAL.format("SignatureDoesNotMatch")), message="{{ .Nosuch }}")
    assert "abc-secret" not in f"{raised.value}{raised.value.__cause__}{caplog.text}"


def test_of_our_texts_as_many_alerts_are_told_as_fit(new_alert, new_notification):
    many = new_notification(*[new_alert(i=str(number)) for number in range(50)])
    texts = NotificationTemplates({}, lambda: 0, ours=True).texts(many)
    told = message(SnsConfig(phone_number="1"), texts, many)
    assert len(told["Message"]) <= 1_600
    assert "MessageAttributes.entry.1.Name" not in told
    assert "more.\nAll alerts: " in told["Message"]
