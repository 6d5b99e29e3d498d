"""Each series that the well-known exporters have is there, with the same labels and kind, from the same servers."""

import asyncio
import os
import shutil
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from functools import partial

import psycopg
import pytest
import redis
from free_ports import free_port

from trackside.server.clock import SystemClock
from trackside.server.exporters.postgres.source import PostgresSource
from trackside.server.exporters.redis.source import RedisSource
from trackside.server.scrape.sources import Page
from trackside.wire import exposition

pytestmark = pytest.mark.peer


@contextmanager
def exporter(program, *arguments, listen, **environment):
    if shutil.which(program) is None:
        assert not os.environ.get("CI"), f"{program} is missing: apt-get install {program}"
        pytest.skip(f"{program} is not installed")
    port = free_port()
    command = [program, f"{listen}=127.0.0.1:{port}", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as process:
        try:
            yield lambda: page_of(port)
        finally:
            process.kill()


def page_of(port):
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                return answer.read()
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)


def series_of(body):
    """(name, labels) of each series, and (name, kind) of each family."""
    families = exposition.parse(body).families
    series = {(sample.name, sample.labels): sample.value for family in families for sample in family.samples}
    return series, {family.name: family.type.value for family in families}


def pulled(source):
    async def scenario():
        page = await source.pull(int(time.time() * 1000))
        await source.close()
        return page

    return asyncio.run(scenario())


NOT_THE_DATABASE = (
    "go_",
    "process_",
    "promhttp_",
    "postgres_exporter_",
    "redis_exporter_",
    "pg_exporter_",
    "pg_scrape_",
)
# Of its own working, and of what it can be told to look for in keys.
NOT_OURS = {
    "redis_target_scrape_request_errors_total",
    "redis_last_key_groups_scrape_duration_milliseconds",
}


def of_the_database(series):
    return {one for one in series if not one[0].startswith(NOT_THE_DATABASE) and one[0] not in NOT_OURS}


def both(theirs, make_source):
    """What they say and what we say, a moment later: of something that was gone by then only they can tell, but it is
    gone the next time, too."""
    for _ in range(10):
        their, our = series_of(theirs()), series_of(pulled(make_source()).body)
        if of_the_database(their[0]) <= our[0].keys():
            break
    return their, our


def test_postgres_name_by_name_and_label_by_label(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS exporter_compared (a int)")
        server = postgres_url.rpartition("@")[2].partition("/")[0]
        with exporter(
            "prometheus-postgres-exporter",
            listen="--web.listen-address",
            DATA_SOURCE_NAME=f"{postgres_url}?sslmode=disable",
        ) as theirs:
            source = partial(PostgresSource, postgres_url, server, 60, SystemClock(), Page)
            (their, their_kinds), (ours, our_kinds) = both(theirs, source)

    assert len(of_the_database(their)) > 400
    # The version's text is the same; how it is shortened, too.
    assert sorted(map(str, of_the_database(their) - ours.keys())) == []
    assert {
        (name, kind, our_kinds.get(name))
        for name, kind in their_kinds.items()
        if not name.startswith(NOT_THE_DATABASE) and our_kinds.get(name) != kind
    } == set()
    compared = [one for one in of_the_database(their) if one[0].startswith("pg_settings_")]
    # What a session may set for itself, each of the two sets as it likes.
    free = ("extra_float_digits", "statement_timeout", "transaction_read_only")
    assert [
        one for one in compared if their[one] != ours[one] and not one[0].removesuffix("_seconds").endswith(free)
    ] == []


def test_redis_name_by_name_and_label_by_label(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory", "100mb")
        client.set("a", 1)
        client.set("b", 1, ex=100)
        client.lpush("q", 1)
        with pytest.raises(redis.ResponseError):
            client.incr("q")
        address = redis_url.removesuffix("/0")
        with exporter("prometheus-redis-exporter", f"-redis.addr={address}", listen="-web.listen-address") as theirs:
            source = partial(RedisSource, redis_url, 60, SystemClock(), Page)
            theirs()
            pulled(source())
            (their, their_kinds), (ours, our_kinds) = both(theirs, source)
        client.config_set("maxmemory", "0")
        client.flushall()

    assert len(of_the_database(their)) > 200
    # How long the slowest calls took is told of the commands that were called since.
    assert sorted(map(str, of_the_database(their) - ours.keys())) == []
    assert {
        (name, kind, our_kinds.get(name))
        for name, kind in their_kinds.items()
        if not name.startswith(NOT_THE_DATABASE) and name not in NOT_OURS and our_kinds.get(name) != kind
    } == set()
    same = ("redis_memory_max_bytes", "redis_db_keys", "redis_config_maxclients")
    assert [one for one in their if one[0] in same and their[one] != ours[one]] == []
