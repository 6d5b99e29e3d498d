"""The job libraries whose tables are known, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from trackside.exceptions import ConfigError
from trackside.jobs.sql.apalis import apalis
from trackside.jobs.sql.catalog import Choice
from trackside.jobs.sql.outbox import TABLE as OUTBOX_TABLE
from trackside.jobs.sql.outbox import outbox
from trackside.jobs.sql.plain import plain
from trackside.jobs.sql.postgres import oban, pgqueuer, river
from trackside.jobs.sql.procrastinate import procrastinate
from trackside.jobs.sql.rails import good_job, solid_queue

_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")


LIBRARIES: Mapping[str, Callable[[str], Choice]] = {
    "procrastinate": procrastinate,
    "apalis": apalis,
    "oban": oban,
    "river": river,
    "pgqueuer": pgqueuer,
    "good_job": good_job,
    "solid_queue": solid_queue,
    "outbox": lambda prefix: lambda columns_of: outbox(f"{prefix}{OUTBOX_TABLE}"),
    "jobs": lambda prefix: plain(f"{prefix}jobs"),
}
"""By name: from a schema with its point, or "", to the map."""


def library_map(name: str, schema: str = "") -> Choice:
    """The map of a library, or "jobs": a plain table of that name.

    Raises:
        ConfigError: a library that is not known, or a schema that is no name.
    """
    if name not in LIBRARIES:
        raise ConfigError(f"{name!r} is none of the known job libraries: {', '.join(LIBRARIES)}")
    if schema and _SCHEMA.fullmatch(schema) is None:
        raise ConfigError(f"{schema!r} is not the name of a schema")
    return LIBRARIES[name](f"{schema}." if schema else "")
