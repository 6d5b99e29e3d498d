"""The Rocket.Chat receiver: a message with one attachment, by the token of a user."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from trackside.exceptions import DeliveryError
from trackside.model.alerts import ChartImage, Notification
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.delivery import Request, excerpt, post
from trackside.server.receivers.fields import Flag, SecretText, Template, WebUrl, joined, only_one
from trackside.server.receivers.http_config import NO_SECRET
from trackside.server.receivers.illustrations import Picture
from trackside.server.receivers.integration import ClientFor, Integration, IntegrationConfig
from trackside.server.receivers.lengths import cut
from trackside.server.receivers.secret import Secret
from trackside.server.receivers.templates import NotificationTexts
from trackside.server.schema import Section, Text

MAX_TITLE = 1_024
MAX_TEXT = 5_000
"""What a server takes as it comes; others are set to take more."""
PATH = "api/v1/chat.postMessage"


class RocketchatField(Section):
    title: Template = ""
    value: Template = ""
    short: Flag | None = None


class RocketchatAction(Section):
    type: Template = ""
    text: Template = ""
    url: Template = ""


class RocketchatConfig(IntegrationConfig):
    send_resolved: Flag = False
    api_url: WebUrl | None = None
    token: SecretText = NO_SECRET
    token_file: Text = ""
    token_id: SecretText = NO_SECRET
    """The id of the user."""
    token_id_file: Text = ""
    channel: Template = ""
    color: Template = '{{ if eq .Status "firing" }}red{{ else }}green{{ end }}'
    title: Template = '{{ template "rocketchat.default.title" . }}'
    title_link: Template = '{{ template "rocketchat.default.titlelink" . }}'
    text: Template = '{{ template "rocketchat.default.text" . }}'
    fields: tuple[RocketchatField, ...] = ()
    short_fields: Flag = False
    emoji: Template = '{{ template "rocketchat.default.emoji" . }}'
    icon_url: Template = '{{ template "rocketchat.default.iconurl" . }}'
    image_url: Template = ""
    thumb_url: Template = ""
    link_names: Flag = False
    actions: tuple[RocketchatAction, ...] = ()

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        only_one(self, "token", "token_file")
        only_one(self, "token_id", "token_id_file")
        return self

    def filled(self, defaults: NotificationDefaults) -> Self:
        changes: dict[str, object] = {"api_url": self.api_url or defaults.rocketchat_api_url}
        for name in ("token_id", "token"):
            changes |= defaults.secret_for(self, "rocketchat", name)
        return super().filled(defaults).model_copy(update=changes)


class Rocketchat(Integration[RocketchatConfig]):
    picture = Picture.LINKED

    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        config = self._config
        headers = {
            "X-Auth-Token": await Secret(config.token, config.token_file).read(),
            "X-User-Id": await Secret(config.token_id, config.token_id_file).read(),
        }
        body = message(config, self._templates.texts(notification), notification.chart)
        url = joined(str(config.api_url), PATH)
        answer = await post(client_for, Request.of_json(url, body, config.http, headers))
        if answer.json().get("success") is False:
            raise DeliveryError(f"Rocket.Chat answered: {excerpt(answer.text)}", retry=False)
        return ""


def message(config: RocketchatConfig, texts: NotificationTexts, chart: ChartImage | None = None) -> dict[str, object]:
    attachment: dict[str, object] = {
        "title": cut(texts.render(config.title, texts.plain), MAX_TITLE),
        "title_link": texts.render(config.title_link),
        "text": texts.shortest(MAX_TEXT, lambda texts: texts.render(config.text)),
        "image_url": texts.render(config.image_url) or (chart.url if chart is not None else ""),
        "thumb_url": texts.render(config.thumb_url),
        "color": texts.render(config.color),
        "fields": [
            {
                "title": texts.render(field.title),
                "value": texts.render(field.value),
                "short": config.short_fields if field.short is None else field.short,
            }
            for field in config.fields
        ],
        "actions": [
            {"type": texts.render(one.type), "text": texts.render(one.text), "url": texts.render(one.url)}
            for one in config.actions
        ],
    }
    body: dict[str, object] = {
        "channel": texts.render(config.channel),
        "emoji": texts.render(config.emoji),
        "avatar": texts.render(config.icon_url),
        "attachments": [{name: value for name, value in attachment.items() if value}],
        "parseUrls": config.link_names,
    }
    return {name: value for name, value in body.items() if value}
