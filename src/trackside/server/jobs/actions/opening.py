"""From the configuration to what may be done: with the second credential of a source, or not at all."""

from __future__ import annotations

from pathlib import Path

from trackside.exceptions import ConfigError, SourceError
from trackside.jobs.acting.arq import ArqActor
from trackside.jobs.acting.celery import CeleryActor
from trackside.jobs.acting.dramatiq import DramatiqActor
from trackside.jobs.acting.rq import RqActor
from trackside.jobs.acting.sql.actor import Deeds, DeedsOf, SqlActor
from trackside.jobs.acting.sql.apalis import apalis
from trackside.jobs.acting.sql.procrastinate import procrastinate
from trackside.jobs.acting.sql.table import table
from trackside.jobs.acting.sql.writing import Database
from trackside.jobs.actor import JobActor
from trackside.jobs.arq.wire import QUEUE as ARQ_QUEUE
from trackside.jobs.redis_store import connected
from trackside.server.jobs.addresses import acting_url_of
from trackside.server.jobs.config import REDIS_TYPES, JobSourceConfig
from trackside.server.jobs.opening import celery_settings, table_of


def open_actor(config: JobSourceConfig, folder: Path) -> JobActor | None:
    """None: it has no second credential.

    Raises:
        ConfigError: it cannot be opened as configured.
    """
    url = acting_url_of(config, folder)
    if not url:
        return None
    try:
        if config.type in REDIS_TYPES:
            return _in_redis(config, url)
        schema = config.schema_ if config.type == "procrastinate" else ""
        return SqlActor(Database(url, schema), _deeds_of(config))
    except SourceError as error:
        raise ConfigError(f"jobs: the source {config.name}: act_url: {error}") from error


def _in_redis(config: JobSourceConfig, url: str) -> JobActor:
    store = connected(url)
    match config.type:
        case "rq":
            return RqActor(store, config.prefix or "rq")
        case "celery":
            return CeleryActor(store, celery_settings(config, url))
        case "arq":
            return ArqActor(store, config.queues or (ARQ_QUEUE,))
    return DramatiqActor(store, config.prefix or "dramatiq", config.queues)


def _deeds_of(config: JobSourceConfig) -> DeedsOf:
    match config.type:
        case "procrastinate":
            return procrastinate(config.schema_)
        case "apalis":
            return apalis(config.schema_)
        case "table":
            name = config.table if isinstance(config.table, str) else ""
            return table(table_of(config), f"{config.schema_}.{name}" if config.schema_ and "." not in name else name)
    # What their workers keep in memory, and whom they notify, was not tried out with any of them.
    return lambda writing: Deeds()
