"""What watching an app costs each request, beside the peers, and whether the promises hold.

    python benchmarks/sdk/request_cost.py                 tables
    python benchmarks/sdk/request_cost.py --json F        and all rows as JSON
    python benchmarks/sdk/request_cost.py --check         exit 1 when a promise does not hold

How it measures: in one process and without sockets, the app is called with a scope of its own; every round runs a short
block of requests of each contestant, in turning order, so that a machine that slows down slows all alike; time is the
CPU time of this thread. "added" is the median, over the rounds, of a contestant's block less the bare app's block of
the same round.

How to read it: compare inside one table only. The row "bare again" is the bare app measured as a contestant: what it
adds is the error of the table. "recorded" is the share of the requests that the contestant's own metrics show.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from contestants import (
    BARE,
    BARE_AGAIN,
    INSTRUMENTATOR,
    TELEMETRY,
    TRACKSIDE,
    Contestant,
    fastapi_contestants,
    null_contestants,
)

OF_INSTRUMENTATOR = 0.08
OF_TELEMETRY = 0.2
FEW_ROUTES, MANY_ROUTES = 1, 300
# A bare app with 300 routes costs hundreds of microseconds: what a table this coarse can tell apart.
FLAT_WITHIN_OF_BARE = 0.05

_WARM_UP = 50
_WHERE_NULL = "middleware alone"
_WHERE_FASTAPI = "FastAPI, 20 routes"

Block = Callable[[int], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Row:
    where: str
    contestant: str
    us: float
    """A whole request."""
    added_us: float
    recorded: float | None


@dataclass(frozen=True, slots=True)
class Promise:
    text: str
    limit: float
    measured: float

    @property
    def holds(self) -> bool:
        return self.measured <= self.limit


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


async def measured(where: str, contestants: Iterable[Contestant], rounds: int, size: int) -> list[Row]:
    field = list(contestants)
    blocks = [requests_of(contestant.app, "/items/42") for contestant in field]
    recorded = []
    for contestant, block in zip(field, blocks, strict=True):
        await block(_WARM_UP)
        recorded.append(contestant.counted() / _WARM_UP if contestant.counted else None)
    times: list[list[float]] = [[] for _ in field]
    gc.collect()
    gc.freeze()
    for number in range(rounds):
        order = [(number + place) % len(field) for place in range(len(field))]
        for at in reversed(order) if number % 2 else order:
            times[at].append(await blocks[at](size))
    gc.unfreeze()
    bare = times[0]
    return [
        Row(
            where,
            contestant.name,
            statistics.median(took) * 1e6,
            statistics.median(own - base for own, base in zip(took, bare, strict=True)) * 1e6,
            share,
        )
        for contestant, took, share in zip(field, times, recorded, strict=True)
    ]


async def all_rows(rounds: int) -> list[Row]:
    rows = await measured(_WHERE_NULL, null_contestants(), 2 * rounds, 200)
    rows += await measured(_WHERE_FASTAPI, fastapi_contestants(20), rounds, 100)
    for routes in (FEW_ROUTES, MANY_ROUTES):
        rows += await measured(_where_routes(routes), fastapi_contestants(routes), max(rounds // 2, 5), 50)
    return rows


def promises(rows: list[Row]) -> list[Promise]:
    by_name = {(row.where, row.contestant): row for row in rows}

    def ratio(where: str, peer: str) -> float:
        return by_name[where, TRACKSIDE].added_us / by_name[where, peer].added_us

    found = [
        Promise(f"{where}: of the instrumentator's", OF_INSTRUMENTATOR, ratio(where, INSTRUMENTATOR))
        for where in (_WHERE_NULL, _WHERE_FASTAPI)
    ]
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


def printed(rows: list[Row], kept: list[Promise]) -> Iterable[str]:
    where = ""
    for row in rows:
        if row.where != where:
            where = row.where
            yield f"\n{where}\n  {'':36}{'us/request':>12}{'added us':>12}{'recorded':>10}"
        share = "" if row.recorded is None else f"{row.recorded:.0%}"
        yield f"  {row.contestant:36}{row.us:12.2f}{row.added_us:+12.2f}{share:>10}"
    yield "\npromises"
    for promise in kept:
        verdict = "holds" if promise.holds else "BROKEN"
        yield f"  {promise.text:56}{promise.measured:8.3f}  at most {promise.limit:<8.3f}{verdict}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=41, help="interleaved rounds (default 41)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rows there")
    parser.add_argument("--check", action="store_true", help="exit 1 when a promise does not hold")
    args = parser.parse_args()
    rows = asyncio.run(all_rows(args.rounds))
    kept = promises(rows)
    print("\n".join(printed(rows, kept)))
    if args.json:
        result = {"rows": [asdict(row) for row in rows], "promises": [asdict(p) | {"holds": p.holds} for p in kept]}
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if args.check and not all(promise.holds for promise in kept) else 0


if __name__ == "__main__":
    sys.exit(main())
