"""Customers who want images, captions, thumbnails and suggestions; and one who exports everything when it hurts."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import httpx

from luster.stand_ins import TROUBLE_FIRST_S
from trackside.demo.system import Addresses, Traffic
from trackside.demo.traffic import HttpTraffic, Request

PER_SECOND = 7.0
IMAGES = 16
"""That there are from the start; of the others some customers ask too early."""
EXPORTED = 160
"""Images in the big export; more than an alert allows to wait."""
_WORDS = ("a lighthouse", "wet streets at night", "a market hall", "birches in snow", "an empty stage")


def _wish(number: int) -> dict[str, Any]:
    # One image in ten has no pixels: it fails, however often it is tried.
    return {"prompt": f"{_WORDS[number % 5]}, {number}", "width": 0 if number % 10 == 0 else 160, "height": 120}


def _words(number: int) -> str:
    return _WORDS[number % 5]


def _some(number: int) -> list[int]:
    return [number]


_MIX = (
    Request(0.16, "POST", "/images", body=_wish),
    Request(0.21, "GET", "/images?limit={}"),
    Request(0.20, "GET", "/images/{}.png"),
    Request(0.10, "POST", "/images/{}/captions"),
    Request(0.07, "POST", "/images/{}/thumbnails"),
    Request(0.06, "POST", "/exports", body=_some),
    Request(0.18, "POST", "/suggestions", body=_words),
)


class LusterTraffic:
    def __init__(self, url: str) -> None:
        self._url = url
        self._people = HttpTraffic(url, _MIX, per_second=PER_SECOND)
        self._began_s = time.monotonic()
        self.sent: Counter[str] = self._people.sent

    async def run(self) -> None:
        self._began_s = time.monotonic()
        async with httpx.AsyncClient(base_url=self._url, timeout=30) as client:
            for number in range(1, IMAGES + 1):
                await self._post(client, "/images", _wish(number))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._people.run())
            tasks.create_task(self._export_everything())

    async def _export_everything(self) -> None:
        """Just when the storage is slow."""
        await asyncio.sleep(max(0.0, TROUBLE_FIRST_S - (time.monotonic() - self._began_s)))
        async with httpx.AsyncClient(base_url=self._url, timeout=30) as client:
            await self._post(client, "/exports", [1 + number % 9 for number in range(EXPORTED)])

    async def _post(self, client: httpx.AsyncClient, path: str, body: object) -> None:
        with suppress(httpx.HTTPError):
            self.sent[str((await client.post(path, json=body)).status_code)] += 1


def traffic(addresses: Addresses) -> Traffic:
    return LusterTraffic(f"http://{addresses['api']}")
