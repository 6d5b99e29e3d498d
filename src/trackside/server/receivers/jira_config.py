"""The `jira_configs` section: where issues are made, and what is said in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator

from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.fields import Flag, Template, WebUrl, joined
from trackside.server.receivers.integration import IntegrationConfig
from trackside.server.schema import DurationMs, Section, Text

V2, V3 = "/rest/api/2", "/rest/api/3"
_CLOUD_HOSTS = (".atlassian.net", "api.atlassian.com")


def _as_section(value: Any) -> Any:
    return {"template": value} if isinstance(value, str) else value


class JiraText(Section):
    template: Template | None = None
    """None: the usual one."""
    enable_update: Flag = True


JiraTextOrTemplate = Annotated[JiraText, BeforeValidator(_as_section)]


class JiraConfig(IntegrationConfig):
    api_url: WebUrl | None = None
    api_type: Text = "auto"
    project: Template = Field(min_length=1)
    summary: JiraTextOrTemplate = Field(default_factory=JiraText)
    description: JiraTextOrTemplate = Field(default_factory=JiraText)
    labels: tuple[Template, ...] = ()
    priority: Template = '{{ template "jira.default.priority" . }}'
    issue_type: Template = Field(min_length=1)
    reopen_transition: Text = ""
    resolve_transition: Text = ""
    wont_fix_resolution: Text = ""
    reopen_duration: DurationMs = 0
    """How long after its end an issue is opened again; 0: never, another is made."""
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

    @property
    def is_cloud(self) -> bool:
        if self.api_type == "auto":
            return (urlsplit(str(self.api_url)).hostname or "").endswith(_CLOUD_HOSTS)
        return self.api_type == "cloud"

    @property
    def takes_documents(self) -> bool:
        """Whether a long text is a document in Atlassian's format, as version 3 of the API has it."""
        return str(self.api_url).rstrip("/").endswith(V3)

    @property
    def search_url(self) -> str:
        url = str(self.api_url)
        if not self.is_cloud:
            return joined(url, "search")
        # Version 2 has lost its search there.
        return joined(V3.join(url.rsplit(V2, 1)), "search/jql")
