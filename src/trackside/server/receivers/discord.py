"""The Discord receiver: a message with one embed, to a webhook of a channel."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from pydantic import model_validator

from trackside.model.alerts import ChartImage, Notification
from trackside.server.receivers.delivery import Request, post
from trackside.server.receivers.fields import SecretUrl, Template, exactly_one
from trackside.server.receivers.form import File, multipart
from trackside.server.receivers.http_config import NO_SECRET
from trackside.server.receivers.illustrations import Picture
from trackside.server.receivers.integration import ClientFor, Integration, IntegrationConfig
from trackside.server.receivers.lengths import cut
from trackside.server.receivers.secret import Secret
from trackside.server.receivers.templates import NotificationTexts
from trackside.server.schema import Text

MAX_TITLE, MAX_DESCRIPTION, MAX_CONTENT = 256, 4_096, 2_000
MAX_ALT = 1_024
FILE = "chart.png"
RED, GREEN = 0x992D22, 0x2ECC71


class DiscordConfig(IntegrationConfig):
    webhook_url: SecretUrl = NO_SECRET
    webhook_url_file: Text = ""
    content: Template = '{{ template "discord.default.content" . }}'
    title: Template = '{{ template "discord.default.title" . }}'
    message: Template = '{{ template "discord.default.message" . }}'
    username: Template = ""
    avatar_url: Template = ""

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        exactly_one(self, "webhook_url", "webhook_url_file")
        return self


class Discord(Integration[DiscordConfig]):
    picture = Picture.ATTACHED

    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        config = self._config
        url = await Secret(config.webhook_url, config.webhook_url_file).read()
        body = message(config, self._templates.texts(notification), notification)
        await post(client_for, _request(url, body, config, notification.chart))
        return ""


def _request(url: str, body: dict[str, object], config: DiscordConfig, chart: ChartImage | None) -> Request:
    plain = Request.of_json(url, body, config.http)
    if chart is None:
        return plain
    parts: dict[str, str | File] = {"payload_json": plain.body.decode(), "files[0]": File(FILE, chart.png)}
    content, kind = multipart(parts)
    return replace(plain, body=content, content_type=kind)


def message(config: DiscordConfig, texts: NotificationTexts, notification: Notification) -> dict[str, object]:
    text = texts.shortest(MAX_DESCRIPTION, lambda texts: texts.render(config.message))
    embed: dict[str, object] = {
        "title": cut(texts.render(config.title, texts.plain), MAX_TITLE),
        "description": cut(text, MAX_DESCRIPTION),
        "color": RED if notification.status == "firing" else GREEN,
    }
    chart = notification.chart
    if chart is not None:
        embed["image"] = {"url": f"attachment://{FILE}"}
    body: dict[str, object] = {
        "content": cut(texts.render(config.content), MAX_CONTENT),
        "embeds": [embed],
        "attachments": [{"id": 0, "filename": FILE, "description": cut(chart.alt, MAX_ALT)}] if chart else None,
        # What an alert says must not wake a whole server.
        "allowed_mentions": {"parse": []} if "@" not in config.content else None,
        "username": texts.render(config.username),
        "avatar_url": texts.render(config.avatar_url),
    }
    return {name: value for name, value in body.items() if value or name == "content"}
