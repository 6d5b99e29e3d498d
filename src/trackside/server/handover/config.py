"""`alerting`: which Alertmanagers hear of the alerts of the rules, under Prometheus' names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from trackside.model.labels import Labels
from trackside.server.handover.dead_mans_switch import DeadMansSwitchConfig
from trackside.server.schema import DurationMs, Section
from trackside.server.scrape.discovery_config import StaticConfig
from trackside.server.scrape.http_config import HttpClientConfig, anchored_http
from trackside.server.scrape.relabel import RelabelConfig, relabeled

_DISCOVERY = "an Alertmanager is named by static_configs here; {} is not supported"


class AlertmanagerConfig(HttpClientConfig):
    static_configs: tuple[StaticConfig, ...] = ()
    scheme: Literal["http", "https"] = "http"
    path_prefix: str = "/"
    timeout: DurationMs = 10_000
    api_version: Literal["v2"] = "v2"
    relabel_configs: tuple[RelabelConfig, ...] = ()
    alert_relabel_configs: tuple[RelabelConfig, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _no_discovery(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            for key in data:
                if str(key).endswith("_sd_configs"):
                    raise ValueError(_DISCOVERY.format(key))
            if data.get("api_version") == "v1":
                raise ValueError("api_version v1 is gone from Alertmanager since 0.27; expected v2")
        return data

    def urls(self) -> tuple[str, ...]:
        """Where alerts are posted to, once each."""
        found: dict[str, None] = {}
        for group in self.static_configs:
            for address in group.targets:
                labels = Labels.of(
                    {
                        **group.labels,
                        "__address__": address,
                        "__scheme__": self.scheme,
                        "__alerts_path__": f"/{self.path_prefix.strip('/')}/api/v2/alerts".replace("//", "/"),
                    }
                )
                kept = relabeled(labels, self.relabel_configs)
                if kept is not None and kept.get("__address__"):
                    found[f"{kept.get('__scheme__')}://{kept.get('__address__')}{kept.get('__alerts_path__')}"] = None
        return tuple(found)


EMBEDDED = "embedded"


class AlertingConfig(Section):
    backend: str = EMBEDDED
    """Who tells people of the alerts of the rules: we ourselves, or the Alertmanager at this URL."""
    mirror: bool = False
    """We ourselves too, although there is another backend: to compare the two."""
    dead_mans_switch: DeadMansSwitchConfig | None = None
    """Who is told, while all is well, that somebody watches."""
    alert_relabel_configs: tuple[RelabelConfig, ...] = ()
    alertmanagers: tuple[AlertmanagerConfig, ...] = ()
    resend_delay: DurationMs = Field(default=60_000, gt=0)
    """How long an alert that goes on is not told again."""

    @field_validator("backend")
    @classmethod
    def _somebody(cls, backend: str) -> str:
        if backend != EMBEDDED and not (backend.startswith(("http://", "https://")) and urlsplit(backend).hostname):
            raise ValueError(f"expected {EMBEDDED!r}, or the URL of an Alertmanager such as http://alertmanager:9093")
        if "@" in urlsplit(backend).netloc:
            raise ValueError("no user and password in the URL: name it under alertmanagers, with basic_auth")
        return backend

    @property
    def is_embedded(self) -> bool:
        """Whether we tell people ourselves."""
        return self.backend == EMBEDDED or self.mirror

    def managers(self) -> tuple[AlertmanagerConfig, ...]:
        """All that hear of the alerts."""
        if self.backend == EMBEDDED:
            return self.alertmanagers
        parts = urlsplit(self.backend)
        address = {"static_configs": [{"targets": [parts.netloc]}], "scheme": parts.scheme}
        return (AlertmanagerConfig.model_validate({**address, "path_prefix": parts.path or "/"}), *self.alertmanagers)


def anchored(config: AlertingConfig, directory: Path, resend_delay_ms: int | None = None) -> AlertingConfig:
    """With file names relative to `directory`, the one of the configuration, and the resend delay that the command
    line asks for."""
    managers = tuple(each.model_copy(update=anchored_http(each, directory)) for each in config.managers())
    delay_ms = config.resend_delay if resend_delay_ms is None else resend_delay_ms
    return config.model_copy(update={"alertmanagers": managers, "resend_delay": delay_ms})
