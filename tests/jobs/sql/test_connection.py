"""Databases are only looked at, never for long, and failures are sentences."""

import threading

import pytest

from trackside.exceptions import ConfigError, SourceError
from trackside.jobs.sql.connection import Connection, TookTooLongError
from trackside.jobs.sql.plain import plain

SLOW = {
    "postgres": "SELECT pg_sleep(60)",
    "mysql": "SELECT sum(a.seq * b.seq) FROM seq_1_to_100000 a, seq_1_to_100000 b",
    "sqlite": "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
}


@pytest.fixture
def connection(database):
    database.run("CREATE TABLE t (a int)")
    connection = Connection(database.url, time_out_s=60)
    yield connection
    connection.close()


@pytest.mark.parametrize("sql", ["INSERT INTO t VALUES (1)", "DELETE FROM t", "CREATE TABLE u (a int)", "DROP TABLE t"])
def test_nothing_can_be_written(connection, sql):
    with pytest.raises(SourceError), connection.look() as look:
        look(sql)


def test_a_slow_query_is_ended_and_the_next_look_works(database):
    # A second, in which the quick one is certain to be done.
    connection = Connection(database.url, time_out_s=1)
    with pytest.raises(TookTooLongError, match=r"took longer than 1 s"), connection.look() as look:
        look(SLOW[database.dialect.name])
    with connection.look() as look:
        assert look("SELECT 1")[0] == (1,)
    connection.close()


def test_a_look_sees_one_moment(connection, database):
    if database.dialect.name == "sqlite":
        database.run("PRAGMA journal_mode = wal")
    with connection.look() as look:
        before = look("SELECT count(*) FROM t")
        database.run("INSERT INTO t VALUES (1)")
        assert look("SELECT count(*) FROM t") == before
    with connection.look() as look:
        assert look("SELECT count(*) FROM t") == [(1,)]


def test_a_look_at_sqlite_without_a_write_ahead_log_keeps_nobody_from_writing(sqlite):
    sqlite.run("CREATE TABLE t (a int)")
    connection = Connection(sqlite.url, time_out_s=60)
    with connection.look() as look:
        look("SELECT count(*) FROM t")
        sqlite.run("INSERT INTO t VALUES (1)")
    connection.close()


def test_a_failure_in_between_leaves_no_transaction_open(connection):
    with pytest.raises(ZeroDivisionError), connection.look() as look:
        look("SELECT 1")
        raise ZeroDivisionError
    with connection.look() as look:
        look("SELECT 1")


def test_a_lost_connection_is_opened_again(postgres):
    connection = Connection(postgres.url, time_out_s=60)
    with connection.look() as look:
        ((process,),) = look("SELECT pg_backend_pid()")
    postgres.run("SELECT pg_terminate_backend(%s)", (process,))
    with pytest.raises(SourceError), connection.look() as look:
        look("SELECT 1")
    with connection.look() as look:
        assert look("SELECT 1") == [(1,)]
    connection.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql+psycopg://u:s3cret@127.0.0.1:1/x", "postgresql://127.0.0.1:1/x: the database cannot be reached"),
        ("mysql+pymysql://u:s3cret@127.0.0.1:1/x", "mysql://127.0.0.1:1/x: the database cannot be reached"),
        ("sqlite:////no/such/file.db", "sqlite:///.*no such file"),
    ],
)
def test_what_cannot_be_reached_is_said_without_the_password(url, message):
    with pytest.raises(SourceError, match=message) as caught, Connection(url).look():
        pass
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(("url", "message"), [("redis://x", "'redis' is no database"), ("sqlite://", "path of a file")])
def test_another_address_is_refused(url, message):
    with pytest.raises(ConfigError, match=message):
        Connection(url)


def test_a_role_without_grants_is_told_how_to_get_them(postgres, open_source):
    postgres.run("CREATE TABLE jobs (id int, status text)")
    postgres.run(f"CREATE ROLE {postgres.name} LOGIN")
    postgres.run(f"GRANT USAGE ON SCHEMA {postgres.name} TO {postgres.name}")
    source = open_source(postgres.url.replace("postgres@", f"{postgres.name}@"), plain())
    with pytest.raises(SourceError, match=r"may not read this; `trackside check` prints the GRANT statements"):
        source.sample()


def test_an_end_that_is_committed_late_is_reported(postgres, open_source):
    """Its moment is that of the transaction's beginning; others have been read meanwhile."""
    postgres.run("CREATE TABLE jobs (id bigserial PRIMARY KEY, status text, finished_at timestamptz)")
    postgres.run("INSERT INTO jobs (status) SELECT 'running' FROM generate_series(1, 3)")
    source = open_source(postgres.url, plain())
    cursor = source.sample().cursor
    finish = "UPDATE jobs SET status = 'done', finished_at = now() WHERE id = %s"

    with postgres.transaction() as slow:
        slow.execute(finish, (1,))
        postgres.run(finish, (2,))
        first = source.sample(cursor)
    second = source.sample(first.cursor)
    postgres.run(finish, (3,))
    third = source.sample(second.cursor)

    assert [[job.id for job in sample.finished] for sample in (first, second, third)] == [["2"], ["1"], ["3"]]


def test_all_ends_of_several_writers_are_reported_once(postgres, open_source):
    postgres.run("CREATE TABLE jobs (id bigserial PRIMARY KEY, status text, finished_at timestamptz)")
    source = open_source(postgres.url, plain())
    cursor, seen, writers, each = source.sample().cursor, [], 4, 40

    def write():
        for _ in range(each):
            with postgres.transaction() as connection:
                connection.execute("SELECT pg_sleep(random() / 200)")
                connection.execute("INSERT INTO jobs (status, finished_at) VALUES ('done', now())")

    threads = [threading.Thread(target=write) for _ in range(writers)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        sample = source.sample(cursor)
        cursor = sample.cursor
        seen += [job.id for job in sample.finished]
    seen += [job.id for job in source.sample(cursor).finished]

    assert sorted(map(int, seen)) == list(range(1, writers * each + 1))
