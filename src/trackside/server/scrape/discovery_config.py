"""Where targets come from: static lists, files, DNS and HTTP, under Prometheus' names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from trackside.server.schema import DurationMs, Section
from trackside.server.scrape.http_config import HttpClientConfig, anchored_http, anchored_path

# One star, and only in the last part: a tree of directories that somebody else fills is not walked.
_FILE_PATTERN = re.compile(r"[^*]*(\*[^/]*)?\.(json|yml|yaml)", re.I)


def checked_address(address: str) -> str:
    """
    Raises:
        ValueError: no "host:port".
    """
    if not address or "/" in address or any(char.isspace() for char in address):
        raise ValueError(
            f"{address!r} is no target; expected host:port, such as localhost:8000 (scheme and metrics_path have keys)"
        )
    return address


Address = Annotated[str, AfterValidator(checked_address)]


class StaticConfig(Section):
    targets: tuple[Address, ...] = ()
    labels: Mapping[str, str] = {}


class FileSdConfig(Section):
    files: tuple[str, ...] = Field(min_length=1)
    refresh_interval: DurationMs = 300_000

    @field_validator("files")
    @classmethod
    def _readable_kinds(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        for file in files:
            if _FILE_PATTERN.fullmatch(file) is None:
                raise ValueError(f"{file!r}: expected a .json, .yml or .yaml file, with a * at most in its last part")
        return files


class DnsSdConfig(Section):
    names: tuple[str, ...] = Field(min_length=1)
    type: Literal["SRV", "A", "AAAA"] = "SRV"
    port: int | None = Field(default=None, ge=1, le=65535)
    refresh_interval: DurationMs = 30_000

    @model_validator(mode="after")
    def _port_where_dns_has_none(self) -> Self:
        if self.type != "SRV" and self.port is None:
            raise ValueError(f"port is required: {self.type} records have none")
        return self


class HttpSdConfig(HttpClientConfig):
    url: str
    refresh_interval: DurationMs = 60_000

    @field_validator("url")
    @classmethod
    def _http(cls, url: str) -> str:
        if not re.match(r"https?://[^/]", url):
            raise ValueError(f"expected a URL that starts with http:// or https://, found {url!r}")
        return url


DynamicConfig = FileSdConfig | DnsSdConfig | HttpSdConfig


def anchored_file_sd(config: FileSdConfig, directory: Path) -> FileSdConfig:
    return config.model_copy(update={"files": tuple(anchored_path(file, directory) for file in config.files)})


def anchored_http_sd(config: HttpSdConfig, directory: Path) -> HttpSdConfig:
    return config.model_copy(update=anchored_http(config, directory))
