"""Customers and scanners: requests to a service as they really come, in waves and with odd paths among them."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import httpx

REQUESTS_PER_SECOND = 12.0
MOST_IN_FLIGHT = 60
MOST_NUMBER = 40


@dataclass(frozen=True, slots=True)
class Request:
    share: float
    """Of all requests."""
    method: str
    path: str
    """`{}` is a number from 1 to 40."""
    body: Callable[[int], object] | None = None
    """What is sent as JSON, given that number."""


class HttpTraffic:
    """Sends requests until cancelled; `sent` counts them by status ("error" when there was no answer)."""

    def __init__(self, url: str, mix: Sequence[Request], *, per_second: float = REQUESTS_PER_SECOND) -> None:
        """What the shares of `mix` leave over is what every public address sees all day: scanners."""
        self._url = url
        self._mix = mix
        self._per_second = per_second
        self._random = random.Random(3)
        self.sent: Counter[str] = Counter()

    async def run(self) -> None:
        limits = httpx.Limits(max_connections=MOST_IN_FLIGHT)
        async with httpx.AsyncClient(base_url=self._url, timeout=10, limits=limits) as client:
            running: set[asyncio.Task[None]] = set()
            elapsed_s = 0.0
            while True:
                if len(running) < MOST_IN_FLIGHT:
                    task = asyncio.create_task(self._request(client))
                    running.add(task)
                    task.add_done_callback(running.discard)
                # Two waves of different length, so that charts move without repeating.
                wave = 1 + 0.35 * math.sin(elapsed_s / 17) + 0.2 * math.sin(elapsed_s / 47)
                pause_s = self._random.expovariate(self._per_second * wave)
                elapsed_s += pause_s
                await asyncio.sleep(pause_s)

    async def _request(self, client: httpx.AsyncClient) -> None:
        method, path, body = self._next()
        with suppress(httpx.HTTPError):
            response = await client.request(method, path, json=body)
            self.sent[str(response.status_code)] += 1
            return
        self.sent["error"] += 1

    def _next(self) -> tuple[str, str, object]:
        choice, floor = self._random.random(), 0.0
        for request in self._mix:
            floor += request.share
            if choice < floor:
                number = self._random.randrange(1, MOST_NUMBER + 1)
                body = None if request.body is None else request.body(number)
                return request.method, request.path.format(number), body
        return "GET", f"/.env.{self._random.randrange(10**6)}", None
