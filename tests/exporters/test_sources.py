import asyncio
import time
from dataclasses import replace

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.exceptions import ConfigError
from trackside.server.clock import SystemClock
from trackside.server.exporters.config import ExportersConfig
from trackside.server.exporters.exporters import Exporters
from trackside.server.exporters.families import Families
from trackside.server.exporters.postgres.families import Collector, setting
from trackside.server.exporters.postgres.source import PostgresSource
from trackside.server.exporters.redis.info import parsed_info, told
from trackside.server.exporters.redis.source import RedisSource
from trackside.server.scrape.sources import Page
from trackside.wire import exposition

NOW = 1_764_000_000_000


def page(body, problem):
    return Page(body, problem=problem)


def values(body):
    return {
        f"{sample.name}{sample.labels.without('server')}".removesuffix("{}"): sample.value
        for family in exposition.parse(body).families
        for sample in family.samples
    }


def pulled(*sources, times=1):
    async def scenario():
        pages = [await source.pull(NOW) for _ in range(times) for source in sources]
        for source in sources:
            await source.close()
        return pages

    return asyncio.run(scenario())


def postgres(url, timeout_s=60):
    return PostgresSource(url, "db:5432", timeout_s, SystemClock(), page)


def redis_source(url, timeout_s=60):
    return RedisSource(url, timeout_s, SystemClock(), page)


def test_what_the_rules_ask_of_postgres(postgres_url):
    first, second = pulled(postgres(postgres_url), times=2)
    found = values(second.body)

    assert (first.problem, found["pg_up"]) == ("", 1)
    assert found["pg_settings_max_connections"] == 40
    assert found['pg_stat_activity_count{datname="postgres", state="active"}'] >= 1
    assert found['pg_database_size_bytes{datname="postgres"}'] > 1_000_000
    assert found["pg_replication_lag"] == found["pg_replication_is_replica"] == 0
    assert found["pg_exporter_scrapes_total"] == 2
    assert found["pg_exporter_last_scrape_error"] == 0


def test_the_connection_can_only_read_and_is_the_same_each_time(postgres_url):
    source = postgres(postgres_url)

    async def scenario():
        await source.pull(NOW)
        connection = source._connection
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await connection.execute("CREATE TABLE never (a int)")
        await source.pull(NOW)
        same = connection is source._connection
        await source.close()
        return same

    assert asyncio.run(scenario())


def test_a_role_that_may_not_ask_everything_costs_only_that(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS little")
        connection.execute("CREATE ROLE little LOGIN")
        connection.execute("REVOKE ALL ON pg_catalog.pg_locks FROM public")
        try:
            (given,) = pulled(postgres(postgres_url.replace("postgres@", "little@")))
        finally:
            connection.execute("GRANT SELECT ON pg_catalog.pg_locks TO public")
            connection.execute("DROP ROLE little")
    found = values(given.body)

    assert found["pg_up"] == found["pg_exporter_last_scrape_error"] == 1
    assert found['pg_scrape_collector_success{collector="locks"}'] == 0
    assert found['pg_scrape_collector_success{collector="stat_activity"}'] == 1


SLOW = [
    pytest.param(2, [1, 0, 1], id="one question is slow"),
    pytest.param(1, [1, 0, 0], id="so slow that the rest cannot be asked"),
]


@pytest.mark.parametrize(("slow", "success"), SLOW)
def test_a_question_that_takes_too_long_is_no_database_that_is_down(slow, success, postgres_url):
    # Half of it is for one question; the quick ones are done long before.
    source = postgres(postgres_url, 4 if slow == 2 else 2)
    nothing = Collector("nothing", "SELECT 1 AS a", lambda families, rows: None)
    sleep = f"SELECT pg_sleep(30) AS {'a' if slow == 2 else 'b'}"
    names = ("first", "slow", "last")
    source.collectors = [replace(nothing, name=name, sql=sleep if name == "slow" else nothing.sql) for name in names]
    if slow == 1:
        # Told by the server to take as long as it likes.
        source.collectors[0] = replace(nothing, name="first", sql="SELECT set_config('statement_timeout', '0', false)")

    (given,) = pulled(source)
    found = values(given.body)

    assert (given.problem, found["pg_up"], found["pg_exporter_last_scrape_error"]) == ("", 1, 1)
    assert [found[f'pg_scrape_collector_success{{collector="{name}"}}'] for name in names] == success


SETTINGS = [
    pytest.param("16384", "8kB", ("_bytes", 134_217_728.0), id="pages"),
    pytest.param("1", "min", ("_seconds", 60.0), id="minutes"),
    pytest.param("-1", "kB", ("_bytes", -1.0), id="off"),
    pytest.param("on", "", ("", 1.0), id="a truth"),
    pytest.param("0.5", "", ("", 0.5), id="a fraction"),
    pytest.param("1", "16MB", ("_bytes", 16_777_216.0), id="segments"),
    pytest.param("auto", "", None, id="a word"),
    pytest.param("5", "parsecs", ("", 5.0), id="a unit nobody knows"),
]


@pytest.mark.parametrize(("value", "unit", "expected"), SETTINGS)
def test_settings_in_base_units(value, unit, expected):
    assert setting(value, unit) == expected


DOWN = [
    pytest.param(lambda port: postgres(f"postgresql://me:hunter2@127.0.0.1:{port}/x", 1), "pg_up", id="postgres"),
    pytest.param(lambda port: redis_source(f"redis://me:hunter2@127.0.0.1:{port}/0", 1), "redis_up", id="redis"),
]


@pytest.mark.parametrize(("source", "up"), DOWN)
def test_nobody_there(source, up):
    (given,) = pulled(source(1))

    assert values(given.body)[up] == 0
    assert given.problem
    assert "hunter2" not in given.problem


HOSTILE = [
    pytest.param(b"", id="silence"),
    pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", id="HTTP"),
    pytest.param(b"\x00\xff" * 500, id="noise"),
    pytest.param(b"$999999999999\r\n", id="a length without end"),
    pytest.param(b"E\xff\xff\xff\xff", id="an error without end"),
]


@pytest.mark.parametrize("answer", HOSTILE)
@pytest.mark.parametrize(("source", "up"), DOWN)
def test_what_answers_is_no_database(source, up, answer):
    async def scenario():
        tasks = set()

        async def handler(reader, writer):
            tasks.add(asyncio.current_task())
            try:
                await reader.read(10)
                writer.write(answer)
                await writer.drain()
                await asyncio.sleep(100)
            finally:
                writer.transport.abort()

        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        began_s = time.monotonic()
        made = source(server.sockets[0].getsockname()[1])
        given = await made.pull(NOW)
        took_s = time.monotonic() - began_s
        await made.close()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return given, took_s

    given, took_s = asyncio.run(scenario())

    assert values(given.body)[up] == 0
    assert given.problem
    # A second is what it was given, and not as long as the other side goes on.
    assert took_s < 30


def test_what_the_rules_ask_of_redis(redis_url):
    # Redis counts a command when it has answered it: this one is what the next one tells of.
    pulled(redis_source(redis_url))
    (given,) = pulled(redis_source(redis_url))
    found = values(given.body)

    assert (given.problem, found["redis_up"]) == ("", 1)
    assert found["redis_memory_used_bytes"] > 100_000
    assert found["redis_memory_max_bytes"] == 0
    assert found['redis_db_keys{db="db15"}'] == 0
    assert found['redis_commands_total{cmd="info"}'] >= 1


def test_a_redis_that_allows_nothing_but_info_tells_what_it_can(redis_url):
    import redis

    with redis.Redis.from_url(redis_url) as client:
        client.execute_command("ACL", "SETUSER", "few", "on", ">key", "+info")
        try:
            (given,) = pulled(redis_source(redis_url.replace("redis://", "redis://few:key@")))
        finally:
            client.execute_command("ACL", "DELUSER", "few")

    assert (given.problem, values(given.body)["redis_up"]) == ("", 1)


@given(
    st.dictionaries(st.sampled_from(["db0", "cmdstat_get", "errorstat_X", "role", "slave0", "used_memory"]), st.text())
)
def test_whatever_info_says_nothing_breaks(fields):
    families = Families()
    told(families, parsed_info("\n".join(f"{name}:{value}" for name, value in fields.items())))
    exposition.parse(exposition.render(families.all()))


def test_more_commands_than_anybody_has_do_not_make_more_series():
    families = Families()
    told(families, {f"cmdstat_{index}": f"calls={index},usec=1" for index in range(10_000)})

    assert sum(len(family.samples) for family in families.all()) < 2_000


def configured(**keys):
    return ExportersConfig.model_validate(keys)


WRONG = [
    ({"url": "redis://a"}, "expected an address that begins with postgresql:// or postgres://"),
    ({"url": "postgresql://me:hunter2@a:99999999/x"}, "expected an address"),
    ({}, "expected either url or url_file"),
    ({"url": "postgresql://a", "url_file": "b"}, "expected either url or url_file"),
    ({"url": "postgresql://a", "timeout": "20s"}, "timeout: expected more than 0 and not more than the interval"),
    ({"url": "postgresql://a", "interval": "10ms"}, "interval: expected 1s or more"),
    ({"url": "postgresql://a", "labels": {"job": "x"}}, "'job' cannot be a label here"),
]


@pytest.mark.parametrize(("keys", "text"), WRONG, ids=[row[1][:40] for row in WRONG])
def test_mistakes_say_what_was_expected(keys, text):
    with pytest.raises(ValueError, match=text):
        configured(postgres=[keys])


def test_targets_are_kept_across_a_reload_and_say_no_password(tmp_path):
    (tmp_path / "address").write_text("postgresql://me:hunter2@db.example/shop\n")
    keys = {"postgres": [{"url_file": "address", "labels": {"team": "web"}}], "redis": [{"url": "redis://:x@c:1/0"}]}

    async def scenario():
        exporters = Exporters(SystemClock(), page)
        exporters.apply(configured(**keys), tmp_path)
        before = [*exporters.targets("postgres"), *exporters.targets("redis")]
        exporters.apply(configured(**keys), tmp_path)
        after = [*exporters.targets("postgres"), *exporters.targets("redis")]
        (tmp_path / "address").write_text("postgresql://me:other@db.example/shop")
        exporters.apply(configured(**keys), tmp_path)
        rotated = exporters.targets("postgres")[0]
        await exporters.close()
        return before, after, rotated

    before, after, rotated = asyncio.run(scenario())

    assert [one.source for one in before] == [one.source for one in after]
    assert rotated.source is not before[0].source
    assert [(one.url, str(one.labels)) for one in before] == [
        ("postgres://db.example:5432", '{instance="db.example:5432", job="postgres", team="web"}'),
        ("redis://c:1", '{instance="c:1", job="redis"}'),
    ]


def test_a_file_that_is_not_there_is_a_mistake_of_the_configuration(tmp_path):
    with pytest.raises(ConfigError, match="url_file gone cannot be read"):
        Exporters(SystemClock(), page).apply(configured(redis=[{"url_file": "gone"}]), tmp_path)
