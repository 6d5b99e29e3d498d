"""Which targets there are now: written in the configuration, listed in files or at a URL, or found in the DNS."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import httpx

from trackside.exceptions import TracksideError
from trackside.server.scrape.clients import Clients
from trackside.server.scrape.config import ScrapeConfig
from trackside.server.scrape.discovery_config import DnsSdConfig, DynamicConfig, FileSdConfig, HttpSdConfig
from trackside.server.scrape.protocols import ScrapeError
from trackside.server.scrape.sources import Request, fetch
from trackside.server.scrape.target_groups import Discovered, TargetFiles, groups_of, targets_of

ResolveSrv = Callable[[str], Awaitable[Sequence[tuple[str, int]]]]
"""Hosts and ports behind a name."""
LookUp = Callable[[], Awaitable[tuple[Sequence[Discovered], Sequence[str]]]]
"""Targets, and sentences about what could not be read. Raises OSError or TracksideError when there is nothing new."""

HTTP_TIMEOUT_S = 10.0
DNS_TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 10 << 20
# Files are looked at this often, whatever their refresh_interval: their times are cheap to read, and whoever writes a
# target into a file expects to see it soon.
FILES_EVERY_MS = 5_000


async def srv_records(name: str) -> list[tuple[str, int]]:
    """
    Raises:
        OSError: there is no answer.
    """
    import dns.asyncresolver  # noqa: PLC0415 - a library that few have a need of
    import dns.exception  # noqa: PLC0415 - as above

    try:
        answers = await dns.asyncresolver.resolve(name, "SRV", lifetime=DNS_TIMEOUT_S)
    except dns.exception.DNSException as error:
        raise OSError(f"no SRV records of {name}: {error}") from error
    return sorted((str(answer.target).rstrip("."), int(answer.port)) for answer in answers)


@dataclass(slots=True, eq=False)
class _Part:
    look_up: LookUp
    interval_ms: int
    due_ms: int = 0
    found: Sequence[Discovered] = ()

    async def refresh(self, now_ms: int) -> Sequence[str]:
        """What went wrong; what was found before then stays."""
        self.due_ms = now_ms + self.interval_ms
        try:
            self.found, errors = await self.look_up()
        except TimeoutError:
            return ["no answer in time"]
        except (OSError, TracksideError) as error:
            return [str(error) or type(error).__name__]
        return errors


class Discovery:
    """Of one job."""

    def __init__(self, config: ScrapeConfig, clients: Clients, resolve_srv: ResolveSrv = srv_records) -> None:
        """
        Raises:
            ConfigError: a certificate or key cannot be read.
        """
        self._static = [target for group in config.static_configs for target in targets_of(group)]
        self._parts = [
            _Part(_look_up(part, clients, resolve_srv), min(part.refresh_interval, _MOST_MS[type(part)]))
            for part in config.dynamic_configs
        ]
        self.failures_total = 0
        self.last_error = ""

    @property
    def changes(self) -> bool:
        """Whether there is anything to look up."""
        return bool(self._parts)

    async def refresh(self, now_ms: int) -> None:
        due = [part for part in self._parts if now_ms >= part.due_ms]
        errors = [error for found in await asyncio.gather(*(part.refresh(now_ms) for part in due)) for error in found]
        self.failures_total += len(errors)
        self.last_error = "; ".join(errors) or self.last_error

    def targets(self) -> list[Discovered]:
        """As of the last look-ups that succeeded."""
        return [*self._static, *(target for part in self._parts for target in part.found)]


_A_DAY_MS = 86_400_000
_MOST_MS: dict[type[DynamicConfig], int] = {
    FileSdConfig: FILES_EVERY_MS,
    HttpSdConfig: _A_DAY_MS,
    DnsSdConfig: _A_DAY_MS,
}


def _look_up(config: DynamicConfig, clients: Clients, resolve_srv: ResolveSrv) -> LookUp:
    match config:
        case FileSdConfig():
            return partial(_in_files, TargetFiles(config.files))
        case HttpSdConfig():
            return partial(_at_url, config, clients.get(config))
        case DnsSdConfig():
            return partial(_in_dns, config, resolve_srv)


async def _in_files(files: TargetFiles) -> tuple[Sequence[Discovered], Sequence[str]]:
    errors = await asyncio.to_thread(files.refresh)
    return files.targets(), errors


async def _at_url(config: HttpSdConfig, client: httpx.AsyncClient) -> tuple[Sequence[Discovered], Sequence[str]]:
    request = Request(config.url, HTTP_TIMEOUT_S, config, accept="application/json", size_limit=MAX_ANSWER_BYTES)
    page = await fetch(client, request)
    if not page.content_type.lower().startswith("application/json"):
        raise ScrapeError(f"{config.url}: expected application/json, found {page.content_type[:80]!r}")
    try:
        tree = json.loads(page.body)
    except (ValueError, RecursionError) as error:
        raise ScrapeError(f"{config.url}: no JSON: {error}") from error
    groups = groups_of(tree, config.url)
    return [target for group in groups for target in targets_of(group, __meta_url=config.url)], ()


async def _in_dns(config: DnsSdConfig, resolve_srv: ResolveSrv) -> tuple[Sequence[Discovered], Sequence[str]]:
    found: list[Discovered] = []
    for name in config.names:
        if config.type == "SRV":
            found += [_srv_target(name, host, port) for host, port in await resolve_srv(name)]
        else:
            hosts = await _addresses(name, socket.AF_INET if config.type == "A" else socket.AF_INET6)
            found += [{"__address__": f"{host}:{config.port}", "__meta_dns_name": name} for host in hosts]
    return found, ()


def _srv_target(name: str, host: str, port: int) -> Discovered:
    return {
        "__address__": f"{host}:{port}",
        "__meta_dns_name": name,
        "__meta_dns_srv_record_target": f"{host}.",
        "__meta_dns_srv_record_port": str(port),
    }


async def _addresses(name: str, family: socket.AddressFamily) -> list[str]:
    """
    Raises:
        OSError: the name is not known.
    """
    async with asyncio.timeout(DNS_TIMEOUT_S):
        answers = await asyncio.get_running_loop().getaddrinfo(name, None, family=family, type=socket.SOCK_STREAM)
    hosts = sorted({str(answer[4][0]) for answer in answers})
    return [f"[{host}]" if ":" in host else host for host in hosts]
