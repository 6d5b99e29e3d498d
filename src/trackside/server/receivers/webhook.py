"""The webhook receiver: Alertmanager's JSON, version 4."""

from __future__ import annotations

import httpx
from pydantic import Field, field_validator, model_validator

from trackside.model.alerts import Notification
from trackside.server.receivers.delivery import Request, Secret, post
from trackside.server.receivers.http_config import HttpConfig
from trackside.server.receivers.payload import alert_payload
from trackside.server.schema import DurationMs, Section

KIND = "webhook"


class WebhookConfig(Section):
    url: str | None = Field(default=None, repr=False)
    url_file: str | None = None
    send_resolved: bool = True
    max_alerts: int = Field(default=0, ge=0)
    """0: all of them."""
    timeout: DurationMs = 10_000
    http_config: HttpConfig = Field(default_factory=HttpConfig)

    @field_validator("url")
    @classmethod
    def _web_address(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("expected a URL that begins with http:// or https://")
        return url

    @model_validator(mode="after")
    def _one_url(self) -> WebhookConfig:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("expected either `url` or `url_file`")
        return self


class Webhook:
    kind = KIND

    def __init__(self, config: WebhookConfig) -> None:
        self._config = config
        self.send_resolved = config.send_resolved

    async def send(self, notification: Notification, client: httpx.AsyncClient) -> None:
        config = self._config
        url = await Secret(config.url, config.url_file).read()
        body = payload(notification, config.max_alerts)
        await post(client, Request(url, body, config.http_config, timeout_s=(config.timeout or 10_000) / 1000))


def payload(notification: Notification, max_alerts: int = 0) -> dict[str, object]:
    alerts = notification.alerts[:max_alerts] if max_alerts else notification.alerts
    return {
        "version": "4",
        "groupKey": notification.group_key,
        "truncatedAlerts": notification.truncated_alerts + len(notification.alerts) - len(alerts),
        "status": notification.status,
        "receiver": notification.receiver,
        "groupLabels": notification.group_labels.as_dict(),
        "commonLabels": notification.common_labels.as_dict(),
        "commonAnnotations": notification.common_annotations.as_dict(),
        "externalURL": notification.external_url,
        "alerts": [alert_payload(alert) for alert in alerts],
    }
