"""The Telegram receiver: a message of a bot to a chat."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import Self

from pydantic import model_validator

from trackside.exceptions import DeliveryError
from trackside.model.alerts import Notification
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.delivery import Request, excerpt, post
from trackside.server.receivers.fields import Flag, Number, SecretText, Template, WebUrl, joined, only_one
from trackside.server.receivers.form import File, multipart
from trackside.server.receivers.http_config import NO_SECRET
from trackside.server.receivers.illustrations import Picture
from trackside.server.receivers.integration import ClientFor, Integration, IntegrationConfig
from trackside.server.receivers.lengths import cut
from trackside.server.receivers.secret import Secret, read_file
from trackside.server.schema import Text

MAX_TEXT = 4_096
MAX_CAPTION = 1_024
"""Of a photo: characters that are seen."""
_TAG = re.compile(r"<[^>]*>")
_CUT_ENTITY = re.compile(r"&[^;\s]*\Z")
PARSE_MODES = ("", "Markdown", "MarkdownV2", "HTML")


class TelegramConfig(IntegrationConfig):
    api_url: WebUrl | None = None
    bot_token: SecretText = NO_SECRET
    bot_token_file: Text = ""
    chat_id: Number = 0
    chat_id_file: Text = ""
    message_thread_id: Number = 0
    """A topic of a group."""
    message: Template = '{{ template "telegram.default.message" . }}'
    disable_notifications: Flag = False
    parse_mode: Text = "HTML"

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        only_one(self, "bot_token", "bot_token_file")
        only_one(self, "chat_id", "chat_id_file")
        if not (self.chat_id or self.chat_id_file):
            raise ValueError("expected a chat_id or a chat_id_file")
        if self.parse_mode not in PARSE_MODES:
            raise ValueError(f"parse_mode: expected Markdown, MarkdownV2, HTML or nothing, found {self.parse_mode!r}")
        return self

    def filled(self, defaults: NotificationDefaults) -> Self:
        changes: dict[str, object] = {"api_url": self.api_url or defaults.telegram_api_url}
        changes |= defaults.secret_for(self, "telegram", "bot_token")
        return super().filled(defaults).model_copy(update=changes)


class Telegram(Integration[TelegramConfig]):
    picture = Picture.ATTACHED

    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        config = self._config
        token = await Secret(config.bot_token, config.bot_token_file).read()
        chat, text, chart = await self._chat(), self._text(notification), notification.chart
        if chart is not None and visible(text, config.parse_mode) > MAX_CAPTION:
            # Two messages could not be told at once, and one of them would be repeated if the other fails.
            text, chart = self._text(replace(notification, chart=None)), None
        url = joined(str(config.api_url), f"bot{token}/{'sendMessage' if chart is None else 'sendPhoto'}")
        # Numbers are texts in this API's forms, and so in Alertmanager's JSON.
        body: dict[str, str] = {"chat_id": chat, "text" if chart is None else "caption": text}
        if chart is None:
            body["disable_web_page_preview"] = "true"
        if config.message_thread_id:
            body["message_thread_id"] = str(config.message_thread_id)
        if config.disable_notifications:
            body["disable_notification"] = "true"
        if config.parse_mode:
            body["parse_mode"] = config.parse_mode
        request = Request.of_json(url, body, config.http)
        if chart is not None:
            content, kind = multipart({**body, "photo": File("chart.png", chart.png)})
            request = replace(request, body=content, content_type=kind)
        answer = await post(client_for, request)
        if answer.json().get("ok") is False:
            raise DeliveryError(f"Telegram answered: {excerpt(answer.text)}", retry=False)
        return ""

    async def _chat(self) -> str:
        if self._config.chat_id_file:
            return (await read_file(self._config.chat_id_file)).strip()
        return str(self._config.chat_id)

    def _text(self, notification: Notification) -> str:
        texts, config = self._templates.texts(notification), self._config
        is_html = config.parse_mode == "HTML"
        if texts.ours and is_html:
            text = texts.shortest(MAX_TEXT, lambda texts: texts.html(config.message))
        else:
            text = texts.html(config.message) if is_html else texts.render(config.message)
        if len(text) <= MAX_TEXT:
            return text.strip() or texts.plain
        # To cut within a tag makes a message that Telegram refuses; within an entity too.
        if "<" in text[:MAX_TEXT]:
            return f"{texts.plain}: {len(notification.alerts)} alerts"
        return cut(_CUT_ENTITY.sub("", text[: MAX_TEXT - 1]) + "…", MAX_TEXT)


def visible(text: str, parse_mode: str) -> int:
    """How long it is to Telegram, which counts as JavaScript does, and no tags."""
    seen = unescape(_TAG.sub("", text)) if parse_mode == "HTML" else text
    return len(seen.encode("utf-16-le", "replace")) // 2
