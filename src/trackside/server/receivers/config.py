"""The `receivers` section: a name, and the ways in which it is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from pydantic import Field, model_validator

from trackside.exceptions import DeliveryError
from trackside.model.alerts import Notification
from trackside.server.receivers.apprise import Apprise, AppriseConfig
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.discord import Discord, DiscordConfig
from trackside.server.receivers.email import Email, EmailConfig
from trackside.server.receivers.illustrations import Illustrate, Picture
from trackside.server.receivers.incidentio import Incidentio, IncidentioConfig
from trackside.server.receivers.integration import ClientFor, Integration
from trackside.server.receivers.jira import Jira
from trackside.server.receivers.jira_config import JiraConfig
from trackside.server.receivers.mattermost import Mattermost, MattermostConfig
from trackside.server.receivers.msteams import MsTeams, MsTeamsConfig, MsTeamsV2, MsTeamsV2Config
from trackside.server.receivers.opsgenie import OpsGenie, OpsGenieConfig
from trackside.server.receivers.pagerduty import Pagerduty, PagerdutyConfig
from trackside.server.receivers.pushover import Pushover, PushoverConfig
from trackside.server.receivers.rocketchat import Rocketchat, RocketchatConfig
from trackside.server.receivers.slack import Slack, SlackConfig
from trackside.server.receivers.sns import Sns, SnsConfig
from trackside.server.receivers.telegram import Telegram, TelegramConfig
from trackside.server.receivers.templates import TREND, NotificationTemplates
from trackside.server.receivers.victorops import VictorOps, VictorOpsConfig
from trackside.server.receivers.webex import Webex, WebexConfig
from trackside.server.receivers.webhook import Webhook, WebhookConfig
from trackside.server.receivers.wechat import Wechat, WechatConfig
from trackside.server.schema import Section, Text

# In the order in which Alertmanager makes them, which is the order of their names in its metrics and logs.
_KINDS: Mapping[str, type[Integration[Any]]] = {
    "webhook": Webhook,
    "email": Email,
    "pagerduty": Pagerduty,
    "opsgenie": OpsGenie,
    "wechat": Wechat,
    "slack": Slack,
    "victorops": VictorOps,
    "pushover": Pushover,
    "sns": Sns,
    "telegram": Telegram,
    "discord": Discord,
    "webex": Webex,
    "msteams": MsTeams,
    "msteamsv2": MsTeamsV2,
    "jira": Jira,
    "rocketchat": Rocketchat,
    "mattermost": Mattermost,
    "incidentio": Incidentio,
    "apprise": Apprise,
}
_OURS = '"trackside.'
_FOR_PROGRAMS = ("webhook", "incidentio")
"""Kinds whose messages are data, and hold no charts unless a text of one's own asks for them."""


class ReceiverConfig(Section):
    name: Text = Field(min_length=1)
    labels: Mapping[str, Text] = Field(default_factory=dict)
    """What the API's filters of receivers ask for; `name` is always there."""
    webhook_configs: tuple[WebhookConfig, ...] = ()
    email_configs: tuple[EmailConfig, ...] = ()
    pagerduty_configs: tuple[PagerdutyConfig, ...] = ()
    opsgenie_configs: tuple[OpsGenieConfig, ...] = ()
    wechat_configs: tuple[WechatConfig, ...] = ()
    slack_configs: tuple[SlackConfig, ...] = ()
    victorops_configs: tuple[VictorOpsConfig, ...] = ()
    pushover_configs: tuple[PushoverConfig, ...] = ()
    telegram_configs: tuple[TelegramConfig, ...] = ()
    discord_configs: tuple[DiscordConfig, ...] = ()
    webex_configs: tuple[WebexConfig, ...] = ()
    msteams_configs: tuple[MsTeamsConfig, ...] = ()
    msteamsv2_configs: tuple[MsTeamsV2Config, ...] = ()
    rocketchat_configs: tuple[RocketchatConfig, ...] = ()
    mattermost_configs: tuple[MattermostConfig, ...] = ()
    incidentio_configs: tuple[IncidentioConfig, ...] = ()
    jira_configs: tuple[JiraConfig, ...] = ()
    sns_configs: tuple[SnsConfig, ...] = ()
    apprise_configs: tuple[AppriseConfig, ...] = ()
    """Ours: any of the hundred other services that have an Apprise URL."""

    @model_validator(mode="after")
    def _own_name(self) -> Self:
        if self.labels.get("name", self.name) != self.name:
            raise ValueError(f"labels: name is {self.name!r}, the receiver's own")
        return self

    def configs(self) -> Iterator[tuple[str, int, Any]]:
        """Kind, place among those of its kind, and section."""
        for kind in _KINDS:
            for index, config in enumerate(getattr(self, f"{kind}_configs")):
                yield kind, index, config


@dataclass(frozen=True, slots=True)
class BoundIntegration:
    """An integration with the clients it sends by."""

    kind: str
    send_resolved: bool
    _integration: Integration[Any]
    _client_for: ClientFor
    _illustrate: Illustrate | None = None
    """None: its texts show no charts."""
    _picture: Picture = Picture.NONE

    async def send(self, notification: Notification) -> str:
        """What the receiver calls the message: to be the `thread` of the next notification about the same group.

        Raises:
            DeliveryError: the notification was not taken.
        """
        if self._illustrate is None:
            return await self._integration.send(notification, self._client_for)
        shown = await self._illustrate(notification, self._picture)
        try:
            return await self._integration.send(shown, self._client_for)
        except DeliveryError as error:
            if shown.chart is None or error.retry or error.maybe_sent:
                raise
        # It was refused for certain, perhaps for its picture: a chat cannot fetch it, a group allows none.
        return await self._integration.send(replace(shown, chart=None), self._client_for)


def integrations(
    receiver: ReceiverConfig,
    client_for: ClientFor,
    templates: NotificationTemplates,
    illustrate: Illustrate | None = None,
) -> tuple[BoundIntegration, ...]:
    """What one receiver's section describes, ready to send. It must be filled."""
    found: list[BoundIntegration] = []
    for kind, _, config in receiver.configs():
        one, texts = _KINDS[kind](config, templates), repr(config)
        ours = templates.ours and kind not in _FOR_PROGRAMS
        shown = ours or templates.show_trends or TREND in texts or _OURS in texts
        picture = one.picture if ours or _OURS in texts else Picture.NONE
        found.append(
            BoundIntegration(kind, config.send_resolved, one, client_for, illustrate if shown else None, picture)
        )
    return tuple(found)


def filled(receiver: ReceiverConfig, defaults: NotificationDefaults) -> ReceiverConfig:
    """With what its sections do not say taken from `global`.

    Raises:
        UnfilledError: something is said nowhere.
    """
    changes: dict[str, list[Any]] = {}
    for kind, index, config in receiver.configs():
        key = f"{kind}_configs"
        try:
            changes.setdefault(key, []).append(config.filled(defaults))
        except ValueError as error:
            raise UnfilledError((key, index), str(error)) from error
    return receiver.model_copy(update={key: tuple(configs) for key, configs in changes.items()})


class UnfilledError(ValueError):
    def __init__(self, path: tuple[str | int, ...], reason: str) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason
