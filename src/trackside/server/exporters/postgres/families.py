"""Rows of PostgreSQL's own views, as postgres_exporter names them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trackside.model.metrics import MetricType
from trackside.server.exporters.families import Families
from trackside.server.exporters.postgres import store

Row = Mapping[str, Any]
Told = Callable[[Families, Sequence[Row]], None]
COUNTER, GAUGE, UNKNOWN = MetricType.COUNTER, MetricType.GAUGE, MetricType.UNKNOWN


@dataclass(frozen=True, slots=True)
class Collector:
    """One question, and what is made of its answer."""

    name: str
    sql: str
    told: Told
    since: int = 0
    """First version that can answer, as `server_version_num`."""
    parameters: tuple[Any, ...] = ()


# PostgreSQL's units are what one step of the setting means: `8kB` of a setting 16384 is 128 MiB.
_UNIT = re.compile(r"(\d*)([A-Za-z]+)")
_BYTES = {"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


def setting(value: str, unit: str) -> tuple[str, float] | None:
    """What stands behind the name, and the number in base units; None where there is no number.

    A negative value is a word ("off", "as elsewhere"), and is left as it is.
    """
    if value in ("on", "off"):
        return "", float(value == "on")
    try:
        number = float(value)
    except ValueError:
        return None
    found = _UNIT.fullmatch(unit)
    if not unit or found is None:
        return "", number
    times = float(found[1] or 1)
    for suffix, sizes in (("_bytes", _BYTES), ("_seconds", _SECONDS)):
        if found[2] in sizes:
            return suffix, number if number < 0 else number * times * sizes[found[2]]
    return "", number


def settings(families: Families, rows: Sequence[Row]) -> None:
    for row in rows:
        found = setting(row["value"] or "", row["unit"])
        if found is not None:
            suffix, value = found
            unit = {"_bytes": " [Units converted to bytes.]", "_seconds": " [Units converted to seconds.]"}
            name = "pg_settings_" + row["name"].replace(".", "_") + suffix
            families.gauge(name, f"{row['short_desc']}{unit.get(suffix, '')}", value)


def activity(families: Families, rows: Sequence[Row]) -> None:
    for row in rows:
        labels = {"datname": row["datname"], "state": row["state"]}
        families.gauge("pg_stat_activity_count", "Connections in this state.", row["number"], **labels)
        families.gauge(
            "pg_stat_activity_max_tx_duration",
            "For how many seconds the oldest transaction of a connection in this state has been open.",
            row["longest_s"],
            **labels,
        )


def locks(families: Families, rows: Sequence[Row]) -> None:
    for row in rows:
        families.gauge("pg_locks_count", "Locks.", row["number"], datname=row["datname"], mode=row["mode"])


def sizes(families: Families, rows: Sequence[Row]) -> None:
    for row in rows:
        families.gauge("pg_database_size_bytes", "Disk space of the database.", row["bytes"], datname=row["datname"])


_GAUGES = frozenset(("numbackends",))
# Newer columns, whose kind the exporter does not say either.
_UNTYPED = re.compile(r"(active|session|idle_in_transaction)_time|sessions.*|checksum_.*|parallel_.*")


def databases(families: Families, rows: Sequence[Row]) -> None:
    _columns(families, rows, "pg_stat_database")


def conflicts(families: Families, rows: Sequence[Row]) -> None:
    _columns(families, rows, "pg_stat_database_conflicts")


def _columns(families: Families, rows: Sequence[Row], prefix: str) -> None:
    for row in rows:
        labels = {"datid": str(row["datid"]), "datname": row["datname"] or ""}
        for name, value in row.items():
            if name in labels:
                continue
            kind = GAUGE if name in _GAUGES else UNKNOWN if _UNTYPED.fullmatch(name) else COUNTER
            families.add(f"{prefix}_{name}", kind, f"Column {name} of the view {prefix}.", _number(value), labels)


def background_writer(families: Families, rows: Sequence[Row]) -> None:
    for row in rows:
        for name, value in row.items():
            families.counter(
                f"pg_stat_bgwriter_{name}_total", f"Column {name} of the view pg_stat_bgwriter.", _number(value)
            )


# Where version 17 has put what the background writer's view had before.
_MOVED = {
    "num_timed": "checkpoints_timed",
    "num_requested": "checkpoints_req",
    "write_time": "checkpoint_write_time",
    "sync_time": "checkpoint_sync_time",
    "buffers_written": "buffers_checkpoint",
}


def checkpointer(families: Families, rows: Sequence[Row]) -> None:
    background_writer(families, [{new: row[old] for old, new in _MOVED.items() if old in row} for row in rows])


def archiver(families: Families, rows: Sequence[Row]) -> None:
    for row in rows:
        families.counter(
            "pg_stat_archiver_archived_count", "Files of the log that were archived.", row["archived_count"]
        )
        families.counter("pg_stat_archiver_failed_count", "Failed attempts to archive one.", row["failed_count"])
        families.gauge(
            "pg_stat_archiver_last_archive_age", "Seconds since one was last archived.", row["last_archive_age"]
        )


def replica_lag(families: Families, rows: Sequence[Row]) -> None:
    for row in rows:
        # The name has changed over the exporter's versions; rules are written with either.
        for name in ("pg_replication_lag", "pg_replication_lag_seconds"):
            families.gauge(name, "How many seconds this server is behind the one it is a copy of.", row["lag_s"])


def replicas(families: Families, rows: Sequence[Row]) -> None:
    for row in rows:
        families.gauge(
            "pg_stat_replication_pg_wal_lsn_diff",
            "How many bytes of the log a copy of this server has not replayed.",
            row["behind_bytes"],
            **{name: row[name] or "" for name in ("application_name", "client_addr", "state", "slot_name")},
        )


def slots(families: Families, rows: Sequence[Row]) -> None:
    for row in rows:
        labels = {name: row[name] for name in ("slot_name", "slot_type", "database")}
        families.gauge("pg_replication_slots_active", "Whether somebody reads from the slot.", row["active"], **labels)
        families.gauge(
            "pg_replication_slots_pg_wal_lsn_diff", "Bytes of the log that it keeps.", row["behind_bytes"], **labels
        )


_TABLE_GAUGES = frozenset(
    (
        *("n_live_tup", "n_dead_tup", "n_mod_since_analyze"),
        *("last_vacuum", "last_autovacuum", "last_analyze", "last_autoanalyze"),
    )
)


def tables(families: Families, rows: Sequence[Row]) -> None:
    for row in rows:
        labels = {name: row[name] for name in ("datname", "schemaname", "relname")}
        for name, value in row.items():
            if name not in labels:
                kind = GAUGE if name in _TABLE_GAUGES else COUNTER
                text = f"Column {name} of the view pg_stat_user_tables."
                families.add(f"pg_stat_user_tables_{name}", kind, text, _number(value), labels)


def _number(value: Any) -> float | None:
    """Times as Unix time."""
    if value is None:
        return None
    return value.timestamp() if isinstance(value, datetime) else float(value)


COLLECTORS = (
    Collector("settings", store.SETTINGS, settings, parameters=(list(store.OWN_SETTINGS),)),
    Collector("stat_activity", store.ACTIVITY, activity),
    Collector("locks", store.LOCKS, locks),
    Collector("stat_database", store.DATABASES, databases),
    Collector("stat_database_conflicts", store.CONFLICTS, conflicts),
    Collector("bgwriter", store.BACKGROUND_WRITER, background_writer),
    Collector("checkpointer", store.CHECKPOINTER, checkpointer, 170_000),
    Collector("archiver", store.ARCHIVER, archiver),
    Collector("replication", store.REPLICA_LAG, replica_lag, 100_000),
    Collector("stat_replication", store.REPLICAS, replicas, 100_000),
    Collector("replication_slot", store.SLOTS, slots, 100_000),
    Collector("stat_user_tables", store.TABLES, tables),
    # Last, since it may take long: sizes are looked up file by file.
    Collector("database", store.SIZES, sizes),
)
