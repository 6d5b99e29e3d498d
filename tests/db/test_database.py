"""One writer, many readers, and a file that survives what goes wrong."""

from __future__ import annotations

import sqlite3

import pytest

from trackside.server.db.database import Database

SCHEMA = "CREATE TABLE IF NOT EXISTS thing (id INTEGER PRIMARY KEY, data BLOB NOT NULL);"


@pytest.fixture
def db(tmp_path):
    db = Database(tmp_path / "test.db")
    db.create(SCHEMA)
    yield db
    db.close()


def count(connection: sqlite3.Connection) -> int:
    return connection.execute("SELECT count(*) FROM thing").fetchone()[0]


def insert(connection: sqlite3.Connection, data: bytes = b"x") -> None:
    connection.execute("INSERT INTO thing (data) VALUES (?)", (data,))


def test_what_is_written_can_be_read(db):
    db.write(insert).result()
    assert db.read(count) == 1


def test_readers_do_not_write(db):
    with pytest.raises(sqlite3.OperationalError):
        db.read(insert)


def test_an_exception_takes_everything_back_and_the_next_write_works(db):
    def work(connection):
        insert(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        db.write(work).result()
    assert db.read(count) == 0
    db.write(insert).result()
    assert db.read(count) == 1


def test_a_full_disk_fails_one_write_and_not_the_next(db):
    def limit(pages):
        db.write(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()).result()

    pages = db.read(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    limit(pages)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        db.write(lambda connection: insert(connection, bytes(100_000))).result()
    limit(1_000_000)
    db.write(lambda connection: insert(connection, bytes(100_000))).result()
    assert db.read(count) == 1


def test_unused_pages_go_back_to_the_file_system(db, tmp_path):
    db.write(lambda connection: insert(connection, bytes(4_000_000))).result()
    db.write(lambda connection: connection.execute("DELETE FROM thing") and None).result()
    left = db.reclaim(100).result()
    assert left > 100
    assert db.reclaim(10_000).result() == 0
    db.close()
    assert (tmp_path / "test.db").stat().st_size < 100_000


def test_a_table_of_an_older_version_gets_what_it_lacks(db):
    db.write(insert).result()
    for _ in range(2):
        db.add_columns({"thing": ("name TEXT NOT NULL DEFAULT 'x'", "size INTEGER")})

    row = db.read(lambda connection: connection.execute("SELECT * FROM thing").fetchone())
    assert (row["name"], row["size"]) == ("x", None)


def test_closing_waits_for_what_is_queued(tmp_path):
    db = Database(tmp_path / "test.db")
    db.create(SCHEMA)
    for _ in range(50):
        db.write(insert)
    db.close()
    again = Database(tmp_path / "test.db")
    assert again.read(count) == 50
    again.close()
