"""The Pushover receiver: a message to a phone."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlencode

from pydantic import model_validator

from trackside.model.alerts import Notification
from trackside.server.receivers.delivery import FORM, Request, post
from trackside.server.receivers.fields import Flag, GoDurationMs, SecretText, Template, only_one
from trackside.server.receivers.form import File, multipart
from trackside.server.receivers.http_config import NO_SECRET
from trackside.server.receivers.illustrations import Picture
from trackside.server.receivers.integration import ClientFor, Integration, IntegrationConfig
from trackside.server.receivers.lengths import cut
from trackside.server.receivers.secret import Secret
from trackside.server.receivers.templates import NotificationTexts
from trackside.server.schema import Text

URL = "https://api.pushover.net/1/messages.json"
MAX_TITLE, MAX_MESSAGE, MAX_URL = 250, 1_024, 512
EMERGENCY = "2"


class PushoverConfig(IntegrationConfig):
    user_key: SecretText = NO_SECRET
    user_key_file: Text = ""
    token: SecretText = NO_SECRET
    token_file: Text = ""
    title: Template = '{{ template "pushover.default.title" . }}'
    message: Template = '{{ template "pushover.default.message" . }}'
    url: Template = '{{ template "pushover.default.url" . }}'
    url_title: Template = ""
    device: Template = ""
    sound: Template = ""
    priority: Template = '{{ if eq .Status "firing" }}2{{ else }}0{{ end }}'
    retry: GoDurationMs = 60_000
    expire: GoDurationMs = 3_600_000
    ttl: GoDurationMs = 0
    html: Flag = False
    monospace: Flag = False

    @model_validator(mode="after")
    def _keys(self) -> Self:
        for name in ("user_key", "token"):
            only_one(self, name, f"{name}_file")
            if not (getattr(self, name) or getattr(self, f"{name}_file")):
                raise ValueError(f"expected a {name} or a {name}_file")
        only_one(self, "html", "monospace")
        return self


class Pushover(Integration[PushoverConfig]):
    picture = Picture.ATTACHED

    address = URL

    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        config, texts = self._config, self._templates.texts(notification)
        secrets = {
            "token": texts.required(await Secret(config.token, config.token_file).read()),
            "user": texts.required(await Secret(config.user_key, config.user_key_file).read()),
        }
        parts = {**secrets, **message(config, texts)}
        if notification.chart is None:
            body, kind = urlencode(parts, errors="replace").encode(), FORM
        else:
            body, kind = multipart({**parts, "attachment": File("chart.png", notification.chart.png)})
        await post(client_for, Request(self.address, body, config.http, kind))
        return ""


def message(config: PushoverConfig, texts: NotificationTexts) -> dict[str, str]:
    text = texts.shortest(
        MAX_MESSAGE, lambda texts: texts.html(config.message) if config.html else texts.render(config.message)
    )
    priority = texts.render(config.priority)
    parts = {
        "title": cut(texts.render(config.title, texts.plain), MAX_TITLE),
        "message": cut(text.strip() or texts.plain, MAX_MESSAGE),
        "url": texts.render(config.url)[:MAX_URL],
        "url_title": cut(texts.render(config.url_title), 100),
        "device": texts.render(config.device),
        "sound": texts.render(config.sound),
        "priority": priority,
        "html": "1" if config.html else "",
        "monospace": "1" if config.monospace else "",
        "ttl": str(round(config.ttl / 1000)) if config.ttl else "",
    }
    if priority == EMERGENCY:
        parts |= {"retry": str(round(config.retry / 1000)), "expire": str(round(config.expire / 1000))}
    return {name: value for name, value in parts.items() if value}
