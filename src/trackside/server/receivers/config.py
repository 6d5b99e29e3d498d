"""The `receivers` section: a name, and the ways in which it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import httpx
from pydantic import Field

from trackside.model.alerts import Notification
from trackside.server.receivers.slack import Slack, SlackConfig
from trackside.server.receivers.templates import NotificationTemplates
from trackside.server.receivers.webhook import Webhook, WebhookConfig
from trackside.server.schema import Section


class ReceiverConfig(Section):
    name: str = Field(min_length=1)
    webhook_configs: tuple[WebhookConfig, ...] = ()
    slack_configs: tuple[SlackConfig, ...] = ()


class _Sends(Protocol):
    kind: str
    send_resolved: bool

    async def send(self, notification: Notification, client: httpx.AsyncClient) -> None: ...


@dataclass(frozen=True, slots=True)
class BoundIntegration:
    """An integration with the client it sends by."""

    kind: str
    send_resolved: bool
    _integration: _Sends
    _client: httpx.AsyncClient

    async def send(self, notification: Notification) -> None:
        """
        Raises:
            DeliveryError: the notification was not taken.
        """
        await self._integration.send(notification, self._client)


def integrations(
    receiver: ReceiverConfig, client: httpx.AsyncClient, templates: NotificationTemplates
) -> tuple[BoundIntegration, ...]:
    """What one receiver's section describes, ready to send."""
    found: list[_Sends] = [Webhook(config) for config in receiver.webhook_configs]
    found += [Slack(config, templates) for config in receiver.slack_configs]
    return tuple(BoundIntegration(one.kind, one.send_resolved, one, client) for one in found)
