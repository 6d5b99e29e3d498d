"""The Webex receiver: a message of a bot to a room."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from trackside.model.alerts import Notification
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.delivery import Request, post
from trackside.server.receivers.fields import Template, WebUrl
from trackside.server.receivers.integration import ClientFor, IntegrationConfig
from trackside.server.receivers.slack_parts import cut
from trackside.server.receivers.templates import NotificationTemplates

MAX_TEXT = 7_000
"""Webex takes 7439 bytes."""


class WebexConfig(IntegrationConfig):
    api_url: WebUrl | None = None
    message: Template = '{{ template "webex.default.message" . }}'
    room_id: Template = Field(min_length=1)

    @model_validator(mode="after")
    def _logged_in(self) -> Self:
        if self.http_config is None or self.http_config.authorization is None:
            raise ValueError("expected http_config.authorization with the token of the bot")
        return self

    def filled(self, defaults: NotificationDefaults) -> Self:
        return super().filled(defaults).model_copy(update={"api_url": self.api_url or defaults.webex_api_url})


class Webex:
    kind = "webex"

    def __init__(self, config: WebexConfig, templates: NotificationTemplates) -> None:
        self._config = config
        self._templates = templates
        self.send_resolved = config.send_resolved

    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        config, texts = self._config, self._templates.texts(notification)
        plain = f"[{notification.status.upper()}] {notification.group_key}"
        text = texts.render(config.message).strip() or plain
        while len(text.encode("utf-8", "replace")) > MAX_TEXT:
            text = cut(text, len(text) * 3 // 4)
        body = {"markdown": text, "roomId": texts.required(config.room_id)}
        await post(client_for, Request.of_json(str(config.api_url), body, config.http))
        return ""
