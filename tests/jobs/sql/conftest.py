"""Databases of one test: a schema of Postgres, a database of MariaDB, a file of SQLite."""

import hashlib
import sqlite3
import uuid
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

import psycopg
import pymysql
import pytest

from trackside.jobs.sql.advice import grants
from trackside.jobs.sql.dialect import MYSQL, POSTGRES, SQLITE
from trackside.jobs.sql.source import open_jobs


class Postgres:
    dialect = POSTGRES
    now = "now()"

    def __init__(self, url):
        self.name = f"s{uuid.uuid4().hex[:12]}"
        self.url = f"{url}?options={quote(f'-csearch_path={self.name}')}"
        self._connection = psycopg.connect(self.url, autocommit=True)
        self.run(f"CREATE SCHEMA {self.name}")

    def run(self, sql, values=()):
        cursor = self._connection.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []

    @contextmanager
    def transaction(self):
        """Of another connection; committed when the block ends."""
        with psycopg.connect(self.url) as connection:
            yield connection

    def reader_url(self, table):
        """Of a role made with the statements that we print, in this schema instead of "public"."""
        role = f"r{uuid.uuid4().hex[:12]}"
        for statement in grants(table, self.dialect, role).split(";"):
            if statement.strip():
                self.run(statement.replace('SCHEMA "public"', f"SCHEMA {self.name}"))
        return self.url.replace("postgres@", f"{role}@")

    def digest(self):
        """Of all rows of all tables, with where they lie and which transactions touched them."""
        tables = self.run("SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1", (self.name,))
        rows = {name: self.run(f'SELECT ctid, xmin, xmax, t::text FROM "{name}" t ORDER BY ctid') for (name,) in tables}
        return hashlib.sha256(repr(rows).encode()).hexdigest()

    def close(self):
        self.run(f"DROP SCHEMA {self.name} CASCADE")
        self._connection.close()


class Mysql:
    dialect = MYSQL
    now = "UTC_TIMESTAMP(6)"

    def __init__(self, url):
        self.name = f"d{uuid.uuid4().hex[:12]}"
        self.url = url + self.name
        port = urlsplit(url).port
        self._connection = pymysql.connect(
            host="127.0.0.1", port=port, user="root", autocommit=True, init_command="SET time_zone = '+00:00'"
        )
        self.run(f"CREATE DATABASE {self.name}")
        self._connection.select_db(self.name)

    def run(self, sql, values=()):
        with self._connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetchall()

    def reader_url(self, table):
        role = f"r{uuid.uuid4().hex[:12]}"
        for statement in grants(table, self.dialect, role).split(";"):
            if statement.strip():
                self.run(statement.replace("your_database", self.name).replace("'...'", "'secret'"))
        return self.url.replace("root@", f"{role}:secret@")

    def digest(self):
        tables = [name for (name,) in self.run("SHOW TABLES")]
        return repr([self.run(f"CHECKSUM TABLE `{name}`") for name in tables])

    def close(self):
        self.run(f"DROP DATABASE {self.name}")
        self._connection.close()


class Sqlite:
    dialect = SQLITE
    now = "strftime('%Y-%m-%d %H:%M:%f', 'now')"

    def __init__(self, path):
        self.path = path
        self.url = f"sqlite:///{path}"
        self._connection = sqlite3.connect(path, isolation_level=None)

    def run(self, sql, values=()):
        return self._connection.execute(sql, values).fetchall()

    def reader_url(self, table):
        return self.url

    def digest(self):
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def close(self):
        self._connection.close()


@pytest.fixture
def open_source():
    """Of an address and a map; closed after the test. Patient: a busy machine may make any question wait."""
    sources = []

    def opened(url, table, **options):
        def is_secret(key):
            return any(word in key.lower() for word in ("password", "token", "api_key"))

        sources.append(open_jobs(url, table, is_secret=is_secret, **{"time_out_s": 60, **options}))
        return sources[-1]

    yield opened
    for source in sources:
        source.close()


@pytest.fixture
def postgres(postgres_url):
    database = Postgres(postgres_url)
    yield database
    database.close()


@pytest.fixture
def mysql(mysql_url):
    database = Mysql(mysql_url)
    yield database
    database.close()


@pytest.fixture
def sqlite(tmp_path):
    database = Sqlite(tmp_path / "jobs.db")
    yield database
    database.close()


@pytest.fixture(params=["postgres", "mysql", "sqlite"])
def database(request):
    """Each of the three in turn."""
    return request.getfixturevalue(request.param)
