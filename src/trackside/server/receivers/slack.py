"""The Slack receiver: a message with one attachment, to an incoming webhook or by the token of an app."""

from __future__ import annotations

import json
import re
from typing import Self

from pydantic import SecretStr, model_validator

from trackside.exceptions import DeliveryError
from trackside.model.alerts import ChartImage, Notification
from trackside.server.receivers.defaults import SLACK_APP_URL, NotificationDefaults
from trackside.server.receivers.delivery import Answer, Request, excerpt, post
from trackside.server.receivers.fields import Flag, GoDurationMs, SecretText, SecretUrl, Template, WebUrl, only_one
from trackside.server.receivers.http_config import NO_SECRET, Authorization, HttpConfig
from trackside.server.receivers.illustrations import Picture
from trackside.server.receivers.integration import ClientFor, Integration, IntegrationConfig
from trackside.server.receivers.lengths import cut
from trackside.server.receivers.secret import Secret
from trackside.server.receivers.slack_parts import SlackAction, SlackField, action, field
from trackside.server.receivers.templates import NotificationTexts
from trackside.server.schema import Text

MAX_TITLE = 1_024
MAX_TEXT = 8_000
"""Slack refuses messages that are much longer, and nobody reads them."""
MAX_ALT = 2_000
UPDATE_PATH = "chat.update"

_ERROR_WORD = re.compile(r"[a-z]+(?:_[a-z]+)*")
"""Such as no_service or channel_not_found."""
_ALWAYS = ("text", "fallback", "callback_id", "footer")
"""Parts of an attachment that Alertmanager sends even when they are empty."""


class SlackConfig(IntegrationConfig):
    send_resolved: Flag = False
    api_url: SecretUrl = NO_SECRET
    """Slack's address of the incoming webhook: whoever knows it can post."""
    api_url_file: Text = ""
    app_token: SecretText = NO_SECRET
    app_token_file: Text = ""
    app_url: WebUrl | None = None
    update_message: Flag = False
    """Change the message about a group instead of sending another. Only an app can."""
    channel: Template = ""
    username: Template = '{{ template "slack.default.username" . }}'
    color: Template = '{{ template "slack.default.color" . }}'
    title: Template = '{{ template "slack.default.title" . }}'
    title_link: Template = '{{ template "slack.default.titlelink" . }}'
    pretext: Template = '{{ template "slack.default.pretext" . }}'
    text: Template = '{{ template "slack.default.text" . }}'
    message_text: Template = ""
    """Text of the message itself, above the attachment."""
    fields: tuple[SlackField, ...] = ()
    short_fields: Flag = False
    footer: Template = '{{ template "slack.default.footer" . }}'
    fallback: Template = '{{ template "slack.default.fallback" . }}'
    callback_id: Template = '{{ template "slack.default.callbackid" . }}'
    icon_emoji: Template = '{{ template "slack.default.iconemoji" . }}'
    icon_url: Template = '{{ template "slack.default.iconurl" . }}'
    image_url: Template = ""
    thumb_url: Template = ""
    link_names: Flag = False
    mrkdwn_in: tuple[Text, ...] = ()
    actions: tuple[SlackAction, ...] = ()
    timeout: GoDurationMs = 0

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        only_one(self, "api_url", "api_url_file")
        only_one(self, "app_token", "app_token_file")
        if (self.api_url or self.api_url_file) and (self.app_token or self.app_token_file):
            raise ValueError("expected at most one of api_url and app_token")
        if self.update_message and self.api_url and self.api_url.get_secret_value() != SLACK_APP_URL:
            raise ValueError(f"update_message is for apps: api_url must be {SLACK_APP_URL}, or app_token be given")
        return self

    def filled(self, defaults: NotificationDefaults) -> Self:
        changes: dict[str, object] = {"app_url": self.app_url or defaults.slack_app_url}
        if self.api_url or self.api_url_file or self.app_token or self.app_token_file:
            pass
        elif (defaults.slack_app_token or defaults.slack_app_token_file) and not self._logs_in_itself:
            changes |= {"app_token": defaults.slack_app_token, "app_token_file": defaults.slack_app_token_file}
        elif defaults.slack_api_url or defaults.slack_api_url_file:
            changes |= {"api_url": defaults.slack_api_url, "api_url_file": defaults.slack_api_url_file}
        else:
            raise ValueError("expected api_url, api_url_file, app_token or app_token_file, here or in `global`")
        made = super().filled(defaults).model_copy(update=changes)
        if (made.app_token or made.app_token_file) and made.http.authorization is not None:
            raise ValueError("an app_token logs in by itself: take http_config.authorization out")
        return made

    @property
    def _logs_in_itself(self) -> bool:
        return self.http_config is not None and self.http_config.authorization is not None

    @property
    def by_app(self) -> bool:
        return bool(self.app_token or self.app_token_file)

    @property
    def asked(self) -> HttpConfig:
        """With the token of the app."""
        if not self.by_app:
            return self.http
        login = Authorization(credentials=self.app_token, credentials_file=self.app_token_file)
        return self.http.model_copy(update={"authorization": login})

    @property
    def address(self) -> Secret:
        if self.by_app:
            return Secret(SecretStr(self.app_url or SLACK_APP_URL))
        return Secret(self.api_url, self.api_url_file)


class Slack(Integration[SlackConfig]):
    picture = Picture.LINKED

    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        config = self._config
        url = await config.address.read()
        body = message(config, self._templates.texts(notification), notification.chart)
        found = await self._changed(client_for, url, body, notification.thread)
        if not found:
            found = await self._ask(client_for, url, body)
        # What is over is over: the next outage gets a message of its own, which is seen.
        return found if notification.status == "firing" else ""

    async def _changed(self, client_for: ClientFor, url: str, body: dict[str, object], message: str) -> str:
        """Change the last message; "" if there is none."""
        channel, _, moment = message.partition("/")
        if not (self._config.update_message and moment):
            return ""
        try:
            address = f"{url.rpartition('/')[0]}/{UPDATE_PATH}"
            return await self._ask(client_for, address, {**body, "channel": channel, "ts": moment}) or message
        except DeliveryError as error:
            # It was taken away, or is too old to be changed: tell it anew.
            if error.retry:
                raise
        return ""

    async def _ask(self, client_for: ClientFor, url: str, body: dict[str, object]) -> str:
        config = self._config
        answer = await post(client_for, Request.of_json(url, body, config.asked, timeout_ms=config.timeout))
        check_answer(answer.text)
        return thread(answer) if config.update_message else ""


def thread(answer: Answer) -> str:
    """Where a message stands, by which it can be changed: channel and time."""
    told = answer.json()
    channel, moment = told.get("channel"), told.get("ts")
    return f"{channel}/{moment}" if isinstance(channel, str) and isinstance(moment, str) else ""


def check_answer(text: str) -> None:
    """Slack says 200 to some messages that it does not take.

    Raises:
        DeliveryError: it did not take this one.
    """
    said = text.strip()
    error = said if _ERROR_WORD.fullmatch(said) and said != "ok" else ""
    if said.startswith("{"):
        try:
            answer = json.loads(said)
        except ValueError:
            return
        if answer.get("ok") is False:
            error = str(answer.get("error") or "not ok")
    if error:
        raise DeliveryError(f"Slack answered: {excerpt(error)[:100]}", retry="rate" in error and "limit" in error)


def message(config: SlackConfig, texts: NotificationTexts, chart: ChartImage | None = None) -> dict[str, object]:
    attachments = [_attachment(config, texts)]
    if chart is not None and not config.image_url:
        attachments.append(_picture(chart, texts.render(config.color)))
    body: dict[str, object] = {
        "channel": texts.render(config.channel),
        "username": texts.render(config.username),
        "icon_emoji": texts.render(config.icon_emoji),
        "icon_url": texts.render(config.icon_url),
        "text": texts.render(config.message_text),
        "link_names": config.link_names,
        "attachments": attachments,
    }
    return {name: value for name, value in body.items() if value}


def _picture(chart: ChartImage, color: str) -> dict[str, object]:
    """A block, since the `image_url` of an attachment has no words for who cannot see it."""
    block = {"type": "image", "image_url": chart.url, "alt_text": cut(chart.alt, MAX_ALT)}
    return {"color": color, "fallback": cut(chart.alt, MAX_ALT), "blocks": [block]}


def _attachment(config: SlackConfig, texts: NotificationTexts) -> dict[str, object]:
    attachment: dict[str, object] = {
        "title": cut(texts.render(config.title, texts.plain), MAX_TITLE),
        "title_link": texts.render(config.title_link),
        "pretext": texts.render(config.pretext),
        "text": cut(texts.shortest(MAX_TEXT, lambda texts: texts.render(config.text)), MAX_TEXT),
        "fallback": cut(texts.render(config.fallback, texts.plain), MAX_TITLE),
        "callback_id": texts.render(config.callback_id),
        "image_url": texts.render(config.image_url),
        "thumb_url": texts.render(config.thumb_url),
        "footer": texts.render(config.footer),
        "color": texts.render(config.color),
        "fields": [field(one, config.short_fields, texts) for one in config.fields],
        "actions": [action(one, texts) for one in config.actions],
        "mrkdwn_in": list(config.mrkdwn_in) or ["fallback", "pretext", "text"],
    }
    return {name: value for name, value in attachment.items() if value or name in _ALWAYS}
