import asyncio

import asyncpg
import pytest


@pytest.fixture
def counts(monitor, samples):
    def counts():
        return samples(monitor, "db_query_duration_seconds_count", database="postgres")

    return counts


def test_connections(monitor, samples, counts, postgres_url):
    async def use():
        connection = await asyncpg.connect(postgres_url)
        assert monitor.watch(connection) is connection
        monitor.watch(connection)
        await connection.execute("create temporary table items (id integer)")
        await connection.executemany("insert into items values ($1)", [(1,), (2,)])
        assert await connection.fetchval("select count(*) from items where id < $1", 10) == 2
        assert len(await connection.fetch("select * from items")) == 2
        with pytest.raises(asyncpg.UndefinedTableError):
            await connection.fetch("delete from nothing_there")
        await connection.close()
        await asyncio.sleep(0)

    asyncio.run(use())
    assert counts() == {("delete",): 1, ("insert",): 1, ("other",): 1, ("select",): 2}
    assert samples(monitor, "db_query_errors_total") == {("postgres", "UndefinedTableError", "delete"): 1}


def test_pools(monitor, samples, counts, postgres_url):
    async def use():
        pool = asyncpg.create_pool(postgres_url, min_size=1, max_size=2)
        assert monitor.watch(pool) is pool
        assert samples(monitor, "db_connections_max") == {("postgres",): 2}
        async with pool:
            assert await pool.fetchval("select 1") == 1
            async with pool.acquire() as connection:
                assert await connection.fetchval("select 2") == 2
                awaited = await pool.acquire()
                assert samples(monitor, "db_connections_in_use") == {("postgres",): 2}
                with pytest.raises(TimeoutError):
                    await pool.acquire(timeout=0.05)
                await pool.release(awaited)
            await asyncio.sleep(0)
            assert samples(monitor, "db_connections_idle") == {("postgres",): 2}
        assert samples(monitor, "db_connections_in_use") == {("postgres",): 0}

    asyncio.run(use())
    assert counts() == {("select",): 2}
    assert samples(monitor, "db_connection_wait_seconds_count") == {("postgres",): 4}
    assert samples(monitor, "db_query_errors_total") == {("postgres", "TimeoutError", "connect"): 1}


def test_a_pool_without_a_known_database_is_the_default_one(monitor, samples):
    async def use():
        monitor.watch(asyncpg.create_pool(host="127.0.0.1", min_size=1))
        monitor.watch(asyncpg.create_pool(host="127.0.0.1", database="orders", min_size=1))

    asyncio.run(use())
    assert samples(monitor, "db_connections_in_use") == {("(default)",): 0, ("orders",): 0}


def test_switched_off_nothing_is_touched(off, postgres_url):
    async def use():
        pool = asyncpg.create_pool(postgres_url)
        assert type(off.watch(pool)) is asyncpg.Pool

    asyncio.run(use())
