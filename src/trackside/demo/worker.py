"""The worker: takes orders from the shop and packs them. No web framework, so its /metrics is a bare ASGI app."""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

import httpx
import uvicorn

from trackside import Monitor

monitor = Monitor("worker")
packed = monitor.counter("worker_orders_packed_total", "Orders packed.", labels=("outcome",))
packing = monitor.histogram("worker_packing_seconds", "Time to pack one order.", buckets=(0.05, 0.1, 0.2, 0.5, 1, 2))
busy = monitor.gauge("worker_busy", "Whether the worker is packing (1) or waiting (0).")
_random = random.Random(11)


async def pack_orders(shop_url: str) -> None:
    """Take a few orders, pack them, and again; a shop that does not answer is asked again a second later."""
    async with httpx.AsyncClient(base_url=shop_url, timeout=5) as client:
        while True:
            orders = []
            with suppress(httpx.HTTPError):
                orders = (await client.post("/orders/take", params={"most": 5})).raise_for_status().json()
            busy.set(1 if orders else 0)
            for _order in orders:
                with packing.time():
                    await asyncio.sleep(_random.uniform(0.04, 0.25))
                packed.labels("damaged" if _random.random() < 0.02 else "sent").inc()
            if not orders:
                await asyncio.sleep(1)


async def nothing_else(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """What the worker answers to requests that are not for its metrics or its health."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"This worker has /metrics and /health.\n"})


async def run(port: int, shop_url: str) -> None:
    server = uvicorn.Server(
        uvicorn.Config(monitor.watch(nothing_else), host="127.0.0.1", port=port, log_level="warning", lifespan="off")
    )
    work = asyncio.create_task(pack_orders(shop_url))
    try:
        await server.serve()
    finally:
        work.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--shop", required=True, help="address of the shop")
    options = parser.parse_args()
    asyncio.run(run(options.port, options.shop))
