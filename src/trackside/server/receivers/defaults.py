"""The `global` section of Alertmanager: what holds for every receiver that does not say otherwise."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, model_validator

from trackside.server.receivers.fields import Flag, HostPort, SecretText, SecretUrl, WebUrl, only_one
from trackside.server.receivers.http_config import NO_SECRET, HttpConfig, TlsConfig
from trackside.server.schema import DurationMs, Section, Text

SLACK_APP_URL = "https://slack.com/api/chat.postMessage"
RESOLVE_TIMEOUT_MS = 300_000

_PAIRS = (
    "opsgenie_api_key",
    "victorops_api_key",
    "smtp_auth_password",
    "smtp_auth_secret",
    "rocketchat_token",
    "rocketchat_token_id",
    "mattermost_webhook_url",
    "telegram_bot_token",
    "wechat_api_secret",
    "slack_api_url",
    "slack_app_token",
)
"""Secrets that stand here or in a file, but not in both."""


class NotificationDefaults(Section):
    resolve_timeout: DurationMs = RESOLVE_TIMEOUT_MS
    """How long a pushed alert without an end is taken to fire."""
    http_config: HttpConfig = Field(default_factory=HttpConfig)

    smtp_from: Text = ""
    smtp_hello: Text = "localhost"
    smtp_smarthost: HostPort = ""
    smtp_auth_username: Text = ""
    smtp_auth_password: SecretText = NO_SECRET
    smtp_auth_password_file: Text = ""
    smtp_auth_secret: SecretText = NO_SECRET
    smtp_auth_secret_file: Text = ""
    smtp_auth_identity: Text = ""
    smtp_require_tls: Flag = True
    smtp_force_implicit_tls: Flag | None = None
    smtp_tls_config: TlsConfig = Field(default_factory=TlsConfig)

    slack_api_url: SecretUrl = NO_SECRET
    slack_api_url_file: Text = ""
    slack_app_token: SecretText = NO_SECRET
    slack_app_token_file: Text = ""
    slack_app_url: WebUrl = SLACK_APP_URL
    pagerduty_url: WebUrl = "https://events.pagerduty.com/v2/enqueue"
    opsgenie_api_url: WebUrl = "https://api.opsgenie.com/"
    opsgenie_api_key: SecretText = NO_SECRET
    opsgenie_api_key_file: Text = ""
    telegram_api_url: WebUrl = "https://api.telegram.org"
    telegram_bot_token: SecretText = NO_SECRET
    telegram_bot_token_file: Text = ""
    mattermost_webhook_url: SecretUrl = NO_SECRET
    mattermost_webhook_url_file: Text = ""
    rocketchat_api_url: WebUrl = "https://open.rocket.chat/"
    rocketchat_token: SecretText = NO_SECRET
    rocketchat_token_file: Text = ""
    rocketchat_token_id: SecretText = NO_SECRET
    rocketchat_token_id_file: Text = ""
    victorops_api_url: WebUrl = "https://alert.victorops.com/integrations/generic/20131114/alert/"
    victorops_api_key: SecretText = NO_SECRET
    victorops_api_key_file: Text = ""
    webex_api_url: WebUrl = "https://webexapis.com/v1/messages"
    wechat_api_url: WebUrl = "https://qyapi.weixin.qq.com/cgi-bin/"
    wechat_api_secret: SecretText = NO_SECRET
    wechat_api_secret_file: Text = ""
    wechat_api_corp_id: Text = ""
    jira_api_url: WebUrl | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for name in _PAIRS:
            only_one(self, name, f"{name}_file")
        app = self.slack_app_token or self.slack_app_token_file
        # Before there were keys for it, people gave the address of the app here; that is no contradiction.
        to_the_app = self.slack_api_url == SecretStr(self.slack_app_url)
        if app and (self.slack_api_url_file or (self.slack_api_url and not to_the_app)):
            raise ValueError("expected at most one of slack_app_token and slack_api_url")
        return self

    def secret_for(self, section: Section, kind: str, name: str) -> dict[str, object]:
        """What changes in a section that says a secret neither itself nor in a file: it is taken from here.

        Raises:
            ValueError: it is not said here either.
        """
        keys = (name, f"{name}_file")
        if any(getattr(section, key) for key in keys):
            return {}
        found = {key: getattr(self, f"{kind}_{key}") for key in keys}
        if not any(found.values()):
            article = "an" if name.startswith("a") else "a"
            raise ValueError(f"expected {article} {name} or {article} {name}_file, here or in `global`")
        return found
