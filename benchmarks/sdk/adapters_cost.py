"""What watching a client, an engine or a block costs each call, beside the same unwatched.

    python benchmarks/sdk/adapters_cost.py              table
    python benchmarks/sdk/adapters_cost.py --json F     and the rows as JSON
    python benchmarks/sdk/adapters_cost.py --check      exit 1 when an adapter costs more than its limit

How it measures: no server and no socket, so that the call itself is short: SQLite in memory, Redis' connection and the
transports of HTTP clients replaced by ones that answer at once. Blocks of bare and watched calls take turns; time is
the CPU time of this thread; "added" is the median, over the rounds, of the difference. What needs a server (psycopg,
asyncpg) is measured when DATABASE_URL names one of PostgreSQL.

Limits are absolute, in microseconds of one slow core of 2024, and generous: they catch a look-up that became a search.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trackside import Monitor

ROUNDS, CALLS = 31, 300
_WARM_UP = 100

Block = Callable[[int], Awaitable[None]]
"""Makes n calls."""


@dataclass(frozen=True, slots=True)
class Contest:
    name: str
    limit_us: float
    bare: Block
    watched: Block


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    bare_us: float
    added_us: float
    limit_us: float

    @property
    def holds(self) -> bool:
        return self.added_us <= self.limit_us


def sync(call: Callable[[], object]) -> Block:
    async def block(count: int) -> None:
        for _ in range(count):
            call()

    return block


def awaited(call: Callable[[], Awaitable[object]]) -> Block:
    async def block(count: int) -> None:
        for _ in range(count):
            await call()

    return block


def contests(monitor: Monitor) -> list[Contest]:
    return [
        _block(monitor),
        _sqlalchemy(monitor),
        _redis(monitor),
        _redis_asyncio(monitor),
        _httpx(monitor),
        _httpx_asyncio(monitor),
        _requests(monitor),
    ]


def _block(monitor: Monitor) -> Contest:
    def block() -> None:
        with monitor.integration("slack", "post_message"):
            pass

    return Contest("integration block", 8.0, sync(lambda: None), sync(block))


def _sqlalchemy(monitor: Monitor) -> Contest:
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import StaticPool

    statement = text("select 1")

    def query(watch: bool) -> Block:
        engine = create_engine("sqlite://", poolclass=StaticPool)
        connection = (monitor.watch(engine) if watch else engine).connect()
        return sync(lambda: connection.execute(statement).all())

    return Contest("sqlalchemy query", 15.0, query(False), query(True))


def _redis(monitor: Monitor) -> Contest:
    import redis

    class Instant(redis.Redis):
        def execute_command(self, *args: Any, **options: Any) -> bytes:
            return b"1"

    bare, watched = Instant(), monitor.watch(Instant())
    return Contest("redis command", 6.0, sync(lambda: bare.get("a")), sync(lambda: watched.get("a")))


def _redis_asyncio(monitor: Monitor) -> Contest:
    import redis.asyncio

    class Instant(redis.asyncio.Redis):
        async def execute_command(self, *args: Any, **options: Any) -> bytes:
            return b"1"

    bare, watched = Instant(), monitor.watch(Instant())
    return Contest("redis.asyncio command", 6.0, awaited(lambda: bare.get("a")), awaited(lambda: watched.get("a")))


def _httpx(monitor: Monitor) -> Contest:
    import httpx

    def call(watch: bool) -> Block:
        client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200)))
        request = client.build_request("GET", "http://shop/")
        sender = monitor.watch(client) if watch else client
        return sync(lambda: sender.send(request))

    return Contest("httpx request", 12.0, call(False), call(True))


def _httpx_asyncio(monitor: Monitor) -> Contest:
    import httpx

    def call(watch: bool) -> Block:
        client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200)))
        request = client.build_request("GET", "http://shop/")
        sender = monitor.watch(client) if watch else client
        return awaited(lambda: sender.send(request))

    return Contest("httpx.AsyncClient request", 12.0, call(False), call(True))


def _requests(monitor: Monitor) -> Contest:
    import requests

    class Instant(requests.Session):
        def send(self, request: requests.PreparedRequest, **named: Any) -> requests.Response:
            return answer

    answer = requests.Response()
    answer.status_code = 200
    bare, watched = Instant(), monitor.watch(Instant())
    request = requests.Request("GET", "http://shop/").prepare()
    return Contest("requests request", 12.0, sync(lambda: bare.send(request)), sync(lambda: watched.send(request)))


async def aiohttp_contest(monitor: Monitor, closing: AsyncExitStack) -> Contest:
    """Over a socket: the session has no transport to replace. The server answers in this thread, and is in both."""
    import aiohttp
    from aiohttp import web

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(text="ok")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    closing.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"

    def call(session: aiohttp.ClientSession) -> Block:
        async def get() -> None:
            async with session.get(url) as response:
                await response.read()

        return awaited(get)

    bare = await closing.enter_async_context(aiohttp.ClientSession())
    watched = monitor.watch(await closing.enter_async_context(aiohttp.ClientSession()))
    return Contest("aiohttp request (socket)", 60.0, call(bare), call(watched))


async def postgres_contests(monitor: Monitor, url: str) -> list[Contest]:
    import asyncpg
    import psycopg

    bare, watched = psycopg.connect(url), monitor.watch(psycopg.connect(url))
    slow, slower = await asyncpg.connect(url), monitor.watch(await asyncpg.connect(url))
    return [
        Contest(
            "psycopg query (socket)",
            20.0,
            sync(lambda: bare.execute("select 1").fetchall()),
            sync(lambda: watched.execute("select 1").fetchall()),
        ),
        Contest(
            "asyncpg query (socket)",
            40.0,
            awaited(lambda: slow.fetchval("select 1")),
            awaited(lambda: slower.fetchval("select 1")),
        ),
    ]


async def measured(contest: Contest) -> Row:
    await contest.bare(_WARM_UP)
    await contest.watched(_WARM_UP)
    bare_us, added_us = [], []
    for _ in range(ROUNDS):
        began = time.thread_time()
        await contest.bare(CALLS)
        between = time.thread_time()
        await contest.watched(CALLS)
        ended = time.thread_time()
        bare_us.append((between - began) / CALLS * 1e6)
        added_us.append((ended - between) / CALLS * 1e6 - bare_us[-1])
    return Row(contest.name, statistics.median(bare_us), statistics.median(added_us), contest.limit_us)


async def rows() -> list[Row]:
    monitor = Monitor("bench", environ={})
    async with AsyncExitStack() as closing:
        found = [*contests(monitor), await aiohttp_contest(monitor, closing)]
        if url := os.environ.get("DATABASE_URL"):
            found += await postgres_contests(monitor, url)
        gc.disable()
        return [await measured(contest) for contest in found]


def main() -> int:
    parser = argparse.ArgumentParser(description="What watching costs each call.")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    found = asyncio.run(rows())
    print(f"{'':28}{'bare µs':>10}{'added µs':>10}{'limit':>8}")
    for row in found:
        print(f"{row.name:28}{row.bare_us:10.2f}{row.added_us:10.2f}{row.limit_us:8.0f}{'' if row.holds else '  over'}")
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in found], indent=1))
    return 1 if options.check and not all(row.holds for row in found) else 0


if __name__ == "__main__":
    sys.exit(main())
