"""Which targets there are now: written in the configuration, listed in files or at a URL, or found in the DNS."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.rdatatype
from pydantic import TypeAdapter, ValidationError

from trackside.exceptions import ConfigError, TracksideError
from trackside.server.scrape.clients import Clients
from trackside.server.scrape.config import ScrapeConfig
from trackside.server.scrape.discovery_config import (
    DnsSdConfig,
    DynamicConfig,
    FileSdConfig,
    HttpSdConfig,
    StaticConfig,
)
from trackside.server.scrape.protocols import ScrapeError
from trackside.server.scrape.sources import Request, fetch
from trackside.server.scrape.target_files import TargetFiles

Discovered = Mapping[str, str]
"""Labels of one target before relabeling; `__address__` among them."""
ResolveSrv = Callable[[str], Awaitable[Sequence[tuple[str, int]]]]
"""Hosts and ports of a name."""

HTTP_TIMEOUT_S = 10.0
DNS_TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 10 << 20
# Files are looked at this often, whatever their refresh_interval: their times are cheap to read, and whoever writes a
# target into a file expects to see it soon.
FILES_EVERY_MS = 5_000

_GROUPS = TypeAdapter(tuple[StaticConfig, ...])


class Discovery:
    """Of one job. What fails keeps what it last found."""

    def __init__(self, config: ScrapeConfig, clients: Clients, resolve_srv: ResolveSrv | None = None) -> None:
        """
        Raises:
            ConfigError: a certificate or key cannot be read.
        """
        self._static = [target for group in config.static_configs for target in targets_of(group)]
        clients_of = {part: clients.get(part) for part in config.http_sd_configs}
        resolve = resolve_srv or srv_records
        self._parts: list[_Part] = []
        for part in config.dynamic_configs:
            match part:
                case FileSdConfig():
                    look_up = _file_look_up(part)
                case HttpSdConfig():
                    look_up = _http_look_up(part, clients_of[part])
                case DnsSdConfig():
                    look_up = _dns_look_up(part, resolve)
            self._parts.append(_Part(part, look_up, _interval_ms(part)))
        self.last_error = ""

    async def refresh(self, now_ms: int) -> int:
        """Look up what is due; how many look-ups failed."""
        due = [part for part in self._parts if now_ms >= part.due_ms]
        errors = [error for error in await asyncio.gather(*(_refresh(part, now_ms) for part in due)) if error]
        if due:
            self.last_error = "; ".join(errors)
        return len(errors)

    def targets(self) -> list[Discovered]:
        return [*self._static, *(target for part in self._parts for target in part.found)]


@dataclass(slots=True)
class _Part:
    config: DynamicConfig
    look_up: Callable[[], Awaitable[Sequence[Discovered]]]
    interval_ms: int
    due_ms: int = 0
    found: Sequence[Discovered] = ()


def targets_of(group: StaticConfig, **more: str) -> list[Discovered]:
    return [{**group.labels, **more, "__address__": address} for address in group.targets]


def _interval_ms(config: DynamicConfig) -> int:
    if isinstance(config, FileSdConfig):
        return min(config.refresh_interval, FILES_EVERY_MS)
    return config.refresh_interval


async def _refresh(part: _Part, now_ms: int) -> str:
    """What went wrong; "" when nothing did."""
    part.due_ms = now_ms + part.interval_ms
    try:
        part.found = await part.look_up()
    except (OSError, TimeoutError, TracksideError) as error:
        return str(error) or type(error).__name__
    return ""


def _file_look_up(config: FileSdConfig) -> Callable[[], Awaitable[Sequence[Discovered]]]:
    files = TargetFiles(config.files)

    async def look_up() -> Sequence[Discovered]:
        await asyncio.to_thread(files.refresh)
        if files.errors and not files.groups:
            raise ConfigError("; ".join(files.errors))
        return [
            target
            for name, groups in files.groups.items()
            for group in groups
            for target in targets_of(group, __meta_filepath=name)
        ]

    return look_up


def _http_look_up(config: HttpSdConfig, client: object) -> Callable[[], Awaitable[Sequence[Discovered]]]:
    raise NotImplementedError
