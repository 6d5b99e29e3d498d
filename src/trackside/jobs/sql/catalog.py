"""What a database says about its tables: columns and their types, the words of an enumeration, the plan of a query."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from trackside.exceptions import SourceError
from trackside.jobs.sql.connection import Look
from trackside.jobs.sql.dialect import Dialect
from trackside.jobs.sql.table_map import TableMap, column_name, is_column, table_parts

_SMALL = 10_000
"""Rows; reading all of them takes a few milliseconds."""

_POSTGRES_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, NULL), NOT a.attnotnull
FROM pg_attribute a WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_MYSQL_COLUMNS = """
SELECT column_name, data_type, is_nullable = 'YES' FROM information_schema.columns
WHERE table_schema = coalesce(%s, database()) AND table_name = %s ORDER BY ordinal_position
"""
_POSTGRES_WORDS = """
SELECT e.enumlabel FROM pg_attribute a JOIN pg_enum e ON e.enumtypid = a.atttypid
WHERE a.attrelid = to_regclass(%s) AND a.attname = %s
"""


class Column(NamedTuple):
    kind: str
    is_nullable: bool


ColumnsOf = Callable[[str], Mapping[str, Column]]
"""Those of a table; none if there is no such table."""
Choice = Callable[[ColumnsOf], TableMap]
"""A map that depends on what is there."""


def columns_of(look: Look, dialect: Dialect, table: str) -> dict[str, Column]:
    """Empty: there is no such table."""
    parts = table_parts(table)
    if dialect.name == "postgres":
        rows = look(_POSTGRES_COLUMNS, (dialect.table(table),))
    elif dialect.name == "mysql":
        rows = look(_MYSQL_COLUMNS, (parts[0] if len(parts) > 1 else None, parts[-1]))
    else:
        rows = look('SELECT name, lower(type), NOT "notnull" FROM pragma_table_info(?)', (parts[-1],))
    return {str(name): Column(str(kind).lower(), bool(is_nullable)) for name, kind, is_nullable in rows}


def checked_columns(look: Look, dialect: Dialect, table: TableMap) -> dict[str, Column]:
    """Of the table of jobs.

    Raises:
        SourceError: a table is missing, or a column the map names; with those that there are.
    """
    columns = columns_of(look, dialect, table.table)
    _check(columns, table.table, list(table.columns()))
    for other in (table.workers, table.schedules, table.pauses):
        if other is not None:
            named = [
                (part, getattr(other, part)) for part in other.__slots__ if part not in ("table", "late_s", "times")
            ]
            wanted = [(part, column_name(text)) for part, text in named if is_column(text)]
            _check(columns_of(look, dialect, other.table), other.table, wanted)
    return columns


def enumeration(look: Look, dialect: Dialect, table: TableMap) -> frozenset[str] | None:
    """The words that the column of the state can have; None if it can have any."""
    if dialect.name != "postgres" or not is_column(table.state):
        return None
    words = look(_POSTGRES_WORDS, (dialect.table(table.table), column_name(table.state)))
    return frozenset(word for (word,) in words) or None


def reads_everything(look: Look, dialect: Dialect, table: str, sql: str, values: Sequence[Any] = ()) -> bool:
    """Whether a query goes through all rows of a big table to use a few of them."""
    name = table_parts(table)[-1]
    if dialect.name == "postgres":
        (rows,) = look(
            "SELECT coalesce(max(reltuples), 0) FROM pg_class WHERE oid = to_regclass(%s)", (dialect.table(table),)
        )[0]
        if rows < _SMALL:
            return False
        ((plan,),) = look(f"EXPLAIN (FORMAT JSON) {sql}", values)
        scans = _scans(plan if isinstance(plan, list) else json.loads(plan))
        return any(scan.get("Relation Name") == name and scan["Plan Rows"] < rows / 5 for scan in scans)
    if dialect.name == "mysql":
        plan = look(f"EXPLAIN {sql}", values)
        # MySQL has two columns more than MariaDB: partitions, before the type, and the filtered share, after the rows.
        return any(
            row[2] == "j" and "ALL" in row[3:5] and int(row[9 if len(row) > 10 else 8]) >= _SMALL for row in plan
        )
    ((rows,),) = look(f"SELECT coalesce(max(rowid), 0) FROM {dialect.table(table)}")
    plan = look(f"EXPLAIN QUERY PLAN {sql}", values)
    return rows >= _SMALL and any(row[3].startswith("SCAN j") and "USING" not in row[3] for row in plan)


def _scans(plan: Any) -> Iterator[Mapping[str, Any]]:
    """All sequential scans of a plan."""
    nodes = [one["Plan"] for one in plan]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if node["Node Type"] == "Seq Scan":
            yield node


def _check(columns: Mapping[str, Column], table: str, wanted: list[tuple[str, str]]) -> None:
    if not columns:
        raise SourceError(
            f"there is no table {table}, or the role may not see it; a schema other than the usual is written before it"
        )
    for part, name in wanted:
        if name not in columns:
            raise SourceError(f"table {table} has no column {name!r} (for {part!r}); there are: {', '.join(columns)}")
