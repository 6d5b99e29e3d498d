"""Receivers of Alertmanager that we read and keep, and by which nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.fields import Flag, SecretText, Template, WebUrl
from trackside.server.receivers.http_config import NO_SECRET
from trackside.server.receivers.integration import IntegrationConfig
from trackside.server.schema import DurationMs, Section, Text


def _as_section(value: Any) -> Any:
    return {"template": value} if isinstance(value, str) else value


class JiraText(Section):
    template: Template = ""
    enable_update: Flag | None = None


JiraTextOrTemplate = Annotated[JiraText, BeforeValidator(_as_section)]


class JiraConfig(IntegrationConfig):
    api_url: WebUrl | None = None
    api_type: Text = "auto"
    project: Template = Field(min_length=1)
    summary: JiraTextOrTemplate = Field(default_factory=JiraText)
    description: JiraTextOrTemplate = Field(default_factory=JiraText)
    labels: tuple[Template, ...] = ()
    priority: Template = ""
    issue_type: Template = Field(min_length=1)
    reopen_transition: Text = ""
    resolve_transition: Text = ""
    wont_fix_resolution: Text = ""
    reopen_duration: DurationMs = 0
    fields: Mapping[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_type(self) -> Self:
        if self.api_type not in ("auto", "cloud", "datacenter"):
            raise ValueError(f"api_type: expected auto, cloud or datacenter, found {self.api_type!r}")
        return self

    def filled(self, defaults: NotificationDefaults) -> Self:
        url = self.api_url or defaults.jira_api_url
        if url is None:
            raise ValueError("expected an api_url, or jira_api_url in `global`")
        return super().filled(defaults).model_copy(update={"api_url": url})


class SigV4Config(Section):
    region: Text = ""
    access_key: Text = ""
    secret_key: SecretText = NO_SECRET
    profile: Text = ""
    role_arn: Text = ""
    external_id: Text = ""
    use_fips_sts_endpoint: Flag = False
    service_name: Text = ""

    @model_validator(mode="after")
    def _both_keys(self) -> Self:
        if bool(self.access_key) != bool(self.secret_key):
            raise ValueError("expected an access_key and a secret_key together")
        return self


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

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if sum(map(bool, (self.topic_arn, self.phone_number, self.target_arn))) != 1:
            raise ValueError("expected one of topic_arn, phone_number and target_arn")
        return self
