"""The VictorOps (Splunk On-Call) receiver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self
from urllib.parse import quote

from pydantic import Field, model_validator

from trackside.model.alerts import Notification
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.delivery import Request, post
from trackside.server.receivers.fields import SecretText, Template, WebUrl, joined, only_one
from trackside.server.receivers.http_config import NO_SECRET
from trackside.server.receivers.illustrations import Picture
from trackside.server.receivers.integration import ClientFor, Integration, IntegrationConfig
from trackside.server.receivers.lengths import cut
from trackside.server.receivers.own_templates import CHART, RUNBOOK, SILENCE
from trackside.server.receivers.pagerduty import dedup_key
from trackside.server.receivers.secret import Secret
from trackside.server.receivers.templates import NotificationTexts
from trackside.server.schema import Text

MAX_STATE_MESSAGE = 20_480
ANNOTATIONS = {"vo_annotate.u.Runbook": RUNBOOK, "vo_annotate.u.Silence": SILENCE, "vo_annotate.i.Chart": CHART}
"""What stands beside the alert: links (u) and a picture (i)."""
FIXED = (
    "routing_key",
    "message_type",
    "state_message",
    "entity_display_name",
    "monitoring_tool",
    "entity_id",
    "entity_state",
)


class VictorOpsConfig(IntegrationConfig):
    api_key: SecretText = NO_SECRET
    api_key_file: Text = ""
    api_url: WebUrl | None = None
    routing_key: Template = Field(min_length=1)
    message_type: Template = "CRITICAL"
    state_message: Template = '{{ template "victorops.default.state_message" . }}'
    entity_display_name: Template = '{{ template "victorops.default.entity_display_name" . }}'
    monitoring_tool: Template = '{{ template "victorops.default.monitoring_tool" . }}'
    custom_fields: Mapping[str, Template] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        only_one(self, "api_key", "api_key_file")
        for name in self.custom_fields:
            if name in FIXED:
                raise ValueError(f"custom_fields: {name} has a key of its own")
        return self

    def filled(self, defaults: NotificationDefaults) -> Self:
        changes: dict[str, object] = {"api_url": self.api_url or defaults.victorops_api_url}
        changes |= defaults.secret_for(self, "victorops", "api_key")
        return super().filled(defaults).model_copy(update=changes)


class VictorOps(Integration[VictorOpsConfig]):
    picture = Picture.LINKED

    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        config, texts = self._config, self._templates.texts(notification)
        key = await Secret(config.api_key, config.api_key_file).read()
        url = joined(str(config.api_url), f"{key}/{quote(texts.required(config.routing_key), safe='')}")
        await post(client_for, Request.of_json(url, message(config, texts, notification), config.http))
        return ""


def message(config: VictorOpsConfig, texts: NotificationTexts, notification: Notification) -> dict[str, str]:
    kind = "RECOVERY"
    if notification.status == "firing":
        kind = texts.render(config.message_type).upper() or "CRITICAL"
    return {
        "message_type": kind,
        "entity_id": dedup_key(notification),
        "entity_display_name": texts.render(config.entity_display_name),
        "state_message": cut(
            texts.shortest(MAX_STATE_MESSAGE, lambda texts: texts.render(config.state_message)), MAX_STATE_MESSAGE
        ),
        "monitoring_tool": texts.render(config.monitoring_tool),
        **(texts.those_that_say_something(ANNOTATIONS) if texts.ours else {}),
        **{name: texts.render(text) for name, text in config.custom_fields.items()},
    }
