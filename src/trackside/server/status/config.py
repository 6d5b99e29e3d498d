"""The `status_page` section: what the world is told, under which names. Nothing that is not named here is shown."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from trackside.exceptions import QueryError
from trackside.server.promql.parser import parse
from trackside.server.schema import DurationMs, Section

_NAME = re.compile(r"\S(?:.{0,78}\S)?")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
MAX_COMPONENTS = 200


def _expression(value: Any) -> Any:
    if isinstance(value, str) and value:
        try:
            parse(value)
        except QueryError as error:
            raise ValueError(f"not PromQL: {error}") from error
    return value


Expression = Annotated[str, BeforeValidator(_expression)]


class ComponentConfig(Section):
    """One line of the page, and where its state comes from."""

    name: str
    description: str = ""
    group: str = ""
    check: str = ""
    """Name of a check of `uptime`."""
    heartbeat: str = ""
    """Name of a heartbeat of `uptime`."""
    expr: Expression = ""
    """Down where any of its values is 0, and not known where there is none."""
    degraded: Expression = ""
    """Works, and not well, where any of its values is not 0."""

    @field_validator("name", "group")
    @classmethod
    def _is_name(cls, name: str) -> str:
        if name and not _NAME.fullmatch(name):
            raise ValueError("expected one line of at most 80 characters, without spaces around it")
        return name

    @model_validator(mode="after")
    def _has_a_source(self) -> ComponentConfig:
        if not self.name:
            raise ValueError("name: a component needs one; the page calls it by it")
        if sum(map(bool, (self.check, self.heartbeat, self.expr))) != 1:
            raise ValueError(f"the component {self.name!r} needs one of check, heartbeat and expr")
        return self

    @property
    def slug(self) -> str:
        """Its name in addresses."""
        return slug_of(self.name)


class IncidentRuleConfig(Section):
    """An incident that opens by itself. Its words stand here: those of an alert are for the team."""

    alert: str
    """Name of the alert that opens it."""
    title: str
    text: str = "We are looking into it."
    impact: Literal["minor", "major"] = "major"
    components: tuple[str, ...] = ()
    after: DurationMs = 0
    """How long it must have been firing."""


class StatusPageConfig(Section):
    published: bool = False
    """Whether everybody may see it; else it is a preview for those who may log in."""
    title: str = "Status"
    description: str = ""
    site: str = ""
    """Where the logo leads to."""
    logo: str = ""
    """A picture, relative to the configuration."""
    domain: str = ""
    """A host name under which there is the page, and nothing else of this server."""
    days: int = Field(default=90, ge=7, le=365)
    components: tuple[ComponentConfig, ...] = ()
    incidents: tuple[IncidentRuleConfig, ...] = ()
    export_to: str = ""
    """A folder that is kept up to date with the page as plain files, relative to the configuration."""

    @field_validator("domain")
    @classmethod
    def _is_domain(cls, domain: str) -> str:
        if domain and not _DOMAIN.fullmatch(domain):
            raise ValueError(f"not a host name: {domain!r}; expected one in small letters, such as status.example.com")
        return domain

    @field_validator("site")
    @classmethod
    def _is_site(cls, site: str) -> str:
        if site and not site.startswith(("https://", "http://")):
            raise ValueError("expected an address that begins with https://")
        return site

    @model_validator(mode="after")
    def _fits_together(self) -> StatusPageConfig:
        if len(self.components) > MAX_COMPONENTS:
            raise ValueError(f"components: {len(self.components)} are more than a page can show: {MAX_COMPONENTS}")
        slugs: dict[str, str] = {}
        for component in self.components:
            if component.slug in slugs:
                other = slugs[component.slug]
                raise ValueError(f"components: {component.name!r} and {other!r} would have the same address")
            slugs[component.slug] = component.name
        names = set(slugs.values())
        for rule in self.incidents:
            if unknown := set(rule.components) - names:
                raise ValueError(f"incidents: {sorted(unknown)[0]!r} is no component")
        return self


def slug_of(name: str) -> str:
    """Of letters that addresses may have; for a name without any, of its last bytes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or f"x{int.from_bytes(name.encode()[-8:], 'big'):x}"
