"""The Slack receiver: a message with one attachment, to an incoming webhook.

Unlike Alertmanager's it also tells the end of an alert unless `send_resolved` is false, and has a default text: people
who read that something is broken want to read what, and that it is over.
"""

from __future__ import annotations

import json
import re
from typing import Annotated

import httpx
from pydantic import AfterValidator, Field, field_validator, model_validator

from trackside.exceptions import DeliveryError
from trackside.model.alerts import Notification
from trackside.server.receivers.delivery import Request, Secret, post
from trackside.server.receivers.http_config import HttpConfig
from trackside.server.receivers.templates import NotificationTemplates, NotificationTexts, checked_template
from trackside.server.schema import DurationMs, Section

KIND = "slack"
_ERROR_WORD = re.compile(r"[a-z]+(?:_[a-z]+)*")
"""Such as no_service or channel_not_found."""
MAX_TITLE = 1_024
MAX_TEXT = 8_000
"""Slack refuses messages that are much longer, and nobody reads them."""

Template = Annotated[str, AfterValidator(checked_template)]


class SlackField(Section):
    title: Template
    value: Template
    short: bool | None = None
    """None: as `short_fields` says."""


class SlackAction(Section):
    """A button that opens `url`."""

    type: Template = "button"
    text: Template
    url: Template
    style: Template = ""


class SlackConfig(Section):
    api_url: str | None = Field(default=None, repr=False)
    """Slack's address of the incoming webhook: whoever knows it can post."""
    api_url_file: str | None = None
    send_resolved: bool = True
    channel: Template = ""
    username: Template = '{{ template "slack.default.username" . }}'
    icon_emoji: Template = '{{ template "slack.default.iconemoji" . }}'
    icon_url: Template = '{{ template "slack.default.iconurl" . }}'
    title: Template = '{{ template "slack.default.title" . }}'
    title_link: Template = '{{ template "slack.default.titlelink" . }}'
    pretext: Template = '{{ template "slack.default.pretext" . }}'
    text: Template = '{{ template "slack.default.text" . }}'
    fallback: Template = '{{ template "slack.default.fallback" . }}'
    color: Template = '{{ template "slack.default.color" . }}'
    footer: Template = '{{ template "slack.default.footer" . }}'
    fields: tuple[SlackField, ...] = ()
    short_fields: bool = False
    actions: tuple[SlackAction, ...] = ()
    message_text: Template = ""
    """Text of the message itself, above the attachment."""
    mrkdwn_in: tuple[str, ...] = ("fallback", "pretext", "text")
    link_names: bool = False
    timeout: DurationMs = 10_000
    http_config: HttpConfig = Field(default_factory=HttpConfig)

    @field_validator("api_url")
    @classmethod
    def _web_address(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("expected the URL of an incoming webhook, https://…")
        return url

    @model_validator(mode="after")
    def _one_url(self) -> SlackConfig:
        if (self.api_url is None) == (self.api_url_file is None):
            raise ValueError("expected either `api_url` or `api_url_file`")
        return self


class Slack:
    kind = KIND

    def __init__(self, config: SlackConfig, templates: NotificationTemplates) -> None:
        self._config = config
        self._templates = templates
        self.send_resolved = config.send_resolved

    async def send(self, notification: Notification, client: httpx.AsyncClient) -> None:
        config = self._config
        url = await Secret(config.api_url, config.api_url_file).read()
        body = message(config, self._templates.texts(notification), notification)
        answer = await post(client, Request(url, body, config.http_config, timeout_s=(config.timeout or 10_000) / 1000))
        check_answer(answer)


def check_answer(text: str) -> None:
    """Slack says 200 to some messages that it does not take.

    Raises:
        DeliveryError: it did not take this one.
    """
    error = text if _ERROR_WORD.fullmatch(text) and text != "ok" else ""
    if text.startswith("{"):
        try:
            answer = json.loads(text)
        except ValueError:
            return
        if answer.get("ok") is False:
            error = str(answer.get("error") or "not ok")
    if error:
        raise DeliveryError(f"Slack answered: {error[:100]}", retry="rate" in error and "limit" in error)


def message(config: SlackConfig, texts: NotificationTexts, notification: Notification) -> dict[str, object]:
    body: dict[str, object] = {
        "channel": texts.render(config.channel),
        "username": texts.render(config.username),
        "icon_emoji": texts.render(config.icon_emoji),
        "icon_url": texts.render(config.icon_url),
        "text": texts.render(config.message_text),
        "link_names": config.link_names,
        "attachments": [_attachment(config, texts, notification)],
    }
    return {name: value for name, value in body.items() if value}


def _attachment(config: SlackConfig, texts: NotificationTexts, notification: Notification) -> dict[str, object]:
    # Should every text fail, this still says what it is about.
    plain = f"[{notification.status.upper()}] {notification.group_key}"
    attachment: dict[str, object] = {
        "title": _cut(texts.render(config.title, plain), MAX_TITLE),
        "title_link": texts.render(config.title_link),
        "pretext": texts.render(config.pretext),
        "text": _cut(texts.render(config.text), MAX_TEXT),
        "fallback": _cut(texts.render(config.fallback, plain), MAX_TITLE),
        "color": texts.render(config.color),
        "footer": texts.render(config.footer),
        "fields": [_field(one, config.short_fields, texts) for one in config.fields],
        "actions": [_action(one, texts) for one in config.actions],
        "mrkdwn_in": list(config.mrkdwn_in),
    }
    return {name: value for name, value in attachment.items() if value or name in ("title", "text", "fallback")}


def _field(one: SlackField, short: bool, texts: NotificationTexts) -> dict[str, object]:
    return {
        "title": texts.render(one.title),
        "value": texts.render(one.value),
        "short": short if one.short is None else one.short,
    }


def _action(one: SlackAction, texts: NotificationTexts) -> dict[str, str]:
    parts = {"type": one.type, "text": one.text, "url": one.url, "style": one.style}
    return {name: text for name, template in parts.items() if (text := texts.render(template))}


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
