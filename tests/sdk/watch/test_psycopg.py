import asyncio
import time

import psycopg
import psycopg_pool
import pytest
from psycopg.sql import SQL, Identifier


@pytest.fixture
def counts(monitor, samples):
    def counts():
        return samples(monitor, "db_query_duration_seconds_count", database="postgres")

    return counts


def test_every_way_to_ask_is_timed(monitor, counts, postgres_url):
    with monitor.watch(psycopg.connect(postgres_url)) as connection:
        connection.execute("create temporary table items (id integer)")
        cursor = connection.cursor()
        cursor.executemany("insert into items values (%s)", [(1,), (2,)])
        cursor.execute(b"update items set id = 3 where id = 2")
        cursor.execute(SQL("select * from {}").format(Identifier("items")))
        assert cursor.fetchall() == [(1,), (3,)]
        assert list(cursor.stream("select id from items")) == [(1,), (3,)]
        with connection.cursor(name="server_side") as server_side:
            server_side.execute("select 1")
            assert server_side.fetchall() == [(1,)]
        with cursor.copy("copy items from stdin") as copy:
            copy.write_row((4,))
        connection.rollback()
    assert counts() == {("insert",): 1, ("other",): 2, ("select",): 3, ("update",): 1}
    assert type(cursor).__name__ == "Cursor"


def test_errors_are_counted_by_class_and_belong_to_the_host(monitor, samples, postgres_url):
    with monitor.watch(psycopg.connect(postgres_url, autocommit=True)) as connection:
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("select * from nothing_there")
        with pytest.raises(ZeroDivisionError), connection.cursor() as cursor:
            for _ in cursor.stream("select 1"):
                raise ZeroDivisionError
    assert samples(monitor, "db_query_errors_total") == {("postgres", "UndefinedTable", "select"): 1}


def test_asynchronous_connections(monitor, samples, counts, postgres_url):
    async def use():
        async with monitor.watch(await psycopg.AsyncConnection.connect(postgres_url, autocommit=True)) as connection:
            await connection.execute("select 1")
            async with connection.cursor() as cursor:
                await cursor.executemany("select %s", [(1,), (2,)])
                assert [row async for row in cursor.stream("select 2")] == [(2,)]
                async with cursor.copy("copy (select 3) to stdout") as copy:
                    assert [row async for row in copy.rows()] == [("3",)]
                with pytest.raises(psycopg.errors.SyntaxError):
                    await cursor.execute("delete")

    asyncio.run(use())
    assert counts() == {("delete",): 1, ("other",): 1, ("select",): 3}
    assert samples(monitor, "db_query_errors_total") == {("postgres", "SyntaxError", "delete"): 1}


def test_pools(monitor, samples, counts, postgres_url):
    with psycopg_pool.ConnectionPool(postgres_url, min_size=1, max_size=2, timeout=60, open=True) as pool:
        assert monitor.watch(pool) is pool
        monitor.watch(pool)
        pool.wait(60)
        with pool.connection() as first, pool.connection() as second:
            first.execute("select 1")
            second.execute("select 1")
            assert samples(monitor, "db_connections_in_use") == {("postgres",): 2}
            with pytest.raises(psycopg_pool.PoolTimeout), pool.connection(0.1):
                pass
        with pool.connection() as connection:
            connection.execute("select 1")
        assert samples(monitor, "db_connections_max") == {("postgres",): 2}
        # A thread of the pool takes them back.
        until = time.monotonic() + 60
        while samples(monitor, "db_connections_idle") != {("postgres",): 2}:
            assert time.monotonic() < until
            time.sleep(0.005)
    assert counts() == {("select",): 3}
    assert samples(monitor, "db_connection_wait_seconds_count") == {("postgres",): 4}
    assert samples(monitor, "db_query_errors_total") == {("postgres", "PoolTimeout", "connect"): 1}


def test_asynchronous_pools(monitor, samples, counts, postgres_url):
    async def use():
        async with psycopg_pool.AsyncConnectionPool(postgres_url, min_size=1, max_size=2, open=False) as pool:
            monitor.watch(pool)
            async with pool.connection() as connection:
                await connection.execute("select 1")
                assert samples(monitor, "db_connections_in_use") == {("postgres",): 1}

    asyncio.run(use())
    assert counts() == {("select",): 1}
    assert samples(monitor, "db_connection_wait_seconds_count") == {("postgres",): 1}


@pytest.mark.parametrize(
    ("conninfo", "kwargs", "expected"),
    [
        pytest.param("postgresql://a@127.0.0.1:1/shop", {}, "shop", id="url"),
        pytest.param("host=127.0.0.1 dbname=shop", {"dbname": "orders"}, "orders", id="argument over text"),
        pytest.param("host=127.0.0.1", None, "(default)", id="none"),
        pytest.param("what is this", {}, "(default)", id="not a conninfo"),
        pytest.param(lambda: "dbname=shop", {}, "(default)", id="a function, which is not called"),
    ],
)
def test_a_pool_is_named_by_its_arguments(monitor, samples, conninfo, kwargs, expected):
    pool = psycopg_pool.ConnectionPool(conninfo, kwargs=kwargs, open=False)
    monitor.watch(pool)
    assert samples(monitor, "db_connections_in_use") == {(expected,): 0}


def test_switched_off_nothing_is_touched(off, postgres_url):
    with off.watch(psycopg.connect(postgres_url)) as connection:
        assert connection.cursor_factory is psycopg.Cursor
    pool = psycopg_pool.ConnectionPool(postgres_url, open=False)
    assert type(off.watch(pool)) is psycopg_pool.ConnectionPool
