import sqlite3
import uuid
from contextlib import closing
from urllib.parse import quote

import psycopg
import pytest


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    """Of an empty database, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/work.db"
    url = request.getfixturevalue("postgres_url")
    schema = f"work_{uuid.uuid4().hex}"
    with psycopg.connect(url) as connection:
        connection.execute(f"create schema {schema}")
    return f"{url}?options={quote(f'-csearch_path={schema}')}"


@pytest.fixture
def connect(url):
    """New connections to it."""
    if not url.startswith("sqlite"):
        return lambda: psycopg.connect(url)

    def to_sqlite():
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30, check_same_thread=False)
        connection.execute("pragma journal_mode=wal")
        return connection

    return to_sqlite


@pytest.fixture
def connection(connect):
    with closing(connect()) as connection:
        yield connection
