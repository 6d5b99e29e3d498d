"""How receivers are asked over HTTP: credentials, TLS, proxies and redirects, under Alertmanager's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field, SecretStr, model_validator

from trackside.server.receivers.fields import ConfigFile, Flag, SecretText, WebUrl, only_one
from trackside.server.schema import Section, Text

CLIENT_CREDENTIALS = "client_credentials"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TLS_VERSIONS = ("TLS10", "TLS11", "TLS12", "TLS13")
NO_SECRET = SecretStr("")

# What the client sets itself, or another key does.
_RESERVED_HEADERS = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "trailer",
        "transfer-encoding",
        "user-agent",
        "www-authenticate",
        "x-prometheus-remote-write-version",
        "x-prometheus-scrape-timeout-seconds",
    }
)


class BasicAuth(Section):
    username: Text = ""
    username_file: ConfigFile = ""
    username_ref: Text = ""
    password: SecretText = NO_SECRET
    password_file: ConfigFile = ""
    password_ref: Text = ""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        only_one(self, "username", "username_file", "username_ref")
        only_one(self, "password", "password_file", "password_ref")
        return self


class Authorization(Section):
    type: Text = "Bearer"
    credentials: SecretText = NO_SECRET
    credentials_file: ConfigFile = ""
    credentials_ref: Text = ""

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        only_one(self, "credentials", "credentials_file", "credentials_ref")
        if self.type.strip().lower() == "basic":
            raise ValueError('type "basic" is not for here; use basic_auth with username and password')
        return self


class TlsConfig(Section):
    ca: Text = ""
    ca_file: ConfigFile = ""
    ca_ref: Text = ""
    cert: Text = ""
    cert_file: ConfigFile = ""
    cert_ref: Text = ""
    key: SecretText = NO_SECRET
    key_file: ConfigFile = ""
    key_ref: Text = ""
    server_name: Text = ""
    insecure_skip_verify: Flag = False
    min_version: Text = ""
    max_version: Text = ""

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        for part in ("ca", "cert", "key"):
            only_one(self, part, f"{part}_file", f"{part}_ref")
        certificate = self.cert or self.cert_file or self.cert_ref
        key = self.key or self.key_file or self.key_ref
        if bool(certificate) != bool(key):
            raise ValueError("expected a certificate and a key together: one is no use without the other")
        for name in ("min_version", "max_version"):
            if getattr(self, name) not in ("", *TLS_VERSIONS):
                raise ValueError(f"{name}: expected TLS10, TLS11, TLS12 or TLS13, found {getattr(self, name)!r}")
        return self


class ProxyConfig(Section):
    proxy_url: Text = Field(default="", repr=False)
    no_proxy: Text = ""
    proxy_from_environment: Flag = False
    proxy_connect_header: Mapping[str, tuple[SecretText, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_proxy(self) -> Self:
        only_one(self, "proxy_url", "proxy_from_environment")
        if self.no_proxy and not self.proxy_url:
            raise ValueError("no_proxy has a meaning only beside proxy_url")
        if self.proxy_connect_header and not (self.proxy_url or self.proxy_from_environment):
            raise ValueError("proxy_connect_header has a meaning only with a proxy")
        return self


class OAuth2(ProxyConfig):
    client_id: Text = ""
    client_secret: SecretText = NO_SECRET
    client_secret_file: ConfigFile = ""
    client_secret_ref: Text = ""
    client_certificate_key_id: Text = ""
    client_certificate_key: SecretText = NO_SECRET
    client_certificate_key_file: ConfigFile = ""
    client_certificate_key_ref: Text = ""
    signature_algorithm: Text = ""
    grant_type: Text = CLIENT_CREDENTIALS
    iss: Text = ""
    audience: Text = ""
    claims: Mapping[str, object] = Field(default_factory=dict)
    scopes: tuple[Text, ...] = ()
    token_url: WebUrl
    endpoint_params: Mapping[str, Text] = Field(default_factory=dict)
    tls_config: TlsConfig = Field(default_factory=TlsConfig)

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if not self.client_id:
            raise ValueError("expected a client_id")
        only_one(self, "client_secret", "client_secret_file", "client_secret_ref")
        only_one(self, *(f"client_certificate_key{end}" for end in ("", "_file", "_ref")))
        if self.grant_type not in (CLIENT_CREDENTIALS, JWT_BEARER):
            raise ValueError(f"grant_type: expected {CLIENT_CREDENTIALS} or {JWT_BEARER}, found {self.grant_type!r}")
        return self


class HeaderValues(Section):
    values: tuple[Text, ...] = ()
    secrets: tuple[SecretText, ...] = ()
    files: tuple[ConfigFile, ...] = ()


class HttpConfig(ProxyConfig):
    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    oauth2: OAuth2 | None = None
    bearer_token: SecretText = NO_SECRET
    bearer_token_file: ConfigFile = ""
    tls_config: TlsConfig = Field(default_factory=TlsConfig)
    follow_redirects: Flag = True
    enable_http2: Flag = True
    http_headers: Mapping[str, HeaderValues] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Self:
        only_one(self, "basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file")
        for name in self.http_headers:
            if name.lower() in _RESERVED_HEADERS:
                raise ValueError(f"http_headers: {name} cannot be set here")
        return self
