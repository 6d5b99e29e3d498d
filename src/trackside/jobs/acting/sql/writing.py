"""A database that is written to, a statement at a time, each of them a transaction of its own."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from trackside.exceptions import ConfigError, SourceError
from trackside.jobs.actor import RefusedError
from trackside.jobs.sql import drivers
from trackside.jobs.sql.address import dialect_of, mysql_arguments, postgres_url, scheme_of, sqlite_path
from trackside.jobs.sql.dialect import MYSQL, POSTGRES, SQLITE, Dialect

STATEMENT_S = 5
"""For one statement."""
_LOCK_S = 2
"""So long the application may hold a row that is to be changed."""
_CONNECT_S = 5
_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")


class Driver(Protocol):
    dialect: Dialect

    def connect(self) -> Any: ...

    def errors(self) -> tuple[type[Exception], ...]: ...

    def is_lost(self, connection: Any) -> bool: ...


class Writing:
    """An open connection."""

    def __init__(self, driver: Driver, connection: Any, where: str) -> None:
        self.dialect = driver.dialect
        self._driver = driver
        self._connection = connection
        self._where = where

    def __call__(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a question, or of a statement that returns some.

        Raises:
            RefusedError: a constraint, a lock, a right that is missing.
            SourceError: the connection is lost.
        """
        with self._cursor() as cursor:
            cursor.execute(sql, tuple(values))
            return [tuple(row) for row in cursor.fetchall()]

    def change(self, sql: str, values: Sequence[Any] = ()) -> int:
        """How many rows were changed; as above otherwise."""
        with self._cursor() as cursor:
            cursor.execute(sql, tuple(values))
            return int(cursor.rowcount)

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        cursor = self._connection.cursor()
        try:
            yield cursor
        except self._driver.errors() as error:
            said = " ".join(str(error).split())[:300] or type(error).__name__
            if self._driver.is_lost(self._connection):
                raise SourceError(f"{self._where}: {said}") from error
            raise RefusedError(f"the database refused: {said}") from error
        finally:
            cursor.close()


class Database:
    """Connected for as long as something is done, and not a moment longer."""

    def __init__(self, url: str, schema: str = "") -> None:
        """`schema`: where unqualified names are looked up first, in Postgres.

        Raises:
            ConfigError: the address of something else.
        """
        if schema and not _SCHEMA.fullmatch(schema):
            raise ConfigError(f"{schema!r} is not the name of a schema")
        self._driver = _driver(url, schema)
        parts = urlsplit(url)
        self._where = f"{scheme_of(url)}://{parts.hostname or ''}{parts.path}"
        self._password = parts.password or ""

    @property
    def dialect(self) -> Dialect:
        return self._driver.dialect

    @contextmanager
    def open(self) -> Iterator[Writing]:
        """
        Raises:
            SourceError: it cannot be reached.
        """
        try:
            connection = self._driver.connect()
        except self._errors() as error:
            said = " ".join(str(error).split())[:300]
            said = said.replace(self._password, "***") if self._password else said
            raise SourceError(f"{self._where} cannot be written to: {said}") from error
        try:
            yield Writing(self._driver, connection, self._where)
        finally:
            connection.close()

    def _errors(self) -> tuple[type[Exception], ...]:
        return (*self._driver.errors(), OSError)


def _driver(url: str, schema: str) -> Driver:
    dialect = dialect_of(url)
    if dialect is POSTGRES:
        return _Postgres(url, schema)
    if dialect is SQLITE:
        return _Sqlite(url)
    if dialect is MYSQL:
        return _Mysql(url)
    raise ConfigError("no database that jobs can be changed in; expected postgresql://, mysql:// or sqlite:///")


class _Postgres:
    dialect: Dialect = POSTGRES

    def __init__(self, url: str, schema: str) -> None:
        self._url = postgres_url(url)
        self._settings = [
            f"SET statement_timeout = {STATEMENT_S * 1000}",
            f"SET lock_timeout = {_LOCK_S * 1000}",
            "SET timezone = 'UTC'",
        ]
        if schema:
            # Functions of a library name its tables without a schema.
            self._settings.append(f"SET search_path = {self.dialect.quoted(schema)}, public")

    def connect(self) -> Any:
        connection = drivers.psycopg().connect(
            self._url,
            autocommit=True,
            connect_timeout=_CONNECT_S,
            prepare_threshold=None,
            application_name="trackside-acts",
        )
        for setting in self._settings:
            connection.execute(setting)
        return connection

    def errors(self) -> tuple[type[Exception], ...]:
        return (drivers.psycopg().Error,)

    def is_lost(self, connection: Any) -> bool:
        return bool(connection.closed)


class _Sqlite:
    dialect: Dialect = SQLITE

    def __init__(self, url: str) -> None:
        self._path = sqlite_path(url)

    def connect(self) -> Any:
        # Never makes the file: an empty one in the place of a mistyped name would look like an empty queue.
        uri = Path(self._path).absolute().as_uri() + "?mode=rw"
        return sqlite3.connect(uri, uri=True, timeout=_LOCK_S, isolation_level=None)

    def errors(self) -> tuple[type[Exception], ...]:
        return (sqlite3.Error,)

    def is_lost(self, connection: Any) -> bool:
        return False


class _Mysql:
    dialect: Dialect = MYSQL

    def __init__(self, url: str) -> None:
        self._url = url

    def connect(self) -> Any:
        return drivers.pymysql().connect(
            **mysql_arguments(self._url),
            autocommit=True,
            connect_timeout=_CONNECT_S,
            read_timeout=STATEMENT_S + _LOCK_S,
            init_command=f"SET time_zone = '+00:00', innodb_lock_wait_timeout = {_LOCK_S}",
        )

    def errors(self) -> tuple[type[Exception], ...]:
        return (drivers.pymysql().Error, RuntimeError)

    def is_lost(self, connection: Any) -> bool:
        return not connection.open
