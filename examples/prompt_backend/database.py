"""Connections, and the table of sessions."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any
from uuid import uuid4

from prompt_backend.settings import DATABASE_URL
from trackside.outbox.dialects import creating, dialect_of, transaction

_SQLITE = "sqlite:///"
_SCHEMA = (
    """
    create table if not exists session (
        id text primary key,
        prompt text not null,
        inbox_status text not null,
        session_status text not null,
        created_at bigint not null
    )
    """,
    "create index if not exists session_active on session (created_at) where inbox_status = 'active'",
)
"""inbox_status: active, until the poller has queued it; pending, until it is published; published.
created_at: milliseconds since 1970."""
_COLUMNS = ("id", "prompt", "inbox_status", "session_status", "created_at")


def connect() -> Any:
    """A new connection: to SQLite, or with psycopg."""
    if DATABASE_URL.startswith(_SQLITE):
        connection = sqlite3.connect(DATABASE_URL.removeprefix(_SQLITE), timeout=30)
        connection.execute("pragma synchronous = normal")
        return connection
    try:
        import psycopg  # noqa: PLC0415 - only where DATABASE_URL says so
    except ImportError as error:
        raise SystemExit(
            "DATABASE_URL is not sqlite:///…, and Postgres needs: pip install 'psycopg[binary]'"
        ) from error
    return psycopg.connect(DATABASE_URL)


def create_tables() -> None:
    with closing(connect()) as connection:
        if isinstance(connection, sqlite3.Connection):
            # Those who read and those who write do not wait for each other.
            connection.execute("pragma journal_mode = wal")
        with creating(connection):
            for statement in _SCHEMA:
                connection.execute(statement)


def answers() -> None:
    """The health check of the database: raises when it does not answer."""
    with closing(connect()) as connection:
        connection.execute("select 1")


def create_session(prompt: str) -> dict[str, Any]:
    id = uuid4().hex
    with closing(connect()) as connection, transaction(connection):
        statement = "insert into session values (?, ?, 'active', 'active', {now})"
        dialect_of(connection).run(connection, statement, (id, prompt))
        return _sessions(connection, "where id = ?", id)[0]


def session(id: str) -> dict[str, Any] | None:
    with closing(connect()) as connection:
        return next(iter(_sessions(connection, "where id = ?", id)), None)


def latest_sessions(limit: int) -> list[dict[str, Any]]:
    with closing(connect()) as connection:
        return _sessions(connection, "order by created_at desc limit ?", limit)


def mark_published(id: str) -> None:
    with closing(connect()) as connection, transaction(connection):
        dialect_of(connection).run(connection, "update session set inbox_status = 'published' where id = ?", (id,))


def _sessions(connection: Any, which: str, *values: object) -> list[dict[str, Any]]:
    rows = dialect_of(connection).rows(connection, f"select {', '.join(_COLUMNS)} from session {which}", values)
    return [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
