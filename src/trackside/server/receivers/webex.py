"""The Webex receiver: a message of a bot to a room."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from trackside.model.alerts import Notification
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.delivery import Request, post
from trackside.server.receivers.fields import Template, WebUrl
from trackside.server.receivers.illustrations import Picture
from trackside.server.receivers.integration import ClientFor, Integration, IntegrationConfig
from trackside.server.receivers.lengths import fitting, utf8_bytes

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


class Webex(Integration[WebexConfig]):
    picture = Picture.LINKED

    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        config, texts = self._config, self._templates.texts(notification)
        text = texts.shortest(MAX_TEXT, lambda texts: texts.render(config.message), utf8_bytes).strip() or texts.plain
        fits = fitting(text, MAX_TEXT, utf8_bytes)
        body: dict[str, object] = {"markdown": fits, "roomId": texts.required(config.room_id)}
        if notification.chart is not None:
            body["files"] = [notification.chart.url]
        await post(client_for, Request.of_json(str(config.api_url), body, config.http))
        return ""
