"""From the configuration to the sources: which class reads what, and what is missing on this machine to do so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from trackside.exceptions import ConfigError, SourceError
from trackside.jobs.arq.source import ArqSource
from trackside.jobs.arq.wire import QUEUE as ARQ_QUEUE
from trackside.jobs.celery.broker import Settings as CelerySettings
from trackside.jobs.celery.source import CelerySource
from trackside.jobs.dramatiq.source import DramatiqSource
from trackside.jobs.redis_store import RedisStore, connected
from trackside.jobs.rq.source import RqSource
from trackside.jobs.source import JobSource
from trackside.jobs.sql.catalog import Choice
from trackside.jobs.sql.configured import table_map
from trackside.jobs.sql.libraries import library_map
from trackside.jobs.sql.outbox import TABLE as OUTBOX_TABLE
from trackside.jobs.sql.outbox import outbox
from trackside.jobs.sql.plain import USUAL_STATES, plain
from trackside.jobs.sql.source import open_jobs
from trackside.jobs.sql.table_map import TableMap
from trackside.model.secret_keys import SecretKeys
from trackside.server.jobs.addresses import acting_url_of, url_of
from trackside.server.jobs.config import REDIS_TYPES, JobsConfig, JobSourceConfig
from trackside.server.jobs.sampler import Pace
from trackside.server.yamlfile import YamlDocument

_REDIS = ("redis", "pip install redis")
_POSTGRES = ("psycopg", "pip install 'psycopg[binary]'")
_MYSQL = ("pymysql", "pip install pymysql")
_LIBRARIES = {
    "redis": _REDIS,
    "rediss": _REDIS,
    "unix": _REDIS,
    "postgresql": _POSTGRES,
    "postgres": _POSTGRES,
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "sqlite": ("", ""),
}
_REDIS_SCHEMES = frozenset(("redis", "rediss", "unix"))
_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?")

HasModule = Callable[[str], bool]


def _has_module(name: str) -> bool:
    return find_spec(name) is not None


def open_sources(config: JobsConfig, folder: Path) -> dict[str, tuple[JobSource, Pace]]:
    """By name, in the order of the configuration. None of them is connected to before it is first looked at.

    Raises:
        ConfigError: one of them cannot be opened; the others are closed again.
    """
    opened: dict[str, tuple[JobSource, Pace]] = {}
    try:
        for one in config.sources:
            opened[one.name] = (open_source(one, folder), Pace(interval_s=one.interval / 1_000))
    except BaseException:
        for source, _ in opened.values():
            source.close()
        raise
    return opened


def open_source(config: JobSourceConfig, folder: Path) -> JobSource:
    """
    Raises:
        ConfigError: it cannot be opened as configured.
    """
    try:
        url = url_of(config, folder)
        if config.type in REDIS_TYPES:
            return _in_redis(config, url, folder)
        return open_jobs(url, table_of(config), is_secret=_is_secret())
    except SourceError as error:
        raise ConfigError(f"jobs: the source {config.name}: {error}") from error


def table_of(config: JobSourceConfig) -> TableMap | Choice:
    """What a source in a database reads.

    Raises:
        ConfigError: a map that makes no sense.
    """
    if config.type not in ("table", "outbox"):
        return library_map(config.type, config.schema_)
    is_outbox = config.type == "outbox"
    table = OUTBOX_TABLE if is_outbox and "table" not in config.model_fields_set else config.table
    if isinstance(table, dict):
        if is_outbox:
            raise ConfigError("expected the name of the table; its columns are known")
        return table_map({"states": {word: state.value for word, state in USUAL_STATES.items()}} | table)
    name = f"{config.schema_}.{table}" if config.schema_ and "." not in table else table
    if not _TABLE.fullmatch(name):
        raise ConfigError(f"{name!r} is not the name of a table")
    return outbox(name) if is_outbox else plain(name)


def check_sources(document: YamlDocument, config: JobsConfig, folder: Path, has: HasModule = _has_module) -> None:
    """Everything that can be known without asking the back-ends.

    Raises:
        ConfigError: with file, line and key, and what to install where something is missing.
    """
    names: set[str] = set()
    for index, source in enumerate(config.sources):
        path = ("jobs", "sources", index)
        if source.name in names:
            raise document.error((*path, "name"), f"a source named {source.name!r} exists already")
        names.add(source.name)
        for key, reason in _mistakes(source, folder, has):
            raise document.error((*path, key), reason)
    for index, expected in enumerate(config.expect):
        if expected.source and expected.source not in names:
            known = ", ".join(sorted(names)) or "none"
            raise document.error(
                ("jobs", "expect", index, "source"), f"no source is named {expected.source!r}; there are: {known}"
            )


def _mistakes(source: JobSourceConfig, folder: Path, has: HasModule) -> Iterator[tuple[str, str]]:
    for key, read in (("url", url_of), ("act_url", acting_url_of)):
        try:
            url = read(source, folder)
        except ConfigError as error:
            yield f"{key}_file", str(error)
            continue
        if url:
            given = f"{key}_file" if getattr(source, f"{key}_file") else key
            yield from ((given, reason) for reason in _url_mistakes(source, url, has))
    if source.type not in REDIS_TYPES:
        try:
            table_of(source)
        except ConfigError as error:
            yield ("table" if source.type in ("table", "outbox") else "schema"), str(error)


def _url_mistakes(source: JobSourceConfig, url: str, has: HasModule) -> Iterator[str]:
    scheme = urlsplit(url).scheme.partition("+")[0]
    wanted = "redis://" if source.type in REDIS_TYPES else "postgresql://, mysql:// or sqlite:///"
    if scheme not in _LIBRARIES or (scheme in _REDIS_SCHEMES) != (source.type in REDIS_TYPES):
        # Not the address itself: a password may stand in it.
        yield f"expected an address that begins with {wanted} for the type {source.type}"
        return
    try:
        _ = urlsplit(url).port
    except ValueError as error:
        yield f"not an address: {error}"
    module, command = _LIBRARIES[scheme]
    if module and not has(module):
        yield f"the type {source.type} at {scheme}:// needs the package {module}, which is not installed: {command}"


def _in_redis(config: JobSourceConfig, url: str, folder: Path) -> JobSource:
    store, is_secret = connected(url), _is_secret()
    match config.type:
        case "rq":
            return RqSource(store, is_secret=is_secret, prefix=config.prefix or "rq")
        case "celery":
            return _celery(config, url, store, acting_url_of(config, folder))
        case "arq":
            return ArqSource(store, is_secret=is_secret, queues=config.queues or (ARQ_QUEUE,))
    return DramatiqSource(store, is_secret=is_secret, namespace=config.prefix or "dramatiq", queues=config.queues)


def _celery(config: JobSourceConfig, url: str, store: RedisStore, acting_url: str) -> CelerySource:
    asks_by = connected(acting_url) if acting_url else None
    return CelerySource(store, is_secret=_is_secret(), settings=celery_settings(config, url), asks_by=asks_by)


def celery_settings(config: JobSourceConfig, url: str) -> CelerySettings:
    number = urlsplit(url).path.strip("/")
    return CelerySettings(
        db=int(number) if number.isdigit() else 0, queues=config.queues or ("celery",), prefix=config.prefix
    )


def _is_secret() -> Callable[[str], bool]:
    return SecretKeys().__contains__
