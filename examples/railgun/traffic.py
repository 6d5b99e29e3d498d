"""Members of the chat: they talk over WebSockets, look things up over HTTP, and come and go in voice channels."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from trackside.demo.system import Addresses, Traffic

MEMBERS = ("anna", "ben", "chloe", "david", "emma", "finn", "greta", "hugo", "ida", "jonas", "klara", "leo")
CHANNELS = ("general", "releases", "help", "random")
VOICE_CHANNELS = ("lobby", "standup", "music")
PASSWORD = "correct horse battery"
REQUESTS_PER_SECOND = 7.0
SAYS_SOMETHING_EVERY_S = 4.0
CHANGES_CHANNEL_EVERY_S = 7.0
TRIES_AGAIN_AFTER_S = 0.5
STAYS_S = (8.0, 40.0)
"""Connected, from and to."""
MOST_IN_FLIGHT = 60
_WORDS = ("the release is out", "lunch?", "who has the logs of last night", "looks good to me", "I cannot hear you")

# Share, method and path with a member, a channel or a word in it.
_MIX: tuple[tuple[float, Callable[[random.Random], str]], ...] = (
    (0.30, lambda chance: f"/api/v1/search?q={chance.choice(('release', 'logs', 'lunch'))}"),
    (0.30, lambda chance: f"/api/v1/dms/{chance.choice(MEMBERS)}"),
    (0.23, lambda chance: f"/api/v1/channels/{chance.choice(CHANNELS)}/messages"),
    (0.07, lambda chance: f"/api/v1/voice/{chance.choice(VOICE_CHANNELS)}"),
    (0.06, lambda chance: "/api/v1/channels"),
    # What every public address sees all day.
    (0.04, lambda chance: f"/.env.{chance.randrange(10**6)}"),
)


class RailgunTraffic:
    def __init__(self, address: str) -> None:
        self._address = address
        self._random = random.Random(7)
        self.sent: Counter[str] = Counter()
        """Requests by status; messages."""

    async def run(self) -> None:
        limits = httpx.Limits(max_connections=MOST_IN_FLIGHT)
        async with httpx.AsyncClient(base_url=f"http://{self._address}", timeout=10, limits=limits) as client:
            tokens = {member: await self._logged_in(client, member) for member in MEMBERS}
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._look_things_up(client, tokens))
                tasks.create_task(self._guess_passwords(client))
                for member, token in tokens.items():
                    tasks.create_task(self._be_there(member, token))

    async def _logged_in(self, client: httpx.AsyncClient, member: str) -> str:
        who = {"name": member, "password": PASSWORD}
        while True:
            # Taken already where the database outlives the demo.
            await self._request(client, "POST", "/api/v1/auth/register", json=who)
            answer = await self._request(client, "POST", "/api/v1/auth/login", json=who)
            if answer is not None and answer.status_code == 200:
                return str(answer.json()["token"])
            await asyncio.sleep(TRIES_AGAIN_AFTER_S)

    async def _look_things_up(self, client: httpx.AsyncClient, tokens: dict[str, str]) -> None:
        shares = [share for share, _ in _MIX]
        running: set[asyncio.Task[Any]] = set()
        while True:
            if len(running) < MOST_IN_FLIGHT:
                ((_, path),) = self._random.choices(_MIX, shares)
                headers = {"Authorization": f"Bearer {tokens[self._random.choice(MEMBERS)]}"}
                task = asyncio.create_task(self._request(client, "GET", path(self._random), headers=headers))
                running.add(task)
                task.add_done_callback(running.discard)
            await asyncio.sleep(self._random.expovariate(REQUESTS_PER_SECOND))

    async def _guess_passwords(self, client: httpx.AsyncClient) -> None:
        while True:
            await asyncio.sleep(self._random.expovariate(0.3))
            guess = {"name": self._random.choice(MEMBERS), "password": "password1"}
            await self._request(client, "POST", "/api/v1/auth/login", json=guess)

    async def _request(self, client: httpx.AsyncClient, method: str, path: str, **named: Any) -> httpx.Response | None:
        with suppress(httpx.HTTPError):
            answer = await client.request(method, path, **named)
            self.sent[str(answer.status_code)] += 1
            return answer
        self.sent["error"] += 1
        return None

    async def _be_there(self, member: str, token: str) -> None:
        while True:
            # A telephone that is put away, a train in a tunnel: connections do not last.
            with suppress(OSError, WebSocketException):
                stays_s = self._random.uniform(*STAYS_S)
                async with asyncio.timeout(stays_s), connect(f"ws://{self._address}/ws") as socket:
                    await socket.send(json.dumps({"type": "hello", "token": token}))
                    await self._talk(socket, member)
            await asyncio.sleep(TRIES_AGAIN_AFTER_S)

    async def _talk(self, socket: ClientConnection, member: str) -> None:
        """Until the connection is gone."""
        tasks = [
            asyncio.ensure_future(self._say_things(socket, member)),
            asyncio.ensure_future(self._change_channels(socket)),
            asyncio.ensure_future(self._listen(socket)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _say_things(self, socket: ClientConnection, member: str) -> None:
        while True:
            await asyncio.sleep(self._random.expovariate(1 / SAYS_SOMETHING_EVERY_S))
            message = {"type": "channel", "channel_id": self._random.choice(CHANNELS)}
            if self._random.random() < 0.4:
                message = {"type": "dm", "to": self._random.choice([one for one in MEMBERS if one != member])}
            await socket.send(json.dumps({**message, "text": self._random.choice(_WORDS)}))
            self.sent["message"] += 1

    async def _change_channels(self, socket: ClientConnection) -> None:
        while True:
            channel = self._random.choice(VOICE_CHANNELS)
            for joined in (True, False):
                await socket.send(json.dumps({"type": "voice", "channel_id": channel, "joined": joined}))
                await asyncio.sleep(self._random.expovariate(1 / CHANGES_CHANNEL_EVERY_S))

    async def _listen(self, socket: ClientConnection) -> None:
        async for _ in socket:
            self.sent["message read"] += 1


def traffic(addresses: Addresses) -> Traffic:
    return RailgunTraffic(addresses["api"])
