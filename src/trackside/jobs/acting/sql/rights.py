"""What a role needs to act on jobs in tables, as statements to be copied."""

from __future__ import annotations

from collections.abc import Sequence

from trackside.jobs.sql.dialect import POSTGRES, Dialect
from trackside.jobs.sql.table_map import table_parts

_APALIS = "status, attempts, run_at, done_at, lock_at, lock_by"


def table_grants(table: str, dialect: Dialect = POSTGRES, role: str = "trackside_acts") -> str:
    """Of a table whose columns are not known here: which of them are changed depends on what there is."""
    if dialect.name == "sqlite":
        return "-- SQLite has no roles. A user of the system who may write the file and its folder is enough."
    name = dialect.table(table)
    if dialect.name == "mysql":
        where = name if len(table_parts(table)) > 1 else f"your_database.{name}"
        return "\n".join(
            [
                f"CREATE USER '{role}'@'%' IDENTIFIED BY '...';",
                f"GRANT SELECT, UPDATE, DELETE ON {where} TO '{role}'@'%';",
            ]
        )
    return _postgres(
        role,
        table_parts(table)[0] if len(table_parts(table)) > 1 else "public",
        [f"GRANT SELECT, UPDATE, DELETE ON {name}"],
    )


def apalis_grants(schema: str = "", role: str = "trackside_acts", *, is_1: bool = True) -> str:
    schema = schema or "apalis"
    jobs = POSTGRES.table(f"{schema}.jobs")
    error = "last_result" if is_1 else "last_error"
    return _postgres(role, schema, [f"GRANT SELECT, DELETE, UPDATE ({_APALIS}, {error}) ON {jobs}"])


def procrastinate_grants(schema: str = "", role: str = "trackside_acts") -> str:
    """Its functions and triggers run with the rights of who calls them."""

    def named(name: str) -> str:
        return POSTGRES.table(f"{schema or 'public'}.procrastinate_{name}")

    return _postgres(
        role,
        schema or "public",
        [
            f"GRANT SELECT, UPDATE, DELETE ON {named('jobs')}",
            f"GRANT INSERT ON {named('events')}",
            f"GRANT USAGE ON SEQUENCE {named('events_id_seq')}",
            f"GRANT SELECT, UPDATE ON {named('periodic_defers')}",
        ],
    )


def _postgres(role: str, schema: str, granted: Sequence[str]) -> str:
    quoted = POSTGRES.quoted(role)
    statements = [f"GRANT USAGE ON SCHEMA {POSTGRES.quoted(schema)}", *granted]
    return "\n".join(
        [f"CREATE ROLE {quoted} LOGIN PASSWORD '...';", *(f"{statement} TO {quoted};" for statement in statements)]
    )
