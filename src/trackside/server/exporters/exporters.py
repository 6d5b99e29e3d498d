"""All databases of the configuration as targets, kept across a reload where nothing has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from trackside.model.labels import Labels
from trackside.server.clock import Clock
from trackside.server.exporters.config import DatabaseConfig, ExportersConfig, PostgresConfig, instance_of
from trackside.server.exporters.page import MakePage, PageT
from trackside.server.exporters.postgres import source as postgres
from trackside.server.exporters.postgres.source import PostgresSource
from trackside.server.exporters.redis import source as redis
from trackside.server.exporters.redis.source import RedisSource


@dataclass(frozen=True, slots=True)
class DatabaseTarget(Generic[PageT]):
    """What the scrape loop needs to know of a database."""

    url: str
    """As it may be shown: host and port."""
    labels: Labels
    interval_ms: int
    timeout_ms: int
    source: PostgresSource[PageT] | RedisSource[PageT]


class Exporters(Generic[PageT]):
    """Lives on the event loop."""

    def __init__(self, clock: Clock, page: MakePage[PageT]) -> None:
        self._clock, self._page = clock, page
        self._targets: dict[tuple[str, str], DatabaseTarget[PageT]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def apply(self, config: ExportersConfig, folder: Path) -> None:
        """
        Raises:
            ConfigError: the file of an address cannot be read; nothing has changed then.
        """
        wanted = [(one, one.address(folder)) for one in (*config.postgres, *config.redis)]
        targets = {_key(one, url): self._targets.get(_key(one, url)) or self._target(one, url) for one, url in wanted}
        gone = [target.source for key, target in self._targets.items() if key not in targets]
        self._targets = targets
        for source in gone:
            task = asyncio.create_task(source.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def targets(self, job: str) -> Sequence[DatabaseTarget[PageT]]:
        return [target for target in self._targets.values() if target.labels.get("job") == job]

    async def close(self) -> None:
        await asyncio.gather(*(target.source.close() for target in self._targets.values()), *self._closing)
        self._targets = {}

    def _target(self, config: DatabaseConfig, url: str) -> DatabaseTarget[PageT]:
        timeout_s = config.timeout / 1000
        source: PostgresSource[PageT] | RedisSource[PageT]
        if isinstance(config, PostgresConfig):
            job, instance = "postgres", instance_of(config, url, postgres.PORT)
            server = instance_of(config.model_copy(update={"instance": ""}), url, postgres.PORT)
            source = PostgresSource(url, server, timeout_s, self._clock, self._page)
        else:
            job, instance = "redis", instance_of(config, url, redis.PORT)
            source = RedisSource(url, timeout_s, self._clock, self._page)
        labels = Labels.of({**config.labels, "job": job, "instance": instance})
        return DatabaseTarget(f"{job}://{instance}", labels, config.interval, config.timeout, source)


def _key(config: DatabaseConfig, url: str) -> tuple[str, str]:
    """Two that are the same in every word are one."""
    return type(config).__name__ + config.model_dump_json(exclude={"url"}), url
