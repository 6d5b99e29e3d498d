"""Where a database is, as SQLAlchemy writes it: postgresql://, mysql:// or sqlite:///."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from trackside.exceptions import ConfigError
from trackside.jobs.sql.dialect import MYSQL, POSTGRES, SQLITE, Dialect

_DIALECTS = {"postgres": POSTGRES, "postgresql": POSTGRES, "mysql": MYSQL, "mariadb": MYSQL, "sqlite": SQLITE}


def scheme_of(url: str) -> str:
    """Without the driver that SQLAlchemy would take."""
    return urlsplit(url).scheme.partition("+")[0]


def dialect_of(url: str) -> Dialect | None:
    """None: the address of something else."""
    return _DIALECTS.get(scheme_of(url))


def postgres_url(url: str) -> str:
    """As libpq takes it."""
    return "postgresql" + url[url.index(":") :]


def sqlite_path(url: str) -> str:
    """Three slashes for a relative path, four for an absolute one.

    Raises:
        ConfigError: there is none.
    """
    path = unquote(url.partition("://")[2].partition("?")[0].removeprefix("/"))
    if not path:
        raise ConfigError("sqlite:// needs the path of a file: sqlite:////var/lib/app/jobs.db")
    return path


def mysql_arguments(url: str) -> Mapping[str, Any]:
    """As PyMySQL takes them."""
    parts = urlsplit(url)
    return {
        "host": parts.hostname or "127.0.0.1",
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": unquote(parts.path.removeprefix("/")) or None,
        "charset": "utf8mb4",
    }
