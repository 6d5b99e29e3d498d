"""All scrape jobs and their targets: started, spread over time, kept across a reload, ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trackside.exceptions import ConfigError
from trackside.instruments.registry import Registry
from trackside.model.labels import Labels
from trackside.model.targets import TargetStatus
from trackside.server.clock import Clock
from trackside.server.schedule import Entry, Schedule
from trackside.server.scrape.cache import Described
from trackside.server.scrape.clients import Clients
from trackside.server.scrape.collector import ScrapeMetrics
from trackside.server.scrape.config import GlobalConfig, ScrapeConfig, check_scrape_configs, with_defaults
from trackside.server.scrape.discovery import Discovery
from trackside.server.scrape.loop import Ports, TargetLoop
from trackside.server.scrape.protocols import accept_header
from trackside.server.scrape.sources import ClientFactory, HttpSource, Request, Source, http_client
from trackside.server.scrape.targets import Selection, Target, select
from trackside.server.storage import Appender

# How often discovery is asked whether something is due; files and names have intervals of their own.
DISCOVERY_MS = 5_000
# A scrape that starts within this share of its interval counts as on time, and its samples get the round time: series
# with even steps compress to almost nothing, and their rates are exact.
ON_TIME_SHARE = 0.01
ON_TIME_MS = 2
# Dropped targets that are kept to be shown, unless the job says how many.
DROPPED_SHOWN = 100

OwnTarget = tuple[str, str, Source]
"""Job, instance and source of a part of this process."""
TargetKey = tuple[str, Labels]


class GivenTarget(Protocol):
    """A target that no discovery finds: something that this server asks in its own way."""

    @property
    def url(self) -> str: ...

    @property
    def labels(self) -> Labels:
        """All of them, `job` and `instance` too."""
        ...

    @property
    def interval_ms(self) -> int: ...

    @property
    def timeout_ms(self) -> int:
        """Told to whoever looks at the target. The source keeps to it by itself."""
        ...

    @property
    def source(self) -> Source: ...


@dataclass(slots=True)
class _Running:
    loop: TargetLoop
    entry: Entry
    source: Source


@dataclass(slots=True)
class _Pool:
    config: ScrapeConfig
    """With defaults."""
    discovery: Discovery
    running: dict[TargetKey, _Running] = field(default_factory=dict)
    dropped: tuple[Labels, ...] = ()
    invalid: tuple[str, ...] = ()
    failures_told: int = 0


class ScrapePools:
    """Lives on the event loop."""

    def __init__(
        self,
        appender: Appender,
        schedule: Schedule,
        clock: Clock,
        registry: Registry,
        client_factory: ClientFactory = http_client,
        own: Sequence[OwnTarget] = (),
    ) -> None:
        self._schedule = schedule
        self._metrics = ScrapeMetrics(registry)
        self._ports = Ports(appender, clock, self._metrics)
        self._clients = Clients(client_factory)
        self._own = own
        self._pools: dict[str, _Pool] = {}
        self._ours: dict[TargetKey, _Running] = {}
        self._given: dict[str, dict[TargetKey, _Running]] = {}
        self._schedule.every(DISCOVERY_MS, self.tick_discovery)

    async def apply(self, defaults: GlobalConfig, configs: Sequence[ScrapeConfig], now_ms: int) -> None:
        """Scrape by this configuration from now on. A target that stays as it was is not interrupted.

        Raises:
            ConfigError: two jobs of one name, or a certificate that cannot be read; nothing has changed then.
        """
        pools = self._new_pools(defaults, configs)
        for name in self._pools.keys() - pools.keys():
            self._end(self._pools[name], now_ms)
        previous, self._pools = self._pools, pools
        for name, pool in pools.items():
            before = previous.get(name)
            if before is not None and before is not pool:
                pool.running = before.running
            await self._discover(pool, now_ms)
        self._start_own(defaults, now_ms)

    def give(self, pool: str, targets: Sequence[GivenTarget], now_ms: int) -> None:
        """Scrape these, and no others, under the name `pool`. One whose source has stayed is not interrupted."""
        config = with_defaults(ScrapeConfig(job_name=pool), GlobalConfig())
        before, running = self._given.get(pool, {}), {}
        for given in targets:
            target = Target(pool, given.url, given.labels, given.labels, given.interval_ms, given.timeout_ms)
            old = before.pop(target.identity, None)
            if old is None or old.loop.target != target or old.source is not given.source:
                old = self._run(old, target, config, given.source, now_ms)
            running[target.identity] = old
        for gone in before.values():
            self._end_one(gone, now_ms)
        self._given[pool] = running
        self._metrics.targets(pool, len(running), 0)

    async def tick_discovery(self, now_ms: int) -> None:
        """Look for targets that came or went."""
        for name, pool in list(self._pools.items()):
            # A reload may have replaced the pool while another was waited for.
            if pool.discovery.changes and self._pools.get(name) is pool:
                await self._discover(pool, now_ms)

    def targets(self) -> list[TargetStatus]:
        """In the order of the configuration, our own last."""
        return [running.loop.status for running in self._running_loops()]

    def dropped_targets(self) -> list[tuple[str, Labels]]:
        """Job and labels, as discovered, of targets that relabeling drops."""
        return [
            (pool.config.job_name, labels)
            for pool in self._pools.values()
            for labels in pool.dropped[: pool.config.keep_dropped_targets or DROPPED_SHOWN]
        ]

    def problems(self) -> list[str]:
        """Why targets are missing: what discovery could not read, and what relabeling made unusable."""
        return [
            f"job {pool.config.job_name!r}: {problem}"
            for pool in self._pools.values()
            for problem in (*filter(None, (pool.discovery.last_error,)), *pool.invalid)
        ]

    def metadata(self) -> list[tuple[TargetStatus, Mapping[str, Described]]]:
        """Of each target: type, help and unit by family."""
        return [(running.loop.status, running.loop.metadata()) for running in self._running_loops()]

    async def close(self) -> None:
        """Let go of all connections. Series are not ended: a restart a moment later goes on with them."""
        for running in self._running_loops():
            self._schedule.cancel(running.entry)
        await self._clients.close()

    def _running_loops(self) -> list[_Running]:
        pools = [*(pool.running for pool in self._pools.values()), *self._given.values(), self._ours]
        return [one for running in pools for one in running.values()]

    def _new_pools(self, defaults: GlobalConfig, configs: Sequence[ScrapeConfig]) -> dict[str, _Pool]:
        """Pools of the old configuration where it has not changed.

        Raises:
            ConfigError: as `apply`.
        """
        try:
            check_scrape_configs(configs, defaults)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        return {given.job_name: self._new_pool(with_defaults(given, defaults)) for given in configs}

    def _new_pool(self, config: ScrapeConfig) -> _Pool:
        self._clients.get(config)
        old = self._pools.get(config.job_name)
        if old is None:
            return _Pool(config, Discovery(config, self._clients))
        if old.config == config:
            return old
        # What was found stays known while only the rest of the job changes: a name server that is down at this moment
        # must not end all targets.
        same_sources = (old.config.static_configs, old.config.dynamic_configs) == (
            config.static_configs,
            config.dynamic_configs,
        )
        discovery = old.discovery if same_sources else Discovery(config, self._clients)
        return _Pool(config, discovery, failures_told=old.failures_told if same_sources else 0)

    async def _discover(self, pool: _Pool, now_ms: int) -> None:
        await pool.discovery.refresh(now_ms)
        job = pool.config.job_name
        for _ in range(pool.discovery.failures_total - pool.failures_told):
            self._metrics.discovery_failed(job)
        pool.failures_told = pool.discovery.failures_total
        if self._pools.get(job) is pool:
            self._adjust(pool, select(pool.config, pool.discovery.targets()), now_ms)

    def _adjust(self, pool: _Pool, selection: Selection, now_ms: int) -> None:
        """Make what runs what should."""
        wanted = {target.identity: target for target in selection.targets}
        for key in [key for key in pool.running if key not in wanted]:
            self._end_one(pool.running.pop(key), now_ms)
        running = {}
        for key, target in wanted.items():
            old = pool.running.get(key)
            if old is not None and old.loop.config == pool.config and old.loop.target == target:
                running[key] = old
            else:
                running[key] = self._replace(old, target, pool.config, now_ms)
        pool.running, pool.dropped, pool.invalid = running, selection.dropped, selection.invalid
        self._refuse_beyond_limit(pool)
        self._metrics.targets(pool.config.job_name, len(running), len(pool.invalid))

    def _refuse_beyond_limit(self, pool: _Pool) -> None:
        count, limit = len(pool.running), pool.config.target_limit
        refusal = f"{count} targets are more than target_limit = {limit}; none is scraped" if 0 < limit < count else ""
        for running in pool.running.values():
            running.loop.refusal = refusal

    def _replace(self, old: _Running | None, target: Target, config: ScrapeConfig, now_ms: int) -> _Running:
        """The same target by a new configuration: its series go on."""
        request = Request(
            target.url,
            target.timeout_ms / 1000,
            config,
            accept_header(config.scrape_protocols, config.metric_name_escaping_scheme),
            config.body_size_limit,
            config.enable_compression,
            {"X-Prometheus-Scrape-Timeout-Seconds": f"{target.timeout_ms / 1000:g}"},
        )
        return self._run(old, target, config, HttpSource(self._clients.get(config), request), now_ms)

    def _run(self, old: _Running | None, target: Target, config: ScrapeConfig, source: Source, now_ms: int) -> _Running:
        loop = TargetLoop(target, config, source, self._ports)
        if old is not None:
            self._schedule.cancel(old.entry)
            loop.take_over(old.loop)
        first_ms = first_scrape_ms(target, now_ms)

        async def tick(at_ms: int) -> None:
            await loop.scrape(rounded(at_ms, first_ms, target.interval_ms))

        return _Running(loop, self._schedule.every(target.interval_ms, tick, first_ms=first_ms), source)

    def _start_own(self, defaults: GlobalConfig, now_ms: int) -> None:
        for job, instance, source in self._own:
            config = with_defaults(ScrapeConfig(job_name=job), defaults)
            labels = Labels.of(job=job, instance=instance)
            target = Target(job, "in this process", labels, labels, config.scrape_interval, config.scrape_timeout)
            old = self._ours.get(target.identity)
            if old is None or old.loop.target != target or old.loop.config != config:
                self._ours[target.identity] = self._run(old, target, config, source, now_ms)

    def _end(self, pool: _Pool, now_ms: int) -> None:
        for running in pool.running.values():
            self._end_one(running, now_ms)
        self._metrics.targets(pool.config.job_name, 0, 0)

    def _end_one(self, running: _Running, now_ms: int) -> None:
        self._schedule.cancel(running.entry)
        running.loop.end(now_ms)


def first_scrape_ms(target: Target, now_ms: int) -> int:
    """Spread over the interval by the target's identity, so that a thousand targets are not asked at the same moment,
    and each is asked at the same offset after a restart."""
    offset_ms = target.labels.stable_hash % target.interval_ms
    return now_ms - (now_ms - offset_ms) % target.interval_ms + target.interval_ms


def rounded(at_ms: int, first_ms: int, interval_ms: int) -> int:
    """The moment for which a scrape was planned, when it starts soon enough after it; else the moment itself."""
    late_ms = (at_ms - first_ms) % interval_ms
    return at_ms - late_ms if late_ms <= max(ON_TIME_MS, interval_ms * ON_TIME_SHARE) else at_ms
