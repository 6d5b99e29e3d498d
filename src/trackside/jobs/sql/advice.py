"""What whoever runs the database may copy: grants for a role that only reads, and indexes that make a look cheap."""

from __future__ import annotations

from collections.abc import Mapping

from trackside.jobs.sql.catalog import Column
from trackside.jobs.sql.connection import TIME_OUT_S
from trackside.jobs.sql.dialect import POSTGRES, Dialect
from trackside.jobs.sql.statements import LIVE, Statements
from trackside.jobs.sql.table_map import TableMap, column_name, is_column, table_parts


def grants(table: TableMap, dialect: Dialect = POSTGRES, role: str = "trackside") -> str:
    """Statements that make a role which can read what a map needs, and nothing else."""
    tables = table.tables()
    if dialect.name == "sqlite":
        return "-- SQLite has no roles. The file is opened with mode=ro; a user who may only read it is enough."
    if dialect.name == "mysql":
        lines = [f"CREATE USER '{role}'@'%' IDENTIFIED BY '...';"]
        for name in tables:
            where = dialect.table(name) if len(table_parts(name)) > 1 else f"your_database.{dialect.table(name)}"
            lines.append(f"GRANT SELECT ON {where} TO '{role}'@'%';")
        return "\n".join(lines)
    quoted = dialect.quoted(role)
    schemas = dict.fromkeys(table_parts(name)[0] if len(table_parts(name)) > 1 else "public" for name in tables)
    return "\n".join(
        [
            f"CREATE ROLE {quoted} LOGIN PASSWORD '...';",
            f"ALTER ROLE {quoted} SET default_transaction_read_only = on;",
            f"ALTER ROLE {quoted} SET statement_timeout = '{TIME_OUT_S:g}s';",
            *(f"GRANT USAGE ON SCHEMA {dialect.quoted(schema)} TO {quoted};" for schema in schemas),
            f"GRANT SELECT ON {', '.join(dialect.table(name) for name in tables)} TO {quoted};",
        ]
    )


def suggested_indexes(
    table: TableMap, dialect: Dialect = POSTGRES, found: Mapping[str, Column] | None = None
) -> tuple[str, ...]:
    """CREATE INDEX statements for the counting and for the ends. `found`: the columns as they are, if that is known."""
    name = dialect.table(table.table)
    if table.indexes:
        return tuple(index.replace("{table}", name) for index in table.indexes)
    statements = Statements(table, dialect, found or {})
    indexes = []
    if is_column(table.state) and not table.live:
        ready = [table.due, table.enqueued] if "coalesce" in statements.ready else [table.due or table.enqueued]
        columns = _columns(dialect, table.state, table.queue, *ready)
        words = dialect.words(statements.words(*LIVE))
        where = "" if dialect.name == "mysql" else f" WHERE {dialect.quoted(column_name(table.state))} IN ({words})"
        indexes.append(_index(table, dialect, "live", columns, where))
    ends = table.endings
    if is_column(ends.position):
        columns = _columns(dialect, ends.position, ends.id)
        where = "" if dialect.name == "mysql" else f" WHERE {dialect.quoted(column_name(ends.position))} IS NOT NULL"
        indexes.append(_index(ends, dialect, "ended", columns, where))
    return tuple(indexes)


def _columns(dialect: Dialect, *parts: str) -> str:
    names = [dialect.quoted(column_name(part)) for part in parts if part and is_column(part)]
    return ", ".join(dict.fromkeys(names))


def _index(table: TableMap, dialect: Dialect, purpose: str, columns: str, where: str) -> str:
    index = dialect.quoted(f"{table_parts(table.table)[-1]}_{purpose}_trackside")
    how = "CREATE INDEX CONCURRENTLY IF NOT EXISTS" if dialect.name == "postgres" else "CREATE INDEX"
    return f"{how} {index} ON {dialect.table(table.table)} ({columns}){where};"
