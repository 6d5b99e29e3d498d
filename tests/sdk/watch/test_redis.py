import asyncio
import gc
import weakref

import pytest
import redis
import redis.asyncio


@pytest.fixture
def client(monitor, redis_url):
    client = redis.Redis.from_url(redis_url)
    client.flushdb()
    yield monitor.watch(client)
    client.close()


@pytest.fixture
def counts(monitor, samples):
    def counts():
        return {
            command: count for (command,), count in samples(monitor, "redis_command_duration_seconds_count").items()
        }

    return counts


def test_commands_are_timed(client, counts):
    client.set("a", 1)
    assert client.get("a") == b"1"
    client.execute_command("client list")
    client.execute_command(b"GET", "a")
    assert counts() == {"SET": 1, "GET": 2, "CLIENT": 1}


def test_errors_are_counted_by_class_and_belong_to_the_host(monitor, client, samples, counts):
    client.set("a", "text")
    with pytest.raises(redis.ResponseError):
        client.incr("a")
    assert samples(monitor, "redis_command_errors_total") == {("INCRBY", "ResponseError"): 1}
    assert counts() == {"SET": 1, "INCRBY": 1}


def test_a_server_that_is_not_there(monitor, samples):
    client = monitor.watch(redis.Redis(port=1, retry=None))
    with pytest.raises(redis.ConnectionError):
        client.ping()
    assert samples(monitor, "redis_command_errors_total") == {("PING", "ConnectionError"): 1}


def test_pipelines_and_transactions_are_one_command(monitor, client, samples, counts):
    with client.pipeline() as pipeline:
        assert type(pipeline).__name__ == "Pipeline"
        pipeline.set("a", 1).get("a")
        assert pipeline.execute() == [True, b"1"]
    client.transaction(lambda pipe: (pipe.get("a"), pipe.multi(), pipe.set("a", 2)), "a")
    assert counts() == {"PIPELINE": 2, "WATCH": 1, "GET": 1} | ({"UNWATCH": 1} if "UNWATCH" in counts() else {})
    with client.pipeline() as pipeline, pytest.raises(redis.ResponseError):
        pipeline.lpush("a", 1).execute()
    assert samples(monitor, "redis_command_errors_total") == {("PIPELINE", "ResponseError"): 1}


def test_made_up_commands_are_few_series(client, counts):
    for number in range(400):
        with pytest.raises(redis.ResponseError):
            client.execute_command(f"NONSENSE{number}")
    assert len(counts()) == 301
    assert counts()["(overflow)"] == 100


def test_pools_show_what_is_in_use(monitor, redis_url, samples):
    server = redis_url.removeprefix("redis://")
    for pool_class in (redis.ConnectionPool, redis.BlockingConnectionPool):
        pool = pool_class.from_url(redis_url, max_connections=3)
        client = monitor.watch(redis.Redis(connection_pool=pool))
        client.ping()
        with client.pubsub() as subscription:
            subscription.subscribe("news")
            assert samples(monitor, "redis_connections_in_use") == {(server,): 1}
            assert samples(monitor, "redis_connections_max") == {(server,): 3}
            client.ping()
            assert samples(monitor, "redis_connections_idle") == {(server,): 1}
        client.close()
        pool.disconnect()
        del client, subscription, pool
        gc.collect()
        assert samples(monitor, "redis_connections_max") == {(server,): 0}


def test_asynchronous_clients(monitor, samples, counts, redis_url):
    async def use():
        client = redis.asyncio.Redis.from_url(redis_url, max_connections=5)
        assert monitor.watch(client) is client
        async with client:
            await client.set("b", 1)
            async with client.pipeline() as pipeline:
                assert await pipeline.get("b").execute() == [b"1"]
            with pytest.raises(redis.ResponseError):
                await client.lpush("b", 1)
            waiting = asyncio.create_task(client.blpop("nothing", 100))
            async with asyncio.timeout(60):
                while list(samples(monitor, "redis_connections_in_use").values()) != [1]:
                    await asyncio.sleep(0.005)
            waiting.cancel()
            await asyncio.wait([waiting])

    asyncio.run(use())
    assert counts() == {"SET": 1, "PIPELINE": 1, "LPUSH": 1, "BLPOP": 1}
    assert samples(monitor, "redis_command_errors_total") == {("LPUSH", "ResponseError"): 1}


def test_a_watched_client_is_freed_at_once(monitor, redis_url):
    client = monitor.watch(redis.Redis.from_url(redis_url))
    client.ping()
    reference = weakref.ref(client)
    del client
    assert reference() is None


def test_twice_is_once_and_off_is_untouched(monitor, off, client, counts, redis_url):
    monitor.watch(client).ping()
    assert counts() == {"PING": 1}
    assert type(off.watch(redis.Redis.from_url(redis_url))) is redis.Redis
