"""How to log in at a receiver: the part of Alertmanager's `http_config` that we support."""

from __future__ import annotations

from pydantic import Field, model_validator

from trackside.server.schema import Section


class BasicAuth(Section):
    username: str = ""
    password: str | None = Field(default=None, repr=False)
    password_file: str | None = None

    @model_validator(mode="after")
    def _one_password(self) -> BasicAuth:
        if self.password is not None and self.password_file is not None:
            raise ValueError("`password` and `password_file` exclude each other")
        return self


class Authorization(Section):
    type: str = "Bearer"
    credentials: str | None = Field(default=None, repr=False)
    credentials_file: str | None = None

    @model_validator(mode="after")
    def _one_credential(self) -> Authorization:
        if (self.credentials is None) == (self.credentials_file is None):
            raise ValueError("expected either `credentials` or `credentials_file`")
        if self.type.lower() == "basic":
            raise ValueError("for basic authentication use `basic_auth`")
        return self


class HttpConfig(Section):
    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None

    @model_validator(mode="after")
    def _one_way(self) -> HttpConfig:
        if self.basic_auth is not None and self.authorization is not None:
            raise ValueError("`basic_auth` and `authorization` exclude each other")
        return self
