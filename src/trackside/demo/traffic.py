"""Customers and scanners: requests to the shop as they really come, in waves and with odd paths among them."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from contextlib import suppress

import httpx

REQUESTS_PER_SECOND = 12.0
MOST_IN_FLIGHT = 60
# Share of each kind of request. The last ones are what every public address sees all day.
MIX = (
    (0.22, "GET", "/"),
    (0.24, "GET", "/products"),
    (0.24, "GET", "/products/sku-{}"),
    (0.08, "GET", "/search?q=sku-{}"),
    (0.16, "POST", "/checkout?payment=card"),
    (0.02, "POST", "/checkout?payment=invoice"),
    (0.02, "GET", "/products/sku-9{}"),
    (0.02, "GET", "/wp-login.php?x={}"),
)


class Traffic:
    """Sends requests until cancelled; `sent` counts them by status ("error" when there was no answer)."""

    def __init__(self, shop_url: str, *, seed: int = 3) -> None:
        self._shop_url = shop_url
        self._random = random.Random(seed)
        self.sent: Counter[str] = Counter()

    async def run(self) -> None:
        limits = httpx.Limits(max_connections=MOST_IN_FLIGHT)
        async with httpx.AsyncClient(base_url=self._shop_url, timeout=10, limits=limits) as client:
            running: set[asyncio.Task[None]] = set()
            elapsed_s = 0.0
            while True:
                if len(running) < MOST_IN_FLIGHT:
                    task = asyncio.create_task(self._request(client))
                    running.add(task)
                    task.add_done_callback(running.discard)
                # Two waves of different length, so that charts move without repeating.
                wave = 1 + 0.35 * math.sin(elapsed_s / 17) + 0.2 * math.sin(elapsed_s / 47)
                pause_s = self._random.expovariate(REQUESTS_PER_SECOND * wave)
                elapsed_s += pause_s
                await asyncio.sleep(pause_s)

    async def _request(self, client: httpx.AsyncClient) -> None:
        method, path = self._next()
        with suppress(httpx.HTTPError):
            response = await client.request(method, path)
            self.sent[str(response.status_code)] += 1
            return
        self.sent["error"] += 1

    def _next(self) -> tuple[str, str]:
        choice, floor = self._random.random(), 0.0
        for share, method, path in MIX:
            floor += share
            if choice < floor:
                return method, path.format(self._random.randrange(1, 41))
        return "GET", f"/.env.{self._random.randrange(10**6)}"
