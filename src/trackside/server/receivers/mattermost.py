"""The Mattermost receiver: a message with attachments, to an incoming webhook."""

from __future__ import annotations

from functools import partial
from typing import Self

from pydantic import Field, model_validator

from trackside.model.alerts import ChartImage, Notification
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.delivery import Request, post
from trackside.server.receivers.fields import Flag, SecretUrl, Template, only_one
from trackside.server.receivers.http_config import NO_SECRET
from trackside.server.receivers.illustrations import Picture
from trackside.server.receivers.integration import ClientFor, Integration, IntegrationConfig
from trackside.server.receivers.lengths import cut
from trackside.server.receivers.secret import Secret
from trackside.server.receivers.templates import NotificationTexts
from trackside.server.schema import Section, Text

MAX_TEXT = 16_000


class MattermostField(Section):
    title: Template = Field(min_length=1)
    value: Template = Field(min_length=1)
    short: Flag | None = None


class MattermostAttachment(Section):
    fallback: Template = ""
    color: Template = ""
    pretext: Template = ""
    text: Template = ""
    author_name: Template = ""
    author_link: Template = ""
    author_icon: Template = ""
    title: Template = ""
    title_link: Template = ""
    fields: tuple[MattermostField, ...] = ()
    thumb_url: Template = ""
    footer: Template = ""
    footer_icon: Template = ""
    image_url: Template = ""


class MattermostProps(Section):
    card: Template = ""


class MattermostPriority(Section):
    priority: Template = ""
    requested_ack: Flag = False
    persistent_notifications: Flag = False


class MattermostConfig(IntegrationConfig):
    webhook_url: SecretUrl = NO_SECRET
    webhook_url_file: Text = ""
    channel: Template = ""
    username: Template = '{{ template "mattermost.default.username" . }}'
    text: Template = '{{ template "mattermost.default.text" . }}'
    fallback: Template = '{{ template "mattermost.default.fallback" . }}'
    color: Template = '{{ template "mattermost.default.color" . }}'
    pretext: Template = ""
    author_name: Template = ""
    author_link: Template = ""
    author_icon: Template = ""
    title: Template = '{{ template "mattermost.default.title" . }}'
    title_link: Template = '{{ template "mattermost.default.titlelink" . }}'
    fields: tuple[MattermostField, ...] = ()
    thumb_url: Template = ""
    footer: Template = ""
    footer_icon: Template = ""
    image_url: Template = ""
    icon_url: Template = ""
    icon_emoji: Template = ""
    attachments: tuple[MattermostAttachment, ...] = ()
    """In place of the one that the keys above describe."""
    type: Template = ""
    props: MattermostProps | None = None
    priority: MattermostPriority | None = None

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        only_one(self, "webhook_url", "webhook_url_file")
        return self

    def filled(self, defaults: NotificationDefaults) -> Self:
        changes = defaults.secret_for(self, "mattermost", "webhook_url")
        return super().filled(defaults).model_copy(update=changes)

    @property
    def all_attachments(self) -> tuple[MattermostAttachment, ...]:
        if self.attachments:
            return self.attachments
        names = MattermostAttachment.model_fields
        return (MattermostAttachment.model_construct(**{name: getattr(self, name) for name in names}),)


class Mattermost(Integration[MattermostConfig]):
    picture = Picture.LINKED

    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        config = self._config
        url = await Secret(config.webhook_url, config.webhook_url_file).read()
        body = message(config, self._templates.texts(notification), notification.chart)
        await post(client_for, Request.of_json(url, body, config.http))
        return ""


def message(config: MattermostConfig, texts: NotificationTexts, chart: ChartImage | None = None) -> dict[str, object]:
    attachments = [_attachment(one, texts) for one in config.all_attachments]
    if chart is not None:
        attachments[0].setdefault("image_url", chart.url)
    body: dict[str, object] = {
        "channel": texts.render(config.channel),
        "username": texts.render(config.username),
        "icon_url": texts.render(config.icon_url),
        "icon_emoji": texts.render(config.icon_emoji),
        "type": texts.render(config.type),
        "attachments": attachments,
    }
    if config.props is not None:
        body["props"] = {"card": texts.render(config.props.card)}
    if config.priority is not None:
        urgency = texts.render(config.priority.priority)
        body["priority"] = {
            "priority": urgency,
            # Mattermost refuses messages that ask for more than their priority allows.
            "requested_ack": config.priority.requested_ack and urgency in ("important", "urgent"),
            "persistent_notifications": config.priority.persistent_notifications and urgency == "urgent",
        }
    return {name: value for name, value in body.items() if value}


def _rendered(template: str, texts: NotificationTexts) -> str:
    return texts.render(template)


def _attachment(one: MattermostAttachment, texts: NotificationTexts) -> dict[str, object]:
    names = [name for name in MattermostAttachment.model_fields if name != "fields"]
    made: dict[str, object] = {
        name: cut(texts.shortest(MAX_TEXT, partial(_rendered, getattr(one, name))), MAX_TEXT) for name in names
    }
    made["fields"] = [
        {"title": texts.render(field.title), "value": texts.render(field.value), "short": bool(field.short)}
        for field in one.fields
    ]
    return {name: value for name, value in made.items() if value}
