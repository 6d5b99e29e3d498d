"""What watching an app costs each request, beside the peers, and whether the promises hold.

    python benchmarks/sdk/request_cost.py                 tables
    python benchmarks/sdk/request_cost.py --json F        and all rows as JSON
    python benchmarks/sdk/request_cost.py --check         exit 1 when a promise does not hold

How it measures: the app is called with a scope of its own, without sockets. Each contestant has processes of its own,
as it has in production: in one process with others the interpreter would fit its bytecode to them all. Every round runs
a short block of requests in each process, one process at a time and in turning order, so that a machine that slows down
slows all alike; time is CPU time of the thread. "added" is the median, over the rounds, of a contestant's block less
the bare app's block of the same round, and of that the median over its processes: where a process happens to lie in
memory is worth a percent.

How to read it: compare inside one table only. The row "bare again" is the bare app measured as a contestant: what it
adds is the error of the table. "recorded" is the share of the requests that the contestant's own metrics show.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from contestants import (
    BARE,
    BARE_AGAIN,
    INSTRUMENTATOR,
    TELEMETRY,
    TRACKSIDE,
    Contestant,
    fastapi_contestant,
    null_contestant,
)

OF_INSTRUMENTATOR = 0.08
# Inside an app what is short costs about twice as much as in a loop, since the app's own work has taken the processor's
# caches meanwhile; what is long, less so. Measured: 0.07 to 0.10.
OF_INSTRUMENTATOR_IN_APP = 0.12
OF_TELEMETRY = 0.2
FEW_ROUTES, MANY_ROUTES = 1, 300
# A bare app with 300 routes costs hundreds of microseconds: what a table this coarse can tell apart.
FLAT_WITHIN_OF_BARE = 0.05

_WARM_UP = 200
_PROCESSES = 3
_WHERE_NULL = "middleware alone"
_WHERE_FASTAPI = "FastAPI, 20 routes"

Block = Callable[[int], Awaitable[float]]
Build = Callable[[str], Contestant | None]


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


class Worker:
    """One contestant in a process of its own."""

    def __init__(self, build: Build, name: str) -> None:
        self.name = name
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("fork").Process(
            target=serve, args=(theirs, build, name), daemon=True
        )
        self._process.start()
        theirs.close()
        self.recorded: float | None = self._pipe.recv()
        """Share of its requests; below 0 when there is no such contestant here."""

    def block(self, size: int) -> float:
        self._pipe.send(size)
        return float(self._pipe.recv())

    def stop(self) -> None:
        self._pipe.send(0)
        self._process.join()


def serve(pipe: Connection, build: Build, name: str) -> None:
    contestant = build(name)
    if contestant is None:
        pipe.send(-1)
        pipe.recv()
        return
    block = requests_of(contestant.app, "/items/42")

    async def answer() -> None:
        await block(_WARM_UP)
        pipe.send(contestant.counted() / _WARM_UP if contestant.counted else None)
        gc.collect()
        gc.freeze()
        while size := pipe.recv():
            pipe.send(await block(size))

    asyncio.run(answer())


def measured(where: str, build: Build, names: Sequence[str], rounds: int, size: int) -> list[Row]:
    """`names` begins with the bare app's."""
    started = [Worker(build, name) for _ in range(_PROCESSES) for name in names]
    workers = [worker for worker in started if worker.recorded is None or worker.recorded >= 0]
    times: list[list[float]] = [[] for _ in workers]
    for number in range(rounds):
        order = [(number + place) % len(workers) for place in range(len(workers))]
        for at in reversed(order) if number % 2 else order:
            times[at].append(workers[at].block(size))
    for worker in started:
        worker.stop()

    def of(name: str) -> list[list[float]]:
        return [took for worker, took in zip(workers, times, strict=True) if worker.name == name]

    bare = [statistics.mean(blocks) for blocks in zip(*of(names[0]), strict=True)]
    rows = []
    for name in names:
        if not of(name):
            continue
        added = [statistics.median(own - base for own, base in zip(took, bare, strict=True)) for took in of(name)]
        whole = statistics.median(block for took in of(name) for block in took)
        share = next(worker.recorded for worker in workers if worker.name == name)
        rows.append(Row(where, name, whole * 1e6, statistics.median(added) * 1e6, share))
    return rows


def all_rows(rounds: int) -> list[Row]:
    alone = (BARE, BARE_AGAIN, INSTRUMENTATOR, TRACKSIDE)
    inside = (BARE, BARE_AGAIN, INSTRUMENTATOR, TELEMETRY, TRACKSIDE)
    rows = measured(_WHERE_NULL, null_contestant, alone, rounds, 500)
    rows += measured(_WHERE_FASTAPI, partial(fastapi_contestant, routes=20), inside, rounds, 200)
    for routes in (FEW_ROUTES, MANY_ROUTES):
        build = partial(fastapi_contestant, routes=routes)
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
    parser.add_argument("--rounds", type=int, default=31, help="interleaved rounds (default 31)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rows there")
    parser.add_argument("--check", action="store_true", help="exit 1 when a promise does not hold")
    args = parser.parse_args()
    rows = all_rows(args.rounds)
    kept = promises(rows)
    print("\n".join(printed(rows, kept)))
    if args.json:
        result = {"rows": [asdict(row) for row in rows], "promises": [asdict(p) | {"holds": p.holds} for p in kept]}
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if args.check and not all(promise.holds for promise in kept) else 0


if __name__ == "__main__":
    sys.exit(main())
