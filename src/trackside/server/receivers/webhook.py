"""The webhook receiver: Alertmanager's JSON, version 4, or a payload of one's own."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from trackside.model.alerts import Notification
from trackside.server.receivers.delivery import Request, post
from trackside.server.receivers.fields import Count, GoDurationMs, SecretUrlTemplate, exactly_one
from trackside.server.receivers.http_config import NO_SECRET
from trackside.server.receivers.integration import ClientFor, Integration, IntegrationConfig
from trackside.server.receivers.nested import rendered
from trackside.server.receivers.payload import alert_payload
from trackside.server.receivers.secret import Secret
from trackside.server.schema import Text


class WebhookConfig(IntegrationConfig):
    url: SecretUrlTemplate = NO_SECRET
    url_file: Text = ""
    max_alerts: Count = 0
    """0: all of them."""
    timeout: GoDurationMs = 0
    payload: object = None
    """In place of ours: any YAML, whose texts are templates."""

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        exactly_one(self, "url", "url_file")
        return self


class Webhook(Integration[WebhookConfig]):
    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        config, texts = self._config, self._templates.texts(notification)
        url = texts.required(await Secret(config.url, config.url_file).read())
        own = config.payload is not None
        body = rendered(config.payload, texts) if own else payload(notification, config.max_alerts)
        headers = idempotency(notification)
        await post(client_for, Request.of_json(url, body, config.http, headers, config.timeout))
        return ""


def idempotency(notification: Notification) -> dict[str, str]:
    return {"Idempotency-Key": notification.delivery_id} if notification.delivery_id else {}


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
        "notification_reason": notification.reason,
    }
