"""Microsoft Teams: cards to the webhook of a connector, and adaptive cards to that of a workflow."""

from __future__ import annotations

import json
from typing import Self

from pydantic import model_validator

from trackside.exceptions import DeliveryError
from trackside.model.alerts import Notification
from trackside.server.receivers.delivery import Answer, Request, excerpt, post
from trackside.server.receivers.fields import SecretUrl, Template, exactly_one
from trackside.server.receivers.http_config import NO_SECRET
from trackside.server.receivers.illustrations import Picture
from trackside.server.receivers.integration import ClientFor, Integration, IntegrationConfig
from trackside.server.receivers.lengths import fitting
from trackside.server.receivers.secret import Secret
from trackside.server.receivers.templates import NotificationTexts
from trackside.server.schema import Text

MAX_TEXT_BYTES = 20_000
"""Teams refuses messages above 28 KB as a whole."""
COLORS = {"firing": ("8C1A1A", "Attention"), "resolved": ("2DC72D", "Good")}


class _TeamsConfig(IntegrationConfig):
    webhook_url: SecretUrl = NO_SECRET
    webhook_url_file: Text = ""

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        exactly_one(self, "webhook_url", "webhook_url_file")
        return self


class MsTeamsConfig(_TeamsConfig):
    title: Template = '{{ template "msteams.default.title" . }}'
    summary: Template = '{{ template "msteams.default.summary" . }}'
    text: Template = '{{ template "msteams.default.text" . }}'


class MsTeamsV2Config(_TeamsConfig):
    title: Template = '{{ template "msteamsv2.default.title" . }}'
    text: Template = '{{ template "msteamsv2.default.text" . }}'


class MsTeams(Integration[MsTeamsConfig]):
    picture = Picture.LINKED

    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        body = card(self._config, self._templates.texts(notification), notification)
        return await _sent(self._config, body, client_for)


class MsTeamsV2(Integration[MsTeamsV2Config]):
    picture = Picture.LINKED

    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        body = adaptive_card(self._config, self._templates.texts(notification), notification)
        return await _sent(self._config, body, client_for)


async def _sent(config: _TeamsConfig, body: object, client_for: ClientFor) -> str:
    url = await Secret(config.webhook_url, config.webhook_url_file).read()
    check_answer(await post(client_for, Request.of_json(url, body, config.http)))
    return ""


def check_answer(answer: Answer) -> None:
    """A connector says 200, and then in words that Teams itself refused: "… returned HTTP error 429 …".

    Raises:
        DeliveryError: so it says.
    """
    if "HTTP error" in answer.text:
        may_succeed = "429" in answer.text or "HTTP error 5" in answer.text
        raise DeliveryError(f"Teams answered: {excerpt(answer.text)}", retry=may_succeed)


def card(config: MsTeamsConfig, texts: NotificationTexts, notification: Notification) -> dict[str, object]:
    made: dict[str, object] = {
        "@context": "http://schema.org/extensions",
        "type": "MessageCard",
        "title": texts.render(config.title, texts.plain),
        "summary": texts.render(config.summary, texts.plain),
        "text": _text(config.text, texts),
        "themeColor": COLORS[notification.status][0],
    }
    chart = notification.chart
    if chart is not None:
        made["sections"] = [{"images": [{"image": chart.url, "title": chart.alt}]}]
    return made


def adaptive_card(config: MsTeamsV2Config, texts: NotificationTexts, notification: Notification) -> dict[str, object]:
    title: dict[str, object] = {
        "type": "TextBlock",
        "text": texts.render(config.title, texts.plain),
        "weight": "Bolder",
        "size": "Medium",
        "wrap": True,
        "style": "heading",
        "color": COLORS[notification.status][1],
    }
    body: list[dict[str, object]] = [title, {"type": "TextBlock", "text": _text(config.text, texts), "wrap": True}]
    chart = notification.chart
    if chart is not None:
        body.append({"type": "Image", "url": chart.url, "altText": chart.alt, "size": "Stretch"})
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": body,
        "msteams": {"width": "full"},
    }
    return {
        "type": "message",
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
        ],
    }


def _text(template: str, texts: NotificationTexts) -> str:
    text = texts.shortest(MAX_TEXT_BYTES, lambda texts: texts.render(template), _json_bytes)
    return fitting(text, MAX_TEXT_BYTES, _json_bytes)


def _json_bytes(text: str) -> int:
    return len(json.dumps(text))
