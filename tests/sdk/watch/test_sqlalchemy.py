"""Engines of real databases: SQLite for what needs no server, PostgreSQL for pools, drivers and asyncio."""

import asyncio
import gc
import logging
import os
import threading
import weakref

import pytest
import sqlalchemy
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from trackside import Monitor


@pytest.fixture
def engine(monitor):
    engine = create_engine("sqlite://", poolclass=StaticPool)
    yield monitor.watch(engine)
    engine.dispose()


def run(engine, *statements):
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_queries_are_timed_by_type(monitor, engine, samples):
    run(
        engine,
        "create table items (id integer primary key)",
        "insert into items values (1)",
        "insert into items values (2)",
        "update items set id = 3 where id = 2",
        "delete from items where id = 3",
        "with some as (select id from items) select * from some",
    )
    counts = samples(monitor, "db_query_duration_seconds_count")
    assert counts == {
        ("sqlite", "delete"): 1,
        ("sqlite", "insert"): 2,
        ("sqlite", "other"): 1,
        ("sqlite", "select"): 1,
        ("sqlite", "update"): 1,
    }
    assert 0 < samples(monitor, "db_query_duration_seconds_sum", query_type="insert")["sqlite",] < 30


def test_the_host_gets_its_errors_and_they_are_counted_by_class(monitor, engine, samples):
    run(engine, "create table items (id integer primary key)", "insert into items values (1)")
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        run(engine, "insert into items values (1)")
    with pytest.raises(sqlalchemy.exc.OperationalError):
        run(engine, "select * from nothing")
    assert samples(monitor, "db_query_errors_total", database="sqlite") == {
        ("IntegrityError", "insert"): 1,
        ("OperationalError", "select"): 1,
    }
    assert samples(monitor, "db_query_duration_seconds_count", query_type="insert") == {("sqlite",): 2}


def test_a_database_that_cannot_be_reached_is_an_error_of_connecting(monitor, samples):
    engine = monitor.watch(create_engine("postgresql+psycopg://127.0.0.1:1/shop"))
    with pytest.raises(sqlalchemy.exc.OperationalError):
        engine.connect()
    assert samples(monitor, "db_query_errors_total") == {("shop", "OperationalError", "connect"): 1}


def test_watching_twice_counts_once_whatever_face_of_the_engine(monitor, engine, samples):
    assert monitor.watch(engine) is engine
    monitor.watch(engine.execution_options(logging_token="a"))
    run(engine, "select 1")
    run(engine.execution_options(logging_token="b"), "select 1")
    assert samples(monitor, "db_query_duration_seconds_count") == {("sqlite", "select"): 2}


def test_switched_off_the_engine_is_untouched(off):
    engine = create_engine("sqlite://", poolclass=StaticPool)
    pool = type(engine.pool)
    assert off.watch(engine) is engine
    assert type(engine.pool) is pool
    assert not engine.dispatch.before_cursor_execute
    assert off.exposition() == b""


def test_families_have_the_prefix(samples):
    monitor = Monitor("shop", environ={}, prefix="railgun")
    run(monitor.watch(create_engine("sqlite://", poolclass=StaticPool)), "select 1")
    assert samples(monitor, "railgun_db_query_duration_seconds_count") == {("sqlite", "select"): 1}


def test_a_file_of_sqlite_is_named_without_its_folder(monitor, samples, tmp_path):
    engine = monitor.watch(create_engine(f"sqlite:///{tmp_path}/orders.db"))
    run(engine, "select 1")
    assert samples(monitor, "db_query_duration_seconds_count") == {("orders.db", "select"): 1}
    engine.dispose()


def test_pools_show_what_is_in_use_and_how_long_one_waited(monitor, samples, tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/a.db", poolclass=QueuePool, pool_size=2, max_overflow=1)
    monitor.watch(engine)

    def pool():
        return {name: samples(monitor, f"db_connections_{name}") for name in ("in_use", "idle", "overflow", "max")}

    of = ("a.db",)
    assert pool() == {"in_use": {of: 0}, "idle": {of: 0}, "overflow": {of: 0}, "max": {of: 3}}
    connections = [engine.connect() for _ in range(3)]
    assert pool() == {"in_use": {of: 3}, "idle": {of: 0}, "overflow": {of: 1}, "max": {of: 3}}
    for connection in connections:
        connection.close()
    assert pool() == {"in_use": {of: 0}, "idle": {of: 2}, "overflow": {of: 0}, "max": {of: 3}}
    engine.dispose()
    engine.connect().close()
    assert samples(monitor, "db_connection_wait_seconds_count") == {of: 4}
    assert samples(monitor, "db_connections_idle") == {of: 1}
    engine.dispose()


def test_who_waits_for_a_connection_in_vain_is_counted(monitor, samples, tmp_path):
    engine = create_engine(
        f"sqlite:///{tmp_path}/a.db", poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.05
    )
    monitor.watch(engine)
    with engine.connect(), pytest.raises(sqlalchemy.exc.TimeoutError):
        engine.connect()
    assert samples(monitor, "db_query_errors_total") == {("a.db", "TimeoutError", "connect"): 1}
    assert samples(monitor, "db_connection_wait_seconds_sum")["a.db",] >= 0.05
    engine.dispose()


def test_a_pool_without_limit_has_no_maximum(monitor, samples, tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/a.db", poolclass=QueuePool, max_overflow=-1)
    monitor.watch(engine)
    with engine.connect():
        assert samples(monitor, "db_connections_in_use") == {("a.db",): 1}
    assert samples(monitor, "db_connections_max") is None
    engine.dispose()


def test_a_pool_that_counts_nothing_is_counted_by_its_events(monitor, samples, tmp_path):
    engine = monitor.watch(create_engine(f"sqlite:///{tmp_path}/a.db", poolclass=NullPool))
    with engine.connect(), engine.connect() as second:
        assert samples(monitor, "db_connections_in_use") == {("a.db",): 2}
        second.detach()
        assert samples(monitor, "db_connections_in_use") == {("a.db",): 1}
    assert samples(monitor, "db_connections_in_use") == {("a.db",): 0}


def test_pools_of_one_database_are_added_up_and_forgotten_with_their_engine(monitor, samples, tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    first, second = (create_engine(url, poolclass=QueuePool, pool_size=2, max_overflow=3) for _ in range(2))
    monitor.watch(first)
    monitor.watch(second)
    assert samples(monitor, "db_connections_max") == {("a.db",): 10}
    reference = weakref.ref(second)
    del second
    gc.collect()
    assert reference() is None
    assert samples(monitor, "db_connections_max") == {("a.db",): 5}


def test_a_thousand_databases_are_a_hundred_and_one_series(monitor, samples):
    for number in range(150):
        url = f"sqlite:///file:{number}?mode=memory&uri=true"
        run(monitor.watch(create_engine(url, poolclass=StaticPool)), "select 1")
    counts = samples(monitor, "db_query_duration_seconds_count")
    assert len(counts) == 101
    assert counts["(overflow)", "select"] == 50


def test_slow_queries_are_logged_without_their_values(samples, caplog):
    monitor = Monitor("shop", environ={"TRACKSIDE_SLOW_QUERY_SECONDS": "0.000001"})
    engine = monitor.watch(create_engine("sqlite://", poolclass=StaticPool))
    with caplog.at_level(logging.WARNING, "trackside.slow_query"), engine.connect() as connection:
        connection.execute(text("select 'it''s   secret'\n, :value"), {"value": "secret"})
    (record,) = caplog.records
    assert record.name == "trackside.slow_query"
    assert record.statement == "select ? , ?"
    assert record.database == "sqlite" and record.query_type == "select" and record.duration_s > 0
    assert "secret" not in record.getMessage()


def test_fast_queries_are_not_logged(engine, caplog):
    run(engine, "select 1")
    assert not caplog.records


def test_a_broken_registry_does_not_break_a_query(monitor, engine, samples, caplog):
    class Broken:
        threshold_s = property(lambda self: 1 / 0)

    from trackside.sdk.watch.database_metrics import DatabaseMetrics

    DatabaseMetrics.of(monitor.context).slow = Broken()
    run(engine, "select 1", "select 1")
    assert samples(monitor, "trackside_sdk_errors_total") == {("measure a query",): 2}
    assert sum(record.name == "trackside" for record in caplog.records) == 1


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_asynchronous_engines(monitor, samples, postgres_url, driver):
    async def use():
        engine = create_async_engine(postgres_url.replace("postgresql", f"postgresql+{driver}"), pool_size=3)
        assert monitor.watch(engine) is engine
        monitor.watch(engine.sync_engine)
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
            with pytest.raises(sqlalchemy.exc.ProgrammingError):
                await connection.execute(text("select * from nothing_there"))
            assert samples(monitor, "db_connections_in_use") == {("postgres",): 1}
        await engine.dispose()

    asyncio.run(use())
    # What a dialect asks for itself when it first connects is not counted.
    assert samples(monitor, "db_query_duration_seconds_count", query_type="select") == {("postgres",): 2}
    assert samples(monitor, "db_query_errors_total") == {("postgres", "ProgrammingError", "select"): 1}
    assert samples(monitor, "db_connection_wait_seconds_count") == {("postgres",): 1}


def test_a_cancelled_query_is_timed_and_no_error(monitor, samples, postgres_url):
    async def use():
        engine = monitor.watch(create_async_engine(postgres_url.replace("postgresql", "postgresql+asyncpg")))
        async with engine.connect() as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await connection.execute(text("select pg_sleep(100)"))
        await engine.dispose()

    asyncio.run(use())
    assert samples(monitor, "db_query_duration_seconds_count") == {("postgres", "select"): 1}
    assert samples(monitor, "db_query_errors_total") is None


def test_many_threads(monitor, samples, postgres_url):
    engine = monitor.watch(create_engine(postgres_url.replace("postgresql", "postgresql+psycopg"), pool_size=4))
    threads = [threading.Thread(target=run, args=(engine, *["select 1"] * 20)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert samples(monitor, "db_query_duration_seconds_count") == {("postgres", "select"): 200}
    assert samples(monitor, "db_connections_in_use") == {("postgres",): 0}
    engine.dispose()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_goes_on_measuring(samples, tmp_path):
    # Not shared: there its parent's idle connection is counted too, once the parent has told of it.
    monitor = Monitor("shop", shared=False, environ={})
    engine = monitor.watch(create_engine(f"sqlite:///{tmp_path}/a.db", poolclass=QueuePool))
    run(engine, "select 1")
    child = os.fork()
    if child == 0:
        try:
            engine.dispose(close=False)
            run(engine, "select 1")
            right = samples(monitor, "db_query_duration_seconds_count") == {("a.db", "select"): 2}
            right &= samples(monitor, "db_connections_idle") == {("a.db",): 1}
            os._exit(0 if right else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    engine.dispose()
