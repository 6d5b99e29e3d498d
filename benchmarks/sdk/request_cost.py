"""What watching an app costs each request, beside the peers, and whether the promises hold.

    python benchmarks/sdk/request_cost.py                 tables
    python benchmarks/sdk/request_cost.py --json F        and all rows as JSON
    python benchmarks/sdk/request_cost.py --check         exit 1 when a promise does not hold

How it measures: the app is called with a scope of its own, without sockets, in processes that take turns.

How to read it: compare inside one table only. The row "bare again" is the bare app measured as a contestant: what it
adds is the error of the table. "recorded" is the share of the requests that the contestant's own metrics show.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from contestants import (
    BARE,
    BARE_AGAIN,
    INSTRUMENTATOR,
    TELEMETRY,
    TRACKSIDE,
    TRACKSIDE_SHARED,
    Contestant,
    fastapi_contestant,
    null_contestant,
)
from promise import Promise, arguments, finished
from turns import Row, Runner, measured, table

OF_INSTRUMENTATOR = 0.08
# Inside an app what is short costs about twice as much as in a loop, since the app's own work has taken the processor's
# caches meanwhile; what is long, less so. Measured: 0.07 to 0.10.
OF_INSTRUMENTATOR_IN_APP = 0.12
OF_TELEMETRY = 0.2
OF_SINGLE_PROCESS = 1.1
FEW_ROUTES, MANY_ROUTES = 1, 300
# A bare app with 300 routes costs hundreds of microseconds: what a table this coarse can tell apart.
FLAT_WITHIN_OF_BARE = 0.05

_WHERE_NULL = "middleware alone"
_WHERE_FASTAPI = "FastAPI, 20 routes"

Block = Callable[[int], Awaitable[float]]


def requests_of(app: Callable[..., Awaitable[None]], path: str) -> Block:
    """A function that sends n requests and returns the seconds each took."""
    headers = [(b"host", b"localhost"), (b"user-agent", b"bench"), (b"accept", b"*/*")]
    raw_path = path.encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise AssertionError(f"answered {message['status']}")

    async def block(count: int) -> float:
        began = time.thread_time()
        for _ in range(count):
            scope = {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.3"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "http",
                "path": path,
                "raw_path": raw_path,
                "root_path": "",
                "query_string": b"",
                "headers": headers,
                "client": ("127.0.0.1", 50_000),
                "server": ("127.0.0.1", 8_000),
                "state": {},
            }
            await app(scope, receive, send)
        return (time.thread_time() - began) / count

    return block


def built(make: Callable[[str], Contestant | None], name: str) -> Runner | None:
    contestant = make(name)
    if contestant is None:
        return None
    block, loop = requests_of(contestant.app, "/items/42"), asyncio.new_event_loop()
    return Runner(lambda count: loop.run_until_complete(block(count)), contestant.counted)


def all_rows(rounds: int) -> list[Row]:
    alone = (BARE, BARE_AGAIN, INSTRUMENTATOR, TRACKSIDE, TRACKSIDE_SHARED)
    inside = (BARE, BARE_AGAIN, INSTRUMENTATOR, TELEMETRY, TRACKSIDE)
    rows = measured(_WHERE_NULL, partial(built, null_contestant), alone, rounds, 500)
    rows += measured(_WHERE_FASTAPI, partial(built, partial(fastapi_contestant, routes=20)), inside, rounds, 200)
    for routes in (FEW_ROUTES, MANY_ROUTES):
        build = partial(built, partial(fastapi_contestant, routes=routes))
        rows += measured(_where_routes(routes), build, inside, max(rounds // 2, 5), 50)
    return rows


def promises(rows: list[Row]) -> list[Promise]:
    by_name = {(row.where, row.contestant): row for row in rows}

    def ratio(where: str, peer: str) -> float:
        return by_name[where, TRACKSIDE].added_us / by_name[where, peer].added_us

    found = [
        Promise(f"{where}: of the instrumentator's", limit, ratio(where, INSTRUMENTATOR))
        for where, limit in ((_WHERE_NULL, OF_INSTRUMENTATOR), (_WHERE_FASTAPI, OF_INSTRUMENTATOR_IN_APP))
    ]
    shared = by_name[_WHERE_NULL, TRACKSIDE_SHARED].added_us / by_name[_WHERE_NULL, TRACKSIDE].added_us
    found.append(Promise(f"{_WHERE_NULL}: of several workers, of a single one's", OF_SINGLE_PROCESS, shared))
    if (_WHERE_FASTAPI, TELEMETRY) in by_name:
        found.append(
            Promise(f"{_WHERE_FASTAPI}: of FastAPI's own telemetry", OF_TELEMETRY, ratio(_WHERE_FASTAPI, TELEMETRY))
        )
    few, many = _where_routes(FEW_ROUTES), _where_routes(MANY_ROUTES)
    error_us = max(abs(by_name[where, BARE_AGAIN].added_us) for where in (few, many))
    allowed_us = error_us + FLAT_WITHIN_OF_BARE * by_name[many, BARE].us
    growth_us = by_name[many, TRACKSIDE].added_us - by_name[few, TRACKSIDE].added_us
    found.append(Promise(f"us more with {MANY_ROUTES} routes than with {FEW_ROUTES}", allowed_us, growth_us))
    return found


def _where_routes(routes: int) -> str:
    return f"FastAPI, {routes} routes"


def main() -> int:
    args = arguments(__doc__, rounds=31).parse_args()
    rows = all_rows(args.rounds)
    return finished(args, table(rows), rows, promises(rows))


if __name__ == "__main__":
    sys.exit(main())
