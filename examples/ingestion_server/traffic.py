"""What the server's users do: edge relays that send, consumers that read, and people who look at sessions."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from ingestion_server.incidents import CONSUMER_HANGS, NETWORK_IS_DOWN
from ingestion_server.sensors import messages_of
from trackside.demo.system import Addresses, Traffic
from trackside.demo.traffic import HttpTraffic, Request

RELAYS = {"relay-north": ("anna", "ben"), "relay-south": ("chloe", "david"), "relay-west": ("emma", "finn")}
HANGING = "emma"
"""Whose consumer hangs now and then."""
SENDS_EVERY_S = 0.25
TRIES_AGAIN_AFTER_S = 0.5
ONE_IN = 300
"""Of so many messages one is wrong, of each kind in turn."""
WRONG = (
    '{"type": "samples", "user_id": "an',
    '{"type": "firmware_update", "user_id": "anna"}',
    '{"type": "samples", "user_id": "ben", "samples": [{"at": "noon", "value": 1}]}',
    '{"type": "samples", "user_id": "nobody", "samples": [{"at": 0, "value": 1}]}',
)

_PEOPLE = (
    *(Request(0.9 / 6, "GET", f"/users/{user}/sessions?limit={{}}") for users in RELAYS.values() for user in users),
    Request(0.08, "GET", "/sessions/unknown-{}/samples"),
)


class IngestionTraffic:
    def __init__(self, address: str) -> None:
        self._url = f"ws://{address}"
        self._people = HttpTraffic(f"http://{address}", _PEOPLE, per_second=2)
        self._began_s = 0.0
        self._messages = 0
        self.sent: Counter[str] = self._people.sent
        """Requests by status; messages, and those of them that were refused."""

    async def run(self) -> None:
        self._began_s = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._people.run())
            for relay, users in RELAYS.items():
                tasks.create_task(self._relay(relay, users))
                for user in users:
                    tasks.create_task(self._consumer(user))

    async def _relay(self, name: str, users: tuple[str, ...]) -> None:
        while True:
            with suppress(OSError, WebSocketException):
                async with connect(f"{self._url}/relays/{name}") as socket:
                    refusals = asyncio.create_task(self._count_refusals(socket))
                    try:
                        await self._send(socket, users)
                    finally:
                        refusals.cancel()
            await asyncio.sleep(max(TRIES_AGAIN_AFTER_S, NETWORK_IS_DOWN.left_s(self._elapsed_s())))

    async def _send(self, socket: ClientConnection, users: tuple[str, ...]) -> None:
        """Until the connection or the network is gone."""
        streams = [messages_of(user) for user in users]
        while not NETWORK_IS_DOWN.left_s(self._elapsed_s()):
            for stream in streams:
                await socket.send(next(stream))
                await self._send_wrong_now_and_then(socket)
            await asyncio.sleep(SENDS_EVERY_S)

    async def _send_wrong_now_and_then(self, socket: ClientConnection) -> None:
        self.sent["message"] += 1
        self._messages += 1
        kind, nothing_wrong = divmod(self._messages, ONE_IN)
        if not nothing_wrong:
            await socket.send(WRONG[kind % len(WRONG)])

    async def _count_refusals(self, socket: ClientConnection) -> None:
        with suppress(WebSocketException):
            async for _ in socket:
                self.sent["refused message"] += 1

    async def _consumer(self, user: str) -> None:
        while True:
            with suppress(OSError, WebSocketException):
                async with connect(f"{self._url}/consumers/{user}") as socket:
                    async for _ in socket:
                        if user == HANGING:
                            await asyncio.sleep(CONSUMER_HANGS.left_s(self._elapsed_s()))
                        await socket.send("read")
            await asyncio.sleep(TRIES_AGAIN_AFTER_S)

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began_s


def traffic(addresses: Addresses) -> Traffic:
    return IngestionTraffic(addresses["ingestion"])
