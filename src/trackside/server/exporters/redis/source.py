"""A Redis or Valkey as a target of the scrape loop: a handful of commands that read, and none that looks at keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

from trackside.server.clock import Clock
from trackside.server.exporters.families import Families
from trackside.server.exporters.page import MakePage, PageT, reason_of
from trackside.server.exporters.redis.info import number, parsed_info, told
from trackside.wire import exposition

if TYPE_CHECKING:
    from redis.asyncio import Redis

PORT = 6379
MAX_DATABASES = 64

# Not CONFIG GET *: it has passwords.
_SETTINGS = ("databases", "io-threads", "maxclients", "maxmemory", "appendonly", "save", "timeout")
_NUMBERS = ("io-threads", "maxclients", "maxmemory")


@dataclass(frozen=True, slots=True)
class _Said:
    """What it answered; None where it may not be asked that."""

    info: str
    settings: Mapping[str, str] | None
    slow_length: float | None
    slow_last: Sequence[Any] | None
    latency: Sequence[Any] | None


class RedisSource(Generic[PageT]):
    def __init__(self, url: str, timeout_s: float, clock: Clock, page: MakePage[PageT]) -> None:
        self._url, self._timeout_s, self._clock, self._page = url, timeout_s, clock, page
        self._client: Redis | None = None
        self._scrapes = 0

    async def pull(self, now_ms: int) -> PageT:
        """Called by one loop at a time. Never raises: a database that is down is an answer."""
        started_s = self._clock.monotonic_s()
        self._scrapes += 1
        families, problem = Families(), ""
        try:
            async with asyncio.timeout(self._timeout_s):
                said = await self._asked()
            _tell(families, said, now_ms)
        except TimeoutError:
            problem = f"no complete answer within {self._timeout_s:g} s"
        except Exception as error:  # noqa: BLE001 - whatever a server answers, only its own scrape fails
            problem = reason_of(error)
        if problem:
            await self.close()
            families = Families()
        took_s = self._clock.monotonic_s() - started_s
        families.gauge("redis_up", "Whether the database could be asked.", not problem)
        families.gauge("redis_exporter_last_scrape_error", "Whether it could not.", bool(problem))
        families.gauge("redis_exporter_last_scrape_duration_seconds", "How long it took.", took_s)
        families.counter("redis_exporter_scrapes_total", "How often it was asked.", self._scrapes)
        return self._page(exposition.render(families.all()), problem)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _asked(self) -> _Said:
        client = self._connected()
        info = await _answer(client, "INFO", "all")
        settings = await _allowed(client, "CONFIG", "GET", *_SETTINGS)
        if settings is None:
            # Before version 7 it takes one name.
            settings = await _each_setting(client)
        return _Said(
            _decoded(info),
            _pairs(settings) if settings is not None else None,
            await _allowed(client, "SLOWLOG", "LEN"),
            await _allowed(client, "SLOWLOG", "GET", "1"),
            await _allowed(client, "LATENCY", "LATEST"),
        )

    def _connected(self) -> Redis:
        import redis.asyncio  # noqa: PLC0415 - only who asks a Redis needs its client

        if self._client is None:
            client = redis.asyncio.Redis.from_url(
                self._url,
                socket_timeout=self._timeout_s,
                socket_connect_timeout=self._timeout_s,
                max_connections=1,
            )
            # Its own ideas of the answers differ from version to version: here they are taken as they come.
            client.response_callbacks.clear()
            self._client = client
        return self._client


async def _answer(client: Redis, *command: str) -> Any:
    # Untyped in some of the client's versions, and typed in others.
    execute: Callable[..., Awaitable[Any]] = client.execute_command
    return await execute(*command)


async def _allowed(client: Redis, *command: str) -> Any:
    """The answer; None where the server does not know or not allow it."""
    import redis  # noqa: PLC0415 - only who asks a Redis needs its client

    try:
        return await _answer(client, *command)
    except redis.ResponseError:
        return None


async def _each_setting(client: Redis) -> list[Any] | None:
    found: list[Any] = []
    for name in _SETTINGS:
        pair = await _allowed(client, "CONFIG", "GET", name)
        if pair is None:
            return None
        found += pair
    return found


def _tell(families: Families, said: _Said, now_ms: int) -> None:
    fields = parsed_info(said.info)
    settings = said.settings or {}
    databases = number(settings.get("databases", "")) or 0
    for index in range(min(int(databases), MAX_DATABASES)):
        # A database without keys is not in INFO: 0 is worth more than nothing.
        for name, text in (("redis_db_keys", "Keys of the database."), ("redis_db_keys_expiring", "Keys that expire.")):
            families.gauge(name, text, 0, db=f"db{index}")
    told(families, fields)
    for name in _NUMBERS:
        if (value := number(settings.get(name, ""))) is not None:
            families.gauge(f"redis_config_{name.replace('-', '_')}", f"Setting {name}.", value)
    uptime_s = number(fields.get("uptime_in_seconds", ""))
    if uptime_s is not None:
        families.gauge("redis_start_time_seconds", "When it was started.", now_ms // 1000 - uptime_s)
    _slow(families, said)
    for event, at_s, last_ms, *_ in said.latency or ():
        families.gauge("redis_latency_spike_last", "When.", float(at_s), event_name=_decoded(event))
        families.gauge(
            "redis_latency_spike_duration_seconds", "How long.", float(last_ms) / 1000, event_name=_decoded(event)
        )


def _slow(families: Families, said: _Said) -> None:
    if said.slow_length is not None:
        families.gauge("redis_slowlog_length", "Entries of the slow log.", float(said.slow_length))
    last = said.slow_last[0] if said.slow_last else None
    if said.slow_last is not None:
        number_of_last, took_us = (float(last[0]), float(last[2])) if last else (0.0, 0.0)
        families.gauge("redis_slowlog_last_id", "Number of its last entry.", number_of_last)
        families.gauge("redis_last_slow_execution_duration_seconds", "How long it took.", took_us / 1e6)


def _pairs(answer: Any) -> dict[str, str]:
    if isinstance(answer, Mapping):
        return {_decoded(name): _decoded(value) for name, value in answer.items()}
    names, values = answer[::2], answer[1::2]
    return {_decoded(name): _decoded(value) for name, value in zip(names, values, strict=False)}


def _decoded(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
