import sqlite3
import uuid
from contextlib import closing

import psycopg
import pytest


@pytest.fixture(params=["sqlite", "postgres"])
def connect(request, tmp_path):
    """New connections to an empty database, of each kind."""
    if request.param == "sqlite":

        def to_sqlite():
            connection = sqlite3.connect(tmp_path / "work.db", timeout=30, check_same_thread=False)
            connection.execute("pragma journal_mode=wal")
            return connection

        return to_sqlite
    url = request.getfixturevalue("postgres_url")
    schema = f"work_{uuid.uuid4().hex}"
    with psycopg.connect(url) as connection:
        connection.execute(f"create schema {schema}")
    return lambda: psycopg.connect(url, options=f"-c search_path={schema}")


@pytest.fixture
def connection(connect):
    with closing(connect()) as connection:
        yield connection
