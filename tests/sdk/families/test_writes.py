import asyncio

import pytest

from trackside.sdk.families.writes import MAX_TABLES


def test_a_write_is_counted_with_its_time_and_its_size(monitor, shown):
    with monitor.db_write("readings", records=200):
        pass
    found = shown(monitor, "db_")
    assert 0 <= found.pop("db_write_duration_seconds_sum{table=readings}") < 30
    assert found == {
        "db_writes_total{table=readings}": 1,
        "db_write_duration_seconds_count{table=readings}": 1,
        "db_batch_size_count{table=readings}": 1,
        "db_batch_size_sum{table=readings}": 200,
    }


def test_the_size_may_be_known_only_within(monitor, shown):
    async def write():
        async with monitor.db_write("readings") as write:
            write.records = 7

    asyncio.run(write())
    assert shown(monitor, "db_batch_size")["db_batch_size_sum{table=readings}"] == 7


def test_a_failed_write_is_none_but_took_its_time(monitor, shown):
    with pytest.raises(TimeoutError), monitor.db_write("readings", records=5):
        raise TimeoutError
    found = shown(monitor, "db_")
    assert found.pop("db_write_duration_seconds_sum{table=readings}") >= 0
    assert found == {
        "db_write_duration_seconds_count{table=readings}": 1,
        "db_write_errors_total{error_type=TimeoutError,table=readings}": 1,
    }


def test_a_function_that_writes(monitor, shown):
    @monitor.db_write("readings", records=1)
    def write():
        return "written"

    assert [write(), write()] == ["written", "written"]
    assert shown(monitor, "db_writes") == {"db_writes_total{table=readings}": 2}


def test_what_waits_is_a_gauge(monitor, shown):
    monitor.pending_writes("readings").inc(10)
    monitor.pending_writes("readings").dec(4)
    waiting = [1, 2, 3]
    monitor.pending_writes("events").set_function(lambda: len(waiting))
    assert shown(monitor, "pending_") == {
        "pending_writes{table=readings}": 6,
        "pending_writes{table=events}": 3,
    }


def test_made_up_tables_share_a_series(monitor, shown):
    for number in range(MAX_TABLES + 5):
        with monitor.db_write(f"table-{number}"):
            pass
    assert len(shown(monitor, "db_writes")) == MAX_TABLES + 1
