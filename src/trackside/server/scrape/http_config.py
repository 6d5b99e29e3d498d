"""How to ask over HTTP: credentials, TLS, proxies and redirects, under Prometheus' names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr, model_validator

from trackside.server.schema import Section

# What cannot be set by hand, since the client sets it itself or another key does.
_RESERVED_HEADERS = frozenset(
    {"accept", "accept-encoding", "authorization", "connection", "content-length", "host", "transfer-encoding"}
)


class BasicAuth(Section):
    username: str = ""
    username_file: str = ""
    password: SecretStr = SecretStr("")
    password_file: str = ""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if self.password.get_secret_value() and self.password_file:
            raise ValueError("expected one of password and password_file, found both")
        if bool(self.username) == bool(self.username_file):
            raise ValueError("expected one of username and username_file")
        return self


class Authorization(Section):
    type: str = "Bearer"
    credentials: SecretStr = SecretStr("")
    credentials_file: str = ""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.credentials.get_secret_value() and self.credentials_file:
            raise ValueError("expected one of credentials and credentials_file, found both")
        if self.type.strip().lower() == "basic":
            raise ValueError('type "basic" is not for here; use basic_auth with username and password')
        return self


class TlsConfig(Section):
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False
    min_version: str = ""

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("expected cert_file and key_file together: one is no use without the other")
        if self.min_version not in ("", "TLS10", "TLS11", "TLS12", "TLS13"):
            raise ValueError(f"min_version: expected TLS10, TLS11, TLS12 or TLS13, found {self.min_version!r}")
        return self


class HeaderValues(Section):
    values: tuple[str, ...] = ()
    secrets: tuple[SecretStr, ...] = ()
    files: tuple[str, ...] = ()


class HttpClientConfig(Section):
    """Part of a scrape configuration and of an HTTP discovery."""

    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    bearer_token: SecretStr = SecretStr("")
    bearer_token_file: str = ""
    tls_config: TlsConfig = TlsConfig()
    follow_redirects: bool = True
    enable_http2: bool = True
    proxy_url: str = ""
    no_proxy: str = ""
    proxy_from_environment: bool = False
    http_headers: Mapping[str, HeaderValues] = {}

    @model_validator(mode="before")
    @classmethod
    def _refuse_oauth2(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("oauth2") is not None:
            raise ValueError("oauth2 is not supported; use authorization with a credentials_file that is kept fresh")
        return data

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Self:
        bearer = bool(self.bearer_token.get_secret_value()), bool(self.bearer_token_file)
        if sum((self.basic_auth is not None, self.authorization is not None, *bearer)) > 1:
            raise ValueError("expected at most one of basic_auth, authorization, bearer_token and bearer_token_file")
        if self.no_proxy and not self.proxy_url:
            raise ValueError("no_proxy has a meaning only beside proxy_url")
        if self.proxy_url and self.proxy_from_environment:
            raise ValueError("expected one of proxy_url and proxy_from_environment, found both")
        for name in self.http_headers:
            if name.lower() in _RESERVED_HEADERS:
                raise ValueError(f"http_headers: {name} cannot be set here")
        return self


def anchored_http(config: HttpClientConfig, directory: Path) -> dict[str, Any]:
    """Changes that make relative file names relative to `directory`, the one of the configuration file."""
    changes: dict[str, Any] = {"tls_config": _anchored(config.tls_config, directory)}
    if config.basic_auth is not None:
        changes["basic_auth"] = _anchored(config.basic_auth, directory)
    if config.authorization is not None:
        changes["authorization"] = _anchored(config.authorization, directory)
    if config.bearer_token_file:
        changes["bearer_token_file"] = anchored_path(config.bearer_token_file, directory)
    changes["http_headers"] = {
        name: values.model_copy(update={"files": tuple(anchored_path(file, directory) for file in values.files)})
        for name, values in config.http_headers.items()
    }
    return changes


def anchored_path(file: str, directory: Path) -> str:
    return str(directory / file) if file else ""


def _anchored(section: Section, directory: Path) -> Section:
    files = {
        name: anchored_path(getattr(section, name), directory)
        for name in type(section).model_fields
        if name.endswith("_file")
    }
    return section.model_copy(update=files)
