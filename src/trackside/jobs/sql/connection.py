"""A database that is only looked at: in read-only transactions, with a time-out, and in sentences when it fails."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from trackside.exceptions import ConfigError, SourceError
from trackside.jobs.sql import drivers
from trackside.jobs.sql.address import dialect_of, mysql_arguments, postgres_url, scheme_of, sqlite_path
from trackside.jobs.sql.dialect import MYSQL, POSTGRES, SQLITE, Dialect

TIME_OUT_S = 2.0
"""For one statement; in SQLite, for all of a look."""
_CONNECT_TIME_OUT_S = 5


class TookTooLongError(SourceError):
    """The time-out of a statement."""


class Look(Protocol):
    """One read-only transaction: what it sees does not change while it lasts."""

    def __call__(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]: ...


class Driver(Protocol):
    """What differs between the client libraries."""

    dialect: Dialect

    def connect(self) -> Any: ...

    def begin(self, connection: Any) -> None: ...

    def errors(self) -> tuple[type[Exception], ...]: ...


class Connection:
    """Opened when first used, and again after a failure. For one thread at a time."""

    def __init__(self, url: str, time_out_s: float = TIME_OUT_S) -> None:
        """`url`: postgresql://, mysql:// or sqlite:///, as SQLAlchemy takes them.

        Raises:
            ConfigError: another kind of address.
        """
        self._driver = _driver(url, time_out_s)
        self._time_out_s = time_out_s
        self._where = _shown(url)
        self._password = urlsplit(url).password
        self._open: Any = None

    @property
    def dialect(self) -> Dialect:
        return self._driver.dialect

    @contextmanager
    def look(self) -> Iterator[Look]:
        """Nothing can be written in it, and nothing is when it ends.

        Raises:
            SourceError: the database cannot be reached, refuses, or takes too long.
        """
        errors = self._errors()
        try:
            if self._open is None:
                self._open = self._driver.connect()
            self._driver.begin(self._open)
            yield self._rows
            self._open.rollback()
        except errors as error:
            self.close()
            raise self._refusal(error) from error
        except BaseException:
            # An unfinished transaction would hold back the vacuum of the application's tables.
            self.close()
            raise

    def close(self) -> None:
        connection, self._open = self._open, None
        if connection is not None:
            try:
                connection.close()
            except self._errors():
                # It was gone already.
                return

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        cursor = self._open.cursor()
        try:
            cursor.execute(sql, tuple(values))
            return list(cursor.fetchall())
        finally:
            cursor.close()

    def _errors(self) -> tuple[type[Exception], ...]:
        return (*self._driver.errors(), OSError)

    def _refusal(self, error: Exception) -> SourceError:
        text = " ".join(str(error).split())[:400]
        if self._password:
            text = text.replace(self._password, "***")
        if _TOO_LONG.search(text):
            return TookTooLongError(
                f"{self._where}: a query took longer than {self._time_out_s:g} s and was ended;"
                f" an index, or a narrower question, helps ({text})"
            )
        sentences = [sentence for pattern, sentence in _SENTENCES if pattern.search(text)]
        return SourceError(f"{self._where}: {sentences[0]} ({text})" if sentences else f"{self._where}: {text}")


_TOO_LONG = re.compile(r"statement timeout|interrupted|max_statement_time|maximum statement execution", re.I)
_SENTENCES = [
    (re.compile(r"denied", re.I), "the role may not read this; `trackside check` prints the GRANT statements"),
    (re.compile(r"database is locked"), "the application has been writing all the time"),
    (re.compile(r"unable to open database file"), "there is no such file, or it may not be read"),
    (
        re.compile(r"refused|could not translate|failed to resolve|Can't connect|timeout expired|timed out", re.I),
        "the database cannot be reached",
    ),
]


def _driver(url: str, time_out_s: float) -> Driver:
    dialect = dialect_of(url)
    if dialect is POSTGRES:
        return _Postgres(url, time_out_s)
    if dialect is SQLITE:
        return _Sqlite(url, time_out_s)
    if dialect is MYSQL:
        return _Mysql(url, time_out_s)
    raise ConfigError(
        f"{scheme_of(url) or url[:20]!r} is no database that jobs can be read from; expected postgresql://, mysql:// or"
        " sqlite:///"
    )


def _shown(url: str) -> str:
    """Without the password."""
    parts = urlsplit(url)
    return f"{scheme_of(url)}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


class _Postgres:
    dialect: Dialect = POSTGRES

    def __init__(self, url: str, time_out_s: float) -> None:
        self._url = postgres_url(url)
        # In each transaction, not once for the connection: behind PgBouncer the next one may run elsewhere.
        self._begin = (
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
            f" SET LOCAL statement_timeout = {round(time_out_s * 1000)}; SET LOCAL timezone = 'UTC';"
            " SET LOCAL datestyle = 'ISO'; SET LOCAL extra_float_digits = 3"
        )

    def connect(self) -> Any:
        module = drivers.psycopg()
        # Never prepared: a general plan cannot use the partial index, and PgBouncer cannot keep it.
        return module.connect(
            self._url,
            autocommit=True,
            connect_timeout=_CONNECT_TIME_OUT_S,
            prepare_threshold=None,
            application_name="trackside",
        )

    def begin(self, connection: Any) -> None:
        connection.execute(self._begin)

    def errors(self) -> tuple[type[Exception], ...]:
        return (drivers.psycopg().Error,)


class _Sqlite:
    dialect: Dialect = SQLITE

    def __init__(self, url: str, time_out_s: float) -> None:
        self._path = sqlite_path(url)
        self._time_out_s = time_out_s
        self._until = 0.0
        self._has_snapshots = False

    def connect(self) -> Any:
        uri = Path(self._path).absolute().as_uri() + "?mode=ro"
        connection = sqlite3.connect(
            uri, uri=True, timeout=1, isolation_level=None, check_same_thread=False, cached_statements=0
        )
        connection.execute("PRAGMA query_only = 1")
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        connection.set_progress_handler(lambda: time.monotonic() > self._until, 10_000)
        self._until = time.monotonic() + self._time_out_s
        self._has_snapshots = connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        return connection

    def begin(self, connection: Any) -> None:
        self._until = time.monotonic() + self._time_out_s
        if self._has_snapshots:
            connection.execute("BEGIN")
        # Otherwise a transaction of ours would keep the application from writing, between its statements too.

    def errors(self) -> tuple[type[Exception], ...]:
        return (sqlite3.Error,)


class _Mysql:
    dialect: Dialect = MYSQL

    def __init__(self, url: str, time_out_s: float) -> None:
        self._url = url
        self._time_out_s = time_out_s

    def connect(self) -> Any:
        connection = drivers.pymysql().connect(
            **mysql_arguments(self._url),
            autocommit=True,
            connect_timeout=_CONNECT_TIME_OUT_S,
            read_timeout=self._time_out_s + _CONNECT_TIME_OUT_S,
        )
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION time_zone = '+00:00'")
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(self._limit(connection.get_server_info()))
        return connection

    def begin(self, connection: Any) -> None:
        connection.query("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def errors(self) -> tuple[type[Exception], ...]:
        module = drivers.pymysql()
        return (module.Error, RuntimeError)

    def _limit(self, version: str) -> str:
        if "MariaDB" in version:
            return f"SET SESSION max_statement_time = {self._time_out_s}"
        return f"SET SESSION max_execution_time = {round(self._time_out_s * 1000)}"
