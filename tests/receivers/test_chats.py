"""Discord, Teams, Telegram, Mattermost, Rocket.Chat, Webex, WeChat: messages and answers."""

import pytest

from trackside.exceptions import DeliveryError


def test_discord(deliver, integration, new_notification, new_alert):
    config = integration(
        "discord", webhook_url="{url}", username="bot", content="c {{ .Status }}", avatar_url="http://a"
    )
    (body,) = deliver(config, new_notification()).bodies
    (embed,) = body.pop("embeds")
    assert body == {
        "content": "c firing",
        "username": "bot",
        "avatar_url": "http://a",
        "allowed_mentions": {"parse": []},
    }
    assert (embed["title"], embed["color"]) == ("[FIRING:2] Down (shop)", 0x992D22)
    assert embed["description"].startswith("\nAlerts Firing:\nLabels:\n - alertname = Down\n")
    (body,) = deliver(integration("discord", webhook_url="{url}"), new_notification(new_alert(resolved=True))).bodies
    assert (body["content"], body["embeds"][0]["color"]) == ("", 0x2ECC71)


def test_discord_takes_no_longer_ones(deliver, integration, new_notification):
    config = integration(
        "discord", webhook_url="{url}", title="x" * 999, message="y" * 9_999, content="@here " + "z" * 9_999
    )
    (body,) = deliver(config, new_notification()).bodies
    (embed,) = body["embeds"]
    assert (len(embed["title"]), len(embed["description"]), len(body["content"])) == (256, 4_096, 2_000)
    assert "allowed_mentions" not in body


def test_discord_says_in_its_answer_how_long_to_wait(deliver, integration, new_notification, server, answer):
    fake = server(answer(429, body='{"message": "You are being rate limited.", "retry_after": 1.5, "global": false}'))
    with pytest.raises(DeliveryError) as raised:
        deliver(integration("discord", webhook_url="{url}"), new_notification(), fake)
    assert (raised.value.retry, raised.value.retry_after_s) == (True, 1.5)


def test_teams(deliver, integration, new_notification):
    (body,) = deliver(integration("msteams", webhook_url="{url}"), new_notification()).bodies
    assert body.pop("text").startswith("\n# Alerts Firing:\n\nLabels:\n  - alertname = Down\n")
    assert body == {
        "@context": "http://schema.org/extensions",
        "type": "MessageCard",
        "title": "[FIRING:2] Down (shop)",
        "summary": "[FIRING:2] Down (shop)",
        "themeColor": "8C1A1A",
    }


def test_teams_by_a_workflow(deliver, integration, new_notification, new_alert, server, answer):
    message = new_notification(new_alert(resolved=True))
    (body,) = deliver(integration("msteamsv2", webhook_url="{url}"), message, server(answer(202))).bodies
    (attachment,) = body.pop("attachments")
    assert body == {"type": "message"}
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    title, text = attachment["content"]["body"]
    assert (title["text"], title["color"], text["wrap"]) == ("[RESOLVED] Down", "Good", True)
    assert "# Alerts Resolved:" in text["text"]


def test_teams_takes_no_longer_ones(deliver, integration, new_notification):
    for kind in ("msteams", "msteamsv2"):
        (body,) = deliver(integration(kind, webhook_url="{url}", text="é" * 30_000), new_notification()).bodies
        assert len(str(body).encode()) < 28_000


@pytest.mark.parametrize(
    ("text", "retry"),
    [
        ("Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with …", True),
        ("Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 403 with …", False),
    ],
)
def test_teams_refuses_with_a_200(deliver, integration, new_notification, server, answer, text, retry):
    fake = server(answer(200, body=text.replace("…", "x")))
    with pytest.raises(DeliveryError, match="Teams answered") as raised:
        deliver(integration("msteams", webhook_url="{url}"), new_notification(), fake)
    assert raised.value.retry is retry


TELEGRAM = {"api_url": "{url}", "bot_token": "b", "chat_id": 42}


def test_telegram(deliver, integration, new_notification, new_alert):
    fake = deliver(
        integration("telegram", TELEGRAM, message_thread_id=7, disable_notifications=True),
        new_notification(new_alert(x="<b>&</b>")),
    )
    ((line, _, body),) = fake.requests
    assert line == "POST /hook/botb/sendMessage HTTP/1.1"
    text = body.pop("text")
    assert text.startswith("Alerts Firing:\nLabels:\n - alertname = Down\n - x = &lt;b&gt;&amp;&lt;/b&gt;\n")
    assert body == {
        "chat_id": "42",
        "message_thread_id": "7",
        "disable_notification": "true",
        "disable_web_page_preview": "true",
        "parse_mode": "HTML",
    }


def test_telegram_takes_no_longer_ones(deliver, integration, new_notification):
    for message, expected in (
        ("&amp;" * 2_000, 4_096),
        ("{{ safeHtml `<b>` }}" + "x" * 5_000, len('[FIRING] {}:{alertname="Down"}: 2 alerts')),
    ):
        (body,) = deliver(integration("telegram", TELEGRAM, message=message), new_notification()).bodies
        assert expected - 5 <= len(body["text"]) <= expected
        assert not body["text"].rstrip("…").endswith(("&", "&a", "&am", "&amp"))


def test_telegram_says_in_its_answer_how_long_to_wait(deliver, integration, new_notification, server, answer, tmp_path):
    (tmp_path / "chat").write_text("-100\n")
    section = {"api_url": "{url}", "bot_token": "b", "chat_id_file": str(tmp_path / "chat"), "parse_mode": ""}
    fake = server(answer(429, body='{"ok":false,"error_code":429,"parameters":{"retry_after":9}}'))
    with pytest.raises(DeliveryError) as raised:
        deliver(integration("telegram", section), new_notification(), fake)
    assert (raised.value.retry_after_s, fake.bodies[0]["chat_id"], "parse_mode" in fake.bodies[0]) == (
        9.0,
        "-100",
        False,
    )
    with pytest.raises(DeliveryError, match="Telegram answered"):
        deliver(integration("telegram", section), new_notification(), server(answer(200, body='{"ok":false}')))


def test_mattermost(deliver, integration, new_notification):
    config = integration("mattermost", webhook_url="{url}", channel="town", fields=[{"title": "a", "value": "b"}])
    (body,) = deliver(config, new_notification()).bodies
    (attachment,) = body.pop("attachments")
    assert body == {"channel": "town", "username": "Alertmanager"}
    assert attachment.pop("text").startswith("\n# Alerts Firing:")
    assert attachment == {
        "fallback": "[FIRING:2] Down (shop) | http://monitor/#/alerts?receiver=team",
        "color": "danger",
        "title": "[FIRING:2] Down (shop)",
        "title_link": "http://monitor/#/alerts?receiver=team",
        "fields": [{"title": "a", "value": "b", "short": False}],
    }


def test_mattermost_with_all_of_it(deliver, integration, new_notification):
    config = integration(
        "mattermost",
        webhook_url="{url}",
        attachments=[
            {"text": "{{ .Status }}"},
            {"text": "two", "fields": [{"title": "t", "value": "v", "short": True}]},
        ],
        props={"card": "{{ .Receiver }}"},
        priority={"priority": "important", "requested_ack": True, "persistent_notifications": True},
        type="custom",
    )
    (body,) = deliver(config, new_notification()).bodies
    assert body == {
        "username": "Alertmanager",
        "type": "custom",
        "attachments": [{"text": "firing"}, {"text": "two", "fields": [{"title": "t", "value": "v", "short": True}]}],
        "props": {"card": "team"},
        "priority": {"priority": "important", "requested_ack": True, "persistent_notifications": False},
    }


def test_rocketchat(deliver, integration, new_notification, server, answer):
    section = {"api_url": "{url}", "channel": "#rc", "token": "t", "token_id": "id", "text": "x"}
    fake = deliver(
        integration("rocketchat", section, fields=[{"title": "a", "value": "b"}]),
        new_notification(),
        server(answer(200, body='{"success":true}')),
    )
    ((line, headers, body),) = fake.requests
    assert line == "POST /hook/api/v1/chat.postMessage HTTP/1.1"
    assert (headers["x-auth-token"], headers["x-user-id"]) == ("t", "id")
    (attachment,) = body.pop("attachments")
    assert body == {"channel": "#rc"}
    assert (attachment["title"], attachment["color"]) == ("[FIRING:2] Down (shop)", "red")
    assert attachment["fields"] == [{"title": "a", "value": "b", "short": False}]
    with pytest.raises(DeliveryError, match=r"Rocket\.Chat answered"):
        deliver(integration("rocketchat", section), new_notification(), server(answer(200, body='{"success":false}')))


def test_webex(deliver, integration, new_notification):
    config = integration(
        "webex",
        api_url="{url}",
        room_id="{{ .CommonLabels.job }}",
        message="é" * 5_000,
        http_config={"authorization": {"credentials": "t"}},
    )
    ((_, headers, body),) = deliver(config, new_notification()).requests
    assert (headers["authorization"], body["roomId"]) == ("Bearer t", "shop")
    assert len(body["markdown"].encode()) <= 7_000


def test_wechat(deliver, integration, new_notification, server, answer):
    section = {"api_url": "{url}", "api_secret": "s", "corp_id": "c", "to_party": "1", "agent_id": "2"}
    fake = server(answer(200, body='{"errcode":0}'), [answer(200, body='{"errcode":0,"access_token":"tok"}')])
    deliver(integration("wechat", section), new_notification(), fake)
    (asked, _, _), (sent, _, body) = fake.requests
    assert asked == "POST /hook/gettoken?corpid=c&corpsecret=s HTTP/1.1"
    assert sent == "POST /hook/message/send?access_token=tok HTTP/1.1"
    assert (body["toparty"], body["agentid"], body["msgtype"]) == ("1", "2", "text")
    assert "Alerts Firing:" in body["text"]["content"]
    with pytest.raises(DeliveryError, match="45009") as raised:
        fake = server(answer(200, body='{"errcode":45009,"errmsg":"api freq out of limit"}'))
        deliver(integration("wechat", section), new_notification(), fake)
    assert raised.value.retry
