"""The incident.io receiver: an HTTP alert source, which takes what the webhook sends."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from trackside.model.alerts import Notification
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.delivery import Request, post
from trackside.server.receivers.fields import Count, GoDurationMs, SecretText, WebUrl, exactly_one, only_one
from trackside.server.receivers.http_config import NO_SECRET, Authorization, HttpConfig
from trackside.server.receivers.integration import ClientFor, Integration, IntegrationConfig
from trackside.server.receivers.secret import read_file
from trackside.server.receivers.webhook import idempotency, payload
from trackside.server.schema import Text


class IncidentioConfig(IntegrationConfig):
    url: WebUrl | None = None
    url_file: Text = ""
    alert_source_token: SecretText = NO_SECRET
    alert_source_token_file: Text = ""
    max_alerts: Count = 0
    timeout: GoDurationMs = 0

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        exactly_one(self, "url", "url_file")
        only_one(self, "alert_source_token", "alert_source_token_file")
        token = self.alert_source_token or self.alert_source_token_file
        if token and self.http_config is not None and self.http_config.authorization is not None:
            raise ValueError("expected either an alert_source_token or http_config.authorization")
        return self

    def filled(self, defaults: NotificationDefaults) -> Self:
        made = super().filled(defaults)
        if not (self.alert_source_token or self.alert_source_token_file):
            return made
        login = Authorization(credentials=self.alert_source_token, credentials_file=self.alert_source_token_file)
        logged_in = HttpConfig.model_validate({**dict(made.http), "authorization": login, "basic_auth": None})
        return made.model_copy(update={"http_config": logged_in})


class Incidentio(Integration[IncidentioConfig]):
    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        config = self._config
        url = (await read_file(config.url_file)).strip() if config.url_file else str(config.url)
        body = {**payload(notification, config.max_alerts), "version": "1"}
        headers = idempotency(notification)
        await post(client_for, Request.of_json(url, body, config.http, headers, config.timeout))
        return ""
