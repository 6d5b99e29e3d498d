"""What whoever runs a back-end may copy: users that may do just enough for us, and indexes that make looks cheap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from trackside.jobs.acting.redis_writer import ACTING_RULES
from trackside.jobs.celery.source import EVENTS_RULES
from trackside.jobs.redis_store import READ_ONLY_RULES
from trackside.jobs.sql.advice import grants, suggested_indexes
from trackside.jobs.sql.catalog import Column
from trackside.jobs.sql.dialect import MYSQL, POSTGRES, SQLITE
from trackside.jobs.sql.table_map import TableMap
from trackside.server.jobs.config import REDIS_TYPES, JobsConfig, JobSourceConfig
from trackside.server.jobs.opening import acting_url_of, table_of, url_of

ROLE = "trackside"
ACTING_ROLE = "trackside_acts"
# Tables are not looked at: of what depends on the version of a library, the newest is meant.
_NEWEST = {"worker_id": Column("bigint", True)}
_DIALECTS = {"postgres": POSTGRES, "postgresql": POSTGRES, "mysql": MYSQL, "mariadb": MYSQL, "sqlite": SQLITE}


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
        yield f"ACL SETUSER {ACTING_ROLE} on >... {ACTING_RULES}"


def _sql(source: JobSourceConfig, folder: Path) -> Iterator[str]:
    dialect = _DIALECTS[urlsplit(url_of(source, folder)).scheme.partition("+")[0]]
    choice = table_of(source)
    table = choice if isinstance(choice, TableMap) else choice(lambda name: {} if source.type == "table" else _NEWEST)
    yield from grants(table, dialect, ROLE).splitlines()
    # Of a plain table the columns are not known here; the page of the jobs suggests an index when one is missing.
    indexes = () if source.type == "table" and choice is not table else suggested_indexes(table, dialect)
    if indexes:
        yield "-- with many jobs, these make each look cheap:"
        yield from indexes
