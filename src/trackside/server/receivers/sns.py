"""The SNS receiver: a message to a topic, a phone or an endpoint of Amazon's Simple Notification Service."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from trackside.exceptions import DeliveryError
from trackside.model.alerts import Notification
from trackside.server.receivers.aws_api import AwsApi
from trackside.server.receivers.aws_config import SigV4Config
from trackside.server.receivers.aws_login import AwsLogin, region_of
from trackside.server.receivers.fields import Flag, Template
from trackside.server.receivers.http_config import NO_SECRET, HttpConfig
from trackside.server.receivers.integration import ClientFor, Integration, IntegrationConfig
from trackside.server.receivers.pagerduty import dedup_key
from trackside.server.receivers.sigv4 import Scope
from trackside.server.receivers.templates import NotificationTexts

VERSION = "2010-03-31"
MAX_MESSAGE_BYTES = 256 << 10
"""Together with the attributes."""
MAX_SMS_BYTES = 1_600
MAX_SUBJECT = 99
TRUNCATED = {"truncated": "true"}
FIFO = ".fifo"
_TARGETS = {"topic_arn": "TopicArn", "phone_number": "PhoneNumber", "target_arn": "TargetArn"}
_UNSIGNED: Mapping[str, object] = {
    "basic_auth": None,
    "authorization": None,
    "oauth2": None,
    "bearer_token": NO_SECRET,
    "bearer_token_file": "",
    "follow_redirects": False,
}
"""What a signature takes the place of. It holds for one address, so that no redirect can be followed."""


class SnsConfig(IntegrationConfig):
    api_url: Template = ""
    sigv4: SigV4Config = Field(default_factory=SigV4Config)
    topic_arn: Template = ""
    phone_number: Template = ""
    target_arn: Template = ""
    subject: Template = '{{ template "sns.default.subject" . }}'
    message: Template = '{{ template "sns.default.message" . }}'
    attributes: Mapping[str, Template] = Field(default_factory=dict)
    use_aws_http_client: Flag = False
    """Ask as AWS' own libraries do: by the proxies of the environment, and nothing of `http_config`."""

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if sum(map(bool, (self.topic_arn, self.phone_number, self.target_arn))) != 1:
            raise ValueError("expected one of topic_arn, phone_number and target_arn")
        return self

    @property
    def way(self) -> HttpConfig:
        if self.use_aws_http_client:
            return HttpConfig(proxy_from_environment=True, follow_redirects=False)
        return self.http.model_copy(update=_UNSIGNED)


class Sns(Integration[SnsConfig]):
    environment: Mapping[str, str] = os.environ

    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        config, texts = self._config, self._templates.texts(notification)
        target = _target(config, texts)
        api = AwsApi(config.way, self.environment, self._templates.now_ms(), client_for)
        region = await region_of(config.sigv4, api, *target.values())
        keys = await AwsLogin(config.sigv4, region, api).keys()
        url = texts.required(config.api_url) or api.endpoint("sns", region)
        parameters = {"Action": "Publish", "Version": VERSION, **target, **message(config, texts, notification)}
        await api.ask(url, parameters, keys, Scope(region, "sns"))
        return ""


def _target(config: SnsConfig, texts: NotificationTexts) -> dict[str, str]:
    (key,) = (key for key in _TARGETS if getattr(config, key))
    target = texts.required(getattr(config, key)).strip()
    if not target:
        raise DeliveryError(f"{key}: its template says nothing about these alerts", retry=False)
    return {_TARGETS[key]: target}


def message(config: SnsConfig, texts: NotificationTexts, notification: Notification) -> dict[str, str]:
    attributes = {texts.render(name): texts.render(text) for name, text in config.attributes.items()}
    # SNS refuses a message for one attribute without a value.
    attributes = {name: value for name, value in attributes.items() if name and value}
    most = MAX_SMS_BYTES if config.phone_number else MAX_MESSAGE_BYTES - _size(attributes)
    text = texts.shortest(most, lambda shown: shown.render(config.message), _bytes)
    text = text if text.strip() else texts.plain
    if _bytes(text) > most:
        attributes |= TRUNCATED
        text = _cut(text, most if config.phone_number else MAX_MESSAGE_BYTES - _size(attributes))
    parts = {"Message": text, "Subject": _subject(texts.render(config.subject)), **_entries(attributes)}
    if config.topic_arn and texts.required(config.topic_arn).strip().endswith(FIFO):
        parts |= _order(notification, text)
    return {name: value for name, value in parts.items() if value}


def _subject(text: str) -> str:
    """SNS refuses a message for a subject that is long or has a line break."""
    line = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(line.split())
    return line if len(line) <= MAX_SUBJECT else f"{line[: MAX_SUBJECT - 3]}..."


def _size(attributes: Mapping[str, str]) -> int:
    return sum(_bytes(f"{name}String{value}") for name, value in attributes.items())


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _cut(text: str, most_bytes: int) -> str:
    return text.encode("utf-8", "replace")[: max(0, most_bytes)].decode("utf-8", "ignore")


def _entries(attributes: Mapping[str, str]) -> dict[str, str]:
    entries: dict[str, str] = {}
    for place, (name, value) in enumerate(sorted(attributes.items()), start=1):
        entry = f"MessageAttributes.entry.{place}"
        entries |= {f"{entry}.Name": name, f"{entry}.Value.DataType": "String", f"{entry}.Value.StringValue": value}
    return entries


def _order(notification: Notification, text: str) -> dict[str, str]:
    """In a topic that keeps the order: what belongs together, and what is the same message once more.

    Alertmanager says the group's key for both, by which the end of an outage of less than five minutes is taken for a
    repetition of its beginning, and told to nobody.
    """
    group = dedup_key(notification)
    same = notification.delivery_id or hashlib.sha256(f"{group}{text}".encode("utf-8", "replace")).hexdigest()
    return {"MessageGroupId": group, "MessageDeduplicationId": same}
