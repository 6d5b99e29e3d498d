"""The `exporters` section: which databases are asked how they are, and how often."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from trackside.exceptions import ConfigError
from trackside.server.schema import DurationMs, Section

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OWN_LABELS = frozenset(("job", "instance"))


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class DatabaseConfig(Section):
    """One server. Its address may hold a password, and so may stand in a file."""

    schemes: ClassVar[tuple[str, ...]] = ()

    url: SecretStr = SecretStr("")
    url_file: str = ""
    """Relative to the configuration; read again at each reload."""
    instance: str = ""
    """Left out: host:port of the address."""
    labels: dict[str, Annotated[str, BeforeValidator(_text)]] = Field(default_factory=dict)
    interval: DurationMs = 15_000
    timeout: DurationMs = 5_000

    @field_validator("labels")
    @classmethod
    def _are_labels(cls, labels: dict[str, str]) -> dict[str, str]:
        for name in labels:
            if not _LABEL.fullmatch(name) or name.startswith("__") or name in _OWN_LABELS:
                raise ValueError(f"{name!r} cannot be a label here: not a name, or one that is ours")
        return labels

    @model_validator(mode="after")
    def _is_possible(self) -> DatabaseConfig:
        if bool(self.url.get_secret_value()) == bool(self.url_file):
            raise ValueError("expected either url or url_file")
        if self.url.get_secret_value():
            self._check(self.url.get_secret_value())
        if self.interval < 1_000:
            raise ValueError("interval: expected 1s or more")
        if not 0 < self.timeout <= self.interval:
            raise ValueError("timeout: expected more than 0 and not more than the interval")
        return self

    def address(self, folder: Path) -> str:
        """
        Raises:
            ConfigError: the file cannot be read, or holds no address.
        """
        if not self.url_file:
            return self.url.get_secret_value()
        try:
            found = (folder / self.url_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"exporters: url_file {self.url_file} cannot be read: {error}") from error
        try:
            self._check(found)
        except ValueError as error:
            raise ConfigError(f"exporters: url_file {self.url_file}: {error}") from error
        return found

    def _check(self, url: str) -> None:
        """
        Raises:
            ValueError: nobody can be asked there. The address is not repeated: there is a password in it.
        """
        expected = f"expected an address that begins with {' or '.join(f'{known}://' for known in self.schemes)}"
        try:
            parsed = urlsplit(url)
            known = parsed.scheme in self.schemes and (parsed.port is None or parsed.port > 0)
        except ValueError:
            known = False
        if not known:
            raise ValueError(expected)


class PostgresConfig(DatabaseConfig):
    schemes = ("postgresql", "postgres")


class RedisConfig(DatabaseConfig):
    schemes = ("redis", "rediss", "unix")


class ExportersConfig(Section):
    postgres: tuple[PostgresConfig, ...] = ()
    redis: tuple[RedisConfig, ...] = ()


def instance_of(config: DatabaseConfig, url: str, usual_port: int) -> str:
    """host:port, without what nobody may read."""
    parsed = urlsplit(url)
    if parsed.scheme == "unix":
        return config.instance or parsed.path
    host = parsed.hostname or "localhost"
    return config.instance or f"{f'[{host}]' if ':' in host else host}:{parsed.port or usual_port}"
