"""The job sources in force: opened as the configuration says, exchanged when it changes, and told as metrics."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trackside.exceptions import ConfigError
from trackside.jobs.actor import JobActor
from trackside.jobs.source import JobSource
from trackside.model.metrics import MetricFamily
from trackside.server.backend import MetricsBackend
from trackside.server.clock import Clock
from trackside.server.db.database import Database
from trackside.server.jobs.actions.actions import JobActions, Place
from trackside.server.jobs.addresses import acting_url_of, url_of
from trackside.server.jobs.collector import job_families
from trackside.server.jobs.config import JobsConfig
from trackside.server.jobs.figures import history_families, limit_families, missing_families
from trackside.server.jobs.fresh import Fresh
from trackside.server.jobs.ledger import JobsLedger
from trackside.server.jobs.sampler import Pace, Ports
from trackside.server.jobs.signals import Signals
from trackside.server.jobs.watch import Elsewhere, Expectations, JobsWatch

TICK_MS = 5_000
_HISTORY_MS = 30_000
_MOST_COST = 0.02
_LONGEST_S = 30.0


@dataclass(frozen=True, slots=True)
class _InForce:
    """What a watch was made of: the same again needs no new one."""

    config: JobsConfig | None
    folder: Path
    urls: tuple[str, ...]
    """As they were when the sources were opened: they may stand in files that change by themselves."""


class CurrentJobs:
    """All methods belong to the event loop; what blocks is done by threads."""

    def __init__(self, db: Database, clock: Clock, backend: MetricsBackend) -> None:
        self._ports = Ports(db, JobsLedger(db), clock, uuid.uuid4().hex)
        self._signals = Signals(backend)
        self._in_force = _InForce(None, Path(), ())
        self._has_threads = False
        self._families: list[MetricFamily] = []
        self._collect_from_s = 0.0
        self._history = Fresh(self._of_history, _HISTORY_MS)
        self.watch = self._watching(JobsConfig(), {})
        self.actions = JobActions({}, db, clock)

    def families(self) -> list[MetricFamily]:
        """As of the last tick."""
        return self._families

    def start(self) -> None:
        """Look at the sources from now on; without it a test calls the `step` of the watch."""
        self._has_threads = True
        self.watch.start()

    async def apply(self, config: JobsConfig | None, folder: Path) -> None:
        """
        Raises:
            ConfigError: a source cannot be opened; those in force stay.
        """
        sources = () if config is None else config.sources
        urls = tuple(read(source, folder) for source in sources for read in (url_of, acting_url_of))
        wanted = _InForce(config, folder, urls)
        if wanted == self._in_force:
            return
        config = config or JobsConfig()
        opened, actors = _opened(config, folder)
        await self.stop()
        # Not before the old one has stored what it knows.
        self._in_force, self.watch = wanted, await asyncio.to_thread(self._watching, config, opened)
        places = {name: Place(sampler, actors[name]) for name, sampler in self.watch.samplers.items()}
        self.actions = JobActions(places, self._ports.db, self._ports.clock)
        if self._has_threads:
            self.watch.start()

    async def tick(self, now_ms: int) -> None:
        try:
            await self._signals.refresh(now_ms)
        finally:
            await self._collect(now_ms)

    async def _collect(self, now_ms: int) -> None:
        """Less often where there are very many kinds and queues: it may cost a fiftieth of a processor."""
        clock = self._ports.clock
        began_s = clock.monotonic_s()
        if began_s < self._collect_from_s:
            return
        self._families = await asyncio.to_thread(self._collected, now_ms)
        took_s = clock.monotonic_s() - began_s
        self._collect_from_s = began_s + min(_LONGEST_S, took_s / _MOST_COST)

    async def stop(self) -> None:
        """Who acts ends first: it looks, too."""
        await asyncio.to_thread(self.actions.close)
        await asyncio.to_thread(self.watch.stop)

    def _watching(self, config: JobsConfig, sources: Mapping[str, tuple[JobSource, Pace]]) -> JobsWatch:
        signals = self._signals
        return JobsWatch(
            sources,
            self._ports,
            Expectations(config.expected_workers(), config.expected_beats(), config.limits()),
            Elsewhere(lambda: signals.beats, lambda: signals.deploys, lambda: signals.expected, config.trace_url),
        )

    def _collected(self, now_ms: int) -> list[MetricFamily]:
        watch, config = self.watch, self._in_force.config
        if config is None and not watch.expected_beats() and not watch.ledger.totals():
            # Nobody here has jobs.
            return []
        config = config or JobsConfig()
        return [
            *job_families(watch, config.apalis_prefix),
            *limit_families(config),
            *missing_families(watch, watch.verdicts()),
            *self._history.at(now_ms),
        ]

    def _of_history(self, now_ms: int) -> list[MetricFamily]:
        return list(history_families(self._ports.ledger, now_ms))


def _opened(config: JobsConfig, folder: Path) -> tuple[dict[str, tuple[JobSource, Pace]], dict[str, JobActor | None]]:
    """
    Raises:
        ConfigError: one of them cannot be opened; all are closed again.
    """
    if not config.sources:
        return {}, {}
    # What reads a dozen back-ends is much to load for those who have none.
    from trackside.server.jobs.actions.opening import open_actor  # noqa: PLC0415 - see above
    from trackside.server.jobs.opening import open_sources  # noqa: PLC0415 - see above

    actors: dict[str, JobActor | None] = {}
    try:
        for one in config.sources:
            actors[one.name] = open_actor(one, folder)
        return open_sources(config, folder), actors
    except ConfigError:
        for actor in actors.values():
            if actor is not None:
                actor.close()
        raise
