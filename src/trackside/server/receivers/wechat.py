"""The WeChat receiver: a message of a company's application."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlencode

from pydantic import field_validator, model_validator

from trackside.exceptions import DeliveryError
from trackside.model.alerts import Notification
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.delivery import Request, post
from trackside.server.receivers.fields import Flag, SecretText, Template, WebUrl, joined, only_one
from trackside.server.receivers.http_config import NO_SECRET
from trackside.server.receivers.illustrations import Picture
from trackside.server.receivers.integration import ClientFor, Integration, IntegrationConfig
from trackside.server.receivers.lengths import utf8_bytes
from trackside.server.receivers.secret import Secret
from trackside.server.receivers.templates import NotificationTexts
from trackside.server.schema import Text

MAX_BYTES = 2_000
BUSY = (-1, 45009)
"""Answers after which a later attempt may succeed: the system is busy, too many calls."""


class WechatConfig(IntegrationConfig):
    send_resolved: Flag = False
    api_secret: SecretText = NO_SECRET
    api_secret_file: Text = ""
    corp_id: Text = ""
    api_url: WebUrl | None = None
    message: Template = '{{ template "wechat.default.message" . }}'
    message_type: Text = "text"
    to_user: Template = '{{ template "wechat.default.to_user" . }}'
    to_party: Template = '{{ template "wechat.default.to_party" . }}'
    to_tag: Template = '{{ template "wechat.default.to_tag" . }}'
    agent_id: Template = '{{ template "wechat.default.agent_id" . }}'

    @field_validator("message_type")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ("", "text", "markdown"):
            raise ValueError(f"expected text or markdown, found {name!r}")
        return name or "text"

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        only_one(self, "api_secret", "api_secret_file")
        return self

    def filled(self, defaults: NotificationDefaults) -> Self:
        changes: dict[str, object] = {
            "api_url": self.api_url or defaults.wechat_api_url,
            "corp_id": self.corp_id or defaults.wechat_api_corp_id,
        }
        changes |= defaults.secret_for(self, "wechat", "api_secret")
        if not changes["corp_id"]:
            raise ValueError("expected a corp_id, or wechat_api_corp_id in `global`")
        return super().filled(defaults).model_copy(update=changes)


class Wechat(Integration[WechatConfig]):
    picture = Picture.LINKED

    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        config, texts = self._config, self._templates.texts(notification)
        secret = await Secret(config.api_secret, config.api_secret_file).read()
        asked = urlencode({"corpid": config.corp_id, "corpsecret": secret})
        token = await self._ask(client_for, f"gettoken?{asked}", {})
        body = message(config, texts)
        await self._ask(client_for, f"message/send?{urlencode({'access_token': token})}", body)
        return ""

    async def _ask(self, client_for: ClientFor, path: str, body: object) -> str:
        url = joined(str(self._config.api_url), path)
        answer = (await post(client_for, Request.of_json(url, body, self._config.http))).json()
        code = answer.get("errcode", 0)
        if code != 0:
            raise DeliveryError(f"WeChat answered: {code} {str(answer.get('errmsg'))[:100]}", retry=code in BUSY)
        return str(answer.get("access_token", ""))


def message(config: WechatConfig, texts: NotificationTexts) -> dict[str, object]:
    text = texts.shortest(MAX_BYTES, lambda texts: texts.render(config.message), utf8_bytes) or texts.plain
    content = text.encode("utf-8", "replace")[:MAX_BYTES].decode("utf-8", "ignore")
    return {
        "touser": texts.render(config.to_user),
        "toparty": texts.render(config.to_party),
        "totag": texts.render(config.to_tag),
        "agentid": texts.render(config.agent_id),
        "safe": "0",
        "msgtype": config.message_type,
        config.message_type: {"content": content},
    }
