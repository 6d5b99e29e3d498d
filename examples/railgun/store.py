"""What is quick and short-lived: sessions, what was asked a moment ago, who is in a voice channel, and delivery."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any, Protocol

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from railgun.monitoring import monitor
from railgun.settings import REDIS_URL

_SESSION_S = 86_400
_RECENT_S = 2
"""What somebody who opens a channel sees may be so old."""
_TOPIC = "railgun:deliveries"
_TRIES_AGAIN_AFTER_S = 1.0

Delivery = dict[str, Any]
Deliver = Callable[[Delivery], Awaitable[None]]


class Store(Protocol):
    """Everything but delivery is called from threads."""

    def open_session(self, token: str, member: str) -> None: ...

    def member_of(self, token: str) -> str | None: ...

    def recent(self, channel_id: str) -> list[dict[str, Any]] | None:
        """What was remembered, unless that is too long ago."""
        ...

    def remember(self, channel_id: str, messages: list[dict[str, Any]]) -> None: ...

    def enter_voice(self, channel_id: str, member: str) -> None: ...

    def leave_voice(self, channel_id: str, member: str) -> None: ...

    def in_voice(self, channel_id: str) -> list[str]: ...

    def answers(self) -> object:
        """Raises when there is no answer."""
        ...

    async def publish(self, delivery: Delivery) -> None:
        """Hand it to every process of this service, this one too."""
        ...

    async def deliver_to(self, deliver: Deliver) -> None:
        """Until cancelled. A connection that breaks is made again."""
        ...


class RedisStore:
    def __init__(self, url: str) -> None:
        self._redis: Any = monitor.watch(Redis.from_url(url, decode_responses=True, socket_timeout=3))
        # Who listens waits for as long as nobody says anything.
        self._topics: Any = monitor.watch(AsyncRedis.from_url(url, decode_responses=True, socket_connect_timeout=3))

    def open_session(self, token: str, member: str) -> None:
        self._redis.set(_session_key(token), member, ex=_SESSION_S)

    def member_of(self, token: str) -> str | None:
        found: str | None = self._redis.get(_session_key(token))
        return found

    def recent(self, channel_id: str) -> list[dict[str, Any]] | None:
        found = self._redis.get(f"recent:{channel_id}")
        return None if found is None else json.loads(found)

    def remember(self, channel_id: str, messages: list[dict[str, Any]]) -> None:
        # Full memory costs us the cache, not the answer.
        with suppress(RedisError):
            self._redis.set(f"recent:{channel_id}", json.dumps(messages), ex=_RECENT_S)

    def enter_voice(self, channel_id: str, member: str) -> None:
        self._redis.sadd(f"voice:{channel_id}", member)

    def leave_voice(self, channel_id: str, member: str) -> None:
        self._redis.srem(f"voice:{channel_id}", member)

    def in_voice(self, channel_id: str) -> list[str]:
        return sorted(self._redis.smembers(f"voice:{channel_id}"))

    def answers(self) -> object:
        return self._redis.ping()

    async def publish(self, delivery: Delivery) -> None:
        await self._topics.publish(_TOPIC, json.dumps(delivery))

    async def deliver_to(self, deliver: Deliver) -> None:
        while True:
            with suppress(RedisError, OSError):
                async with self._topics.pubsub() as topics:
                    await topics.subscribe(_TOPIC)
                    async for said in topics.listen():
                        if said["type"] == "message":
                            await deliver(json.loads(said["data"]))
            await asyncio.sleep(_TRIES_AGAIN_AFTER_S)


def _session_key(token: str) -> str:
    """Keys are seen by whoever may look at Redis, and in the breadcrumbs of errors: no token may be one."""
    return f"session:{sha256(token.encode()).hexdigest()}"


class MemoryStore:
    """For one process without a Redis. It remembers sessions until it ends, and nothing else."""

    def __init__(self) -> None:
        self._sessions: dict[str, str] = {}
        self._voice: defaultdict[str, set[str]] = defaultdict(set)
        self._deliver: Deliver | None = None

    def open_session(self, token: str, member: str) -> None:
        self._sessions[token] = member

    def member_of(self, token: str) -> str | None:
        return self._sessions.get(token)

    def recent(self, channel_id: str) -> list[dict[str, Any]] | None:
        return None

    def remember(self, channel_id: str, messages: list[dict[str, Any]]) -> None:
        return None

    def enter_voice(self, channel_id: str, member: str) -> None:
        self._voice[channel_id].add(member)

    def leave_voice(self, channel_id: str, member: str) -> None:
        self._voice[channel_id].discard(member)

    def in_voice(self, channel_id: str) -> list[str]:
        return sorted(self._voice[channel_id])

    def answers(self) -> object:
        return True

    async def publish(self, delivery: Delivery) -> None:
        if self._deliver is not None:
            await self._deliver(delivery)

    async def deliver_to(self, deliver: Deliver) -> None:
        self._deliver = deliver
        await asyncio.Event().wait()


store: Store = RedisStore(REDIS_URL) if REDIS_URL else MemoryStore()
