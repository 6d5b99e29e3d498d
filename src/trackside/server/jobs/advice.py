"""What whoever runs a back-end may copy: users that may do just enough for us, and indexes that make looks cheap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trackside.jobs.acting.rights import arq_rights, celery_rights, dramatiq_rights, rq_rights
from trackside.jobs.acting.sql.rights import apalis_grants, procrastinate_grants, table_grants
from trackside.jobs.celery.source import EVENTS_RULES
from trackside.jobs.redis_store import READ_ONLY_RULES
from trackside.jobs.sql.address import dialect_of
from trackside.jobs.sql.advice import grants, suggested_indexes
from trackside.jobs.sql.catalog import Column
from trackside.jobs.sql.dialect import Dialect
from trackside.jobs.sql.table_map import TableMap
from trackside.server.jobs.addresses import acting_url_of, url_of
from trackside.server.jobs.config import REDIS_TYPES, JobsConfig, JobSourceConfig
from trackside.server.jobs.opening import celery_settings, table_of

ROLE = "trackside"
ACTING_ROLE = "trackside_acts"
# Tables are not looked at: of what depends on the version of a library, the newest is meant.
_NEWEST = {"worker_id": Column("bigint", True)}


def source_advice(config: JobsConfig, folder: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A heading for each source, and lines to copy. Nothing of it holds a password.

    Raises:
        ConfigError: an address stands in a file that cannot be read.
    """
    for source in config.sources:
        lines = _redis(source, folder) if source.type in REDIS_TYPES else _sql(source, folder)
        yield f"jobs: the source {source.name} ({source.type}) needs no more than", tuple(lines)


def _redis(source: JobSourceConfig, folder: Path) -> Iterator[str]:
    rules = READ_ONLY_RULES.split(" ~", 1)
    more = f" {EVENTS_RULES}" if source.type == "celery" else ""
    # Users of their own, whatever the addresses say now: that may be the application's, which has to do more.
    yield f"ACL SETUSER {ROLE} on >... {rules[0]}{more} ~{rules[1]}"
    if acting_url_of(source, folder):
        yield f"ACL SETUSER {ACTING_ROLE} on >... {_acting_rights(source, folder)}"


def _sql(source: JobSourceConfig, folder: Path) -> Iterator[str]:
    dialect = dialect_of(url_of(source, folder))
    assert dialect is not None
    choice = table_of(source)
    table = choice if isinstance(choice, TableMap) else choice(lambda name: {} if source.type == "table" else _NEWEST)
    yield from grants(table, dialect, ROLE).splitlines()
    # Of a plain table the columns are not known here; the page of the jobs suggests an index when one is missing.
    indexes = () if source.type == "table" and choice is not table else suggested_indexes(table, dialect)
    if indexes:
        yield "-- with many jobs, these make each look cheap:"
        yield from indexes
    if acting_url_of(source, folder):
        yield from _acting_grants(source, table, dialect).splitlines()


def _acting_rights(source: JobSourceConfig, folder: Path) -> str:
    match source.type:
        case "rq":
            return rq_rights(source.prefix or "rq")
        case "arq":
            return arq_rights(source.queues)
        case "celery":
            return celery_rights(celery_settings(source, url_of(source, folder)))
    return dramatiq_rights(source.prefix or "dramatiq")


def _acting_grants(source: JobSourceConfig, table: TableMap, dialect: Dialect) -> str:
    match source.type:
        case "procrastinate":
            return procrastinate_grants(source.schema_, ACTING_ROLE)
        case "apalis":
            # Of 0.7 a column has another name.
            return apalis_grants(source.schema_, ACTING_ROLE) + " -- before apalis 1.0: last_error, not last_result"
        case "table":
            return table_grants(table.table, dialect, ACTING_ROLE)
    return f"-- nothing can be done to jobs of {source.type} here: act_url is of no use"
