"""What each receiver is told where no texts are configured, in our words and in Alertmanager's.

Ours has all of it: what fired, since when, the value, the chart, the runbook and the silence.
"""

import email
import email.policy
import html
import json
from dataclasses import replace
from urllib.parse import parse_qsl

import pytest

from trackside.exceptions import DeliveryError
from trackside.model.alerts import ChartImage
from trackside.model.labels import Labels
from trackside.server.receivers.config import BoundIntegration, ReceiverConfig, filled, integrations
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.illustrations import Picture

PNG = b"\x89PNG\r\n\x1a\n\x00\xff picture"
ALT = "Down: between 0 and 1 in the last 60 minutes"
URL = "https://monitor.example/charts/abc.png"
BARS = "▁▂█ 0 to 1"
SECTIONS = {
    "slack": {"api_url": "{url}"},
    "pagerduty": {"url": "{url}", "routing_key": "k"},
    "opsgenie": {"api_url": "{url}", "api_key": "k"},
    "telegram": {"api_url": "{url}", "bot_token": "t", "chat_id": 1},
    "discord": {"webhook_url": "{url}"},
    "msteams": {"webhook_url": "{url}"},
    "msteamsv2": {"webhook_url": "{url}"},
    "mattermost": {"webhook_url": "{url}"},
    "rocketchat": {"api_url": "{url}", "token": "t", "token_id": "i"},
    "victorops": {"api_url": "{url}", "api_key": "k", "routing_key": "r"},
    "webex": {"api_url": "{url}", "room_id": "r", "http_config": {"authorization": {"credentials": "t"}}},
    "wechat": {"api_url": "{url}", "api_secret": "s", "corp_id": "c"},
    "pushover": {"user_key": "u", "token": "t"},
}
LINKED = {
    "slack": lambda body: body["attachments"][1]["blocks"],
    "pagerduty": lambda body: body["images"],
    "opsgenie": lambda body: body["details"]["chart"],
    "msteams": lambda body: body["sections"],
    "msteamsv2": lambda body: body["attachments"][0]["content"]["body"][2],
    "mattermost": lambda body: body["attachments"][0]["image_url"],
    "rocketchat": lambda body: body["attachments"][0]["image_url"],
    "victorops": lambda body: body["vo_annotate.i.Chart"],
    "webex": lambda body: body["files"],
    "wechat": lambda body: body["text"]["content"],
}
"""Where the picture is."""
ATTACHED = {"telegram": "photo", "discord": "files[0]", "pushover": "attachment"}
"""What the file is called."""
every_kind = pytest.mark.parametrize("kind", SECTIONS)


@pytest.fixture
def message(new_notification, new_alert):
    down = new_alert(job="shop")
    chart = ChartImage(down.labels, PNG, ALT, URL)
    return replace(new_notification(down), trends=((down.labels, BARS),), chart=chart)


def parts_of(content_type, body):
    """The fields of a form, and its files."""
    whole = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=email.policy.HTTP)
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
        for part in whole.iter_parts()
    }


def read(request):
    """The body as an object, whatever it was written as."""
    _, headers, body = request
    if isinstance(body, bytes):
        parts = parts_of(headers["content-type"], body)
        fields = {name: value if value == PNG else value.decode() for name, value in parts.items()}
        return fields | json.loads(fields.pop("payload_json", "{}"))
    return dict(parse_qsl(body)) if isinstance(body, str) else body


@pytest.fixture
def told(deliver, integration, our_templates):
    """The body of the last request."""

    def run(kind, message, texts=our_templates, **values):
        def at(url):
            one = integration(kind, SECTIONS[kind], texts=texts, **values)(url)
            one.address = url
            return one

        requests = deliver(at, message).requests
        return requests[-1][0], read(requests[-1])

    return run


def words(body):
    return html.unescape(json.dumps(body, ensure_ascii=False, default=repr))


@every_kind
def test_all_of_it_is_said(told, message, kind):
    _, body = told(kind, replace(message, chart=None))
    text = words(body)
    assert "Down is bad" in text
    assert "since Nov 14 22:13 UTC, value 1" in text
    assert BARS in text
    assert "http://runbook/1" in text
    assert "http://monitor/silences/new?matchers=alertname%3D%22Down%22%0Ajob%3D%22shop%22" in text
    assert "http://monitor/graph?a=b&c=d" in text


@pytest.mark.parametrize("kind", LINKED)
def test_a_picture_is_shown_by_its_address(told, message, kind):
    _, body = told(kind, message)
    shown = words(LINKED[kind](body))
    assert URL in shown
    if kind in ("slack", "pagerduty", "msteams", "msteamsv2"):
        assert ALT in shown


@pytest.mark.parametrize("kind", ATTACHED)
def test_a_picture_is_sent_along(told, message, kind):
    line, body = told(kind, message)
    assert body[ATTACHED[kind]] == PNG
    assert "Down is bad" in words(body)
    if kind == "telegram":
        assert "/bott/sendPhoto " in line
    if kind == "discord":
        assert body["embeds"][0]["image"] == {"url": "attachment://chart.png"}
        assert body["attachments"] == [{"id": 0, "filename": "chart.png", "description": ALT}]


@pytest.mark.parametrize("kind", ["slack", "telegram", "discord", "msteams", "msteamsv2", "mattermost", "rocketchat"])
def test_what_is_in_the_picture_is_not_drawn_twice(told, message, new_alert, kind):
    other = new_alert(job="other")
    both = replace(message, alerts=(*message.alerts, other), trends=(*message.trends, (other.labels, "▇▂▁ 3 to 4")))
    text = words(told(kind, both)[1])
    assert BARS not in text
    assert "▇▂▁ 3 to 4" in text


@every_kind
def test_an_alertmanagers_file_says_what_alertmanager_says(told, message, templates, kind):
    # Of such a file nobody makes charts; that they are there shows that no text asks for them.
    _, body = told(kind, replace(message, chart=None), templates)
    text = words(body)
    assert "silences/new" not in text
    assert BARS not in text
    assert "Trackside" not in text


@every_kind
def test_the_end_is_said_without_a_silence(told, new_notification, new_alert, kind):
    _, body = told(kind, new_notification(new_alert(resolved=True, job="shop")))
    text = words(body)
    assert "silences/new" not in text
    if kind != "opsgenie":
        assert "Down is bad" in text


@every_kind
def test_of_very_many_as_many_as_fit_are_told_whole(told, new_notification, new_alert, kind):
    alerts = [new_alert(job=f"job-{number}", extra="x" * 60) for number in range(400)]
    over = [new_alert(resolved=True, job="over")]
    body = told(kind, new_notification(*over, *alerts))[1]
    text = words(body)
    assert "Down is bad" in text
    assert "silences/new" in text
    if kind not in ("pagerduty",):
        assert " more" in text


@every_kind
def test_labels_of_any_text_break_nothing(told, message, new_alert, new_notification, kind):
    odd = replace(
        new_alert(evil="\ud800 \x00 <b>&\"'{{ .X }} \u2028 \u202e 🙂", job="</td>"),
        annotations=Labels.of(
            summary="<!channel> **x** [y](http://evil) \ud800\x00 <script>", runbook_url="javascript:1"
        ),
    )
    notification = new_notification(odd)
    chart = ChartImage(odd.labels, PNG, "\ud800<b>\x00", URL)
    for one in (notification, replace(notification, chart=chart)):
        text = words(told(kind, one)[1])
        # In PagerDuty's details are the annotations as they are, which nobody can tap.
        assert "javascript:" not in text or kind == "pagerduty"


@pytest.mark.parametrize(
    ("group", "alerts", "title", "page"),
    [
        pytest.param(
            {"alertname": "Down"},
            [("Down", {"job": "shop"})],
            "[FIRING:1] Down (shop)",
            "[FIRING:1] Down: Down is bad",
            id="one",
        ),
        pytest.param(
            {}, [("Down", {"job": "a"})], "[FIRING:1] Down (a)", "[FIRING:1] Down: Down is bad", id="no group"
        ),
        pytest.param(
            {},
            [("Down", {"job": "a"}), ("Slow", {"job": "a"})],
            "[FIRING:2] several alerts (a)",
            "[FIRING:2] several alerts (a)",
            id="of several kinds",
        ),
    ],
)
def test_a_title_says_what_it_is_about(told, new_notification, new_alert, group, alerts, title, page):
    made = (new_alert(name, **labels) for name, labels in alerts)
    message = replace(new_notification(*made), group_labels=Labels.of(group))
    assert told("discord", message)[1]["embeds"][0]["title"] == title
    assert told("pagerduty", message)[1]["payload"]["summary"] == page


def test_a_runbook_is_linked_wherever_it_is(told, new_notification, new_alert):
    def shown(name, **annotations):
        one = replace(new_alert(name), annotations=Labels.of(annotations))
        return told("discord", new_notification(one))[1]["embeds"][0]["description"]

    assert "[Runbook](http://r/1)" in shown("X", runbook="http://r/1")
    assert "[Runbook](http://r/2)" in shown("X", runbook="http://r/1", runbook_url="http://r/2")
    assert "[Runbook](http://monitor/alerts/runbooks/Known)" in shown("Known", runbook="runbooks/Known.md")
    assert "[Runbook](http://monitor/alerts/runbooks/Known)" in shown("Known")
    assert "Runbook" not in shown("X", runbook="runbooks/gone.md")


def test_a_caption_has_its_limit(told, message):
    long = replace(message.alerts[0], annotations=Labels.of(summary="x" * 1_000))
    line, body = told("telegram", replace(message, alerts=(long,)))
    assert "/bott/sendMessage " in line
    assert "photo" not in body
    assert BARS in body["text"]
    short, _ = told("telegram", replace(message, alerts=message.alerts * 2))
    assert "/bott/sendPhoto " in short


def test_pagerduty_takes_no_severity_of_ones_own(told, new_notification, new_alert):
    def severity(**labels):
        return told("pagerduty", new_notification(new_alert(**labels)))[1]["payload"]["severity"]

    assert [severity(severity=one) for one in ("critical", "warning", "info", "page")] == [
        "critical",
        "warning",
        "info",
        "error",
    ]
    assert severity() == "error"


def test_pagerduty_shows_no_picture_that_comes_in_the_open(told, message):
    _, body = told("pagerduty", replace(message, chart=replace(message.chart, url="http://m/charts/a.png")))
    assert body["images"] == []


def test_a_picture_of_ones_own_stays(told, message):
    _, body = told("slack", message, image_url="http://own/x.png")
    assert [one.get("image_url") for one in body["attachments"]] == ["http://own/x.png"]
    assert told("mattermost", message, image_url="http://own")[1]["attachments"][0]["image_url"] == "http://own"
    assert told("rocketchat", message, image_url="http://own")[1]["attachments"][0]["image_url"] == "http://own"


ALL_KINDS = {
    **{kind: (kind in LINKED and Picture.LINKED) or Picture.ATTACHED for kind in SECTIONS},
    "email": Picture.ATTACHED,
    "apprise": Picture.LINKED,
}
MORE = {
    "email": {"to": "a@b.c", "from": "x@y.z", "smarthost": "h:25"},
    "apprise": {"url": "json://localhost"},
    "webhook": {"url": "http://x"},
    "incidentio": {"url": "http://x", "alert_source_token": "t"},
}


def bound(kind, templates, illustrate, **values):
    section = {**(SECTIONS | MORE)[kind], **values}
    given = json.loads(json.dumps(section).replace("{url}", "http://x"))
    receiver = ReceiverConfig.model_validate({"name": "team", f"{kind}_configs": [given]})
    (one,) = integrations(filled(receiver, NotificationDefaults()), lambda _: None, templates, illustrate)
    return one


async def nothing(notification, picture):
    return notification


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ALL_KINDS)
def test_who_is_shown_charts(our_templates, templates, kind):
    ours, theirs = bound(kind, our_templates, nothing), bound(kind, templates, nothing)
    assert (ours._illustrate, ours._picture) == (nothing, ALL_KINDS[kind])
    if kind != "apprise":
        assert (theirs._illustrate, theirs._picture) == (None, Picture.NONE)


@pytest.mark.parametrize("kind", ["webhook", "incidentio"])
def test_programs_are_shown_none(our_templates, kind):
    assert bound(kind, our_templates, nothing)._illustrate is None


def test_who_asks_for_a_chart_in_a_text_gets_one(templates, our_templates):
    payload = {"trend": "{{ range .Alerts }}{{ .TrendText }}{{ end }}"}
    assert bound("webhook", our_templates, nothing, payload=payload)._illustrate is nothing
    ours = bound("slack", templates, nothing, text='{{ template "trackside.slack.text" . }}')
    assert (ours._illustrate, ours._picture) == (nothing, Picture.LINKED)


@pytest.mark.parametrize(
    ("first", "sent"),
    [
        pytest.param((400, 200), [True, False], id="refused for its picture"),
        pytest.param(('{"ok": false, "error": "invalid_blocks"}', 200), [True, False], id="refused with a 200"),
        pytest.param((400, 403), [True, False], id="refused at all"),
        pytest.param((500,), [True], id="tried again later"),
        pytest.param((200,), [True], id="taken"),
    ],
)
def test_no_message_is_lost_for_its_picture(deliver, integration, our_templates, server, answer, message, first, sent):
    class Sending:
        def __init__(self, url):
            self.one = integration("slack", SECTIONS["slack"], texts=our_templates)(url)

        async def send(self, notification, client_for):
            illustrated = BoundIntegration("slack", True, self.one, client_for, nothing, Picture.LINKED)
            return await illustrated.send(notification)

    fake = server(first=[answer(code) if isinstance(code, int) else answer(200, body=code) for code in first])
    try:
        deliver(Sending, message, fake)
        delivered = True
    except DeliveryError:
        delivered = False
    assert delivered == (first[-1] == 200)
    assert [len(body["attachments"]) == 2 for body in fake.bodies] == sent
    # What it says without its picture has the chart in a line of text.
    assert all((BARS in words(body)) == (len(body["attachments"]) == 1) for body in fake.bodies)
