"""What this server asks in its own way: checks from outside, heartbeats, databases. They are scraped like targets."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import BaseRoute

from trackside.instruments.registry import Registry
from trackside.server.access.admission import Admission
from trackside.server.alerting.inhibit_rule import InhibitRule
from trackside.server.clock import Clock
from trackside.server.db.database import Database
from trackside.server.exporters.config import ExportersConfig
from trackside.server.exporters.exporters import Exporters
from trackside.server.probes.config import UptimeConfig
from trackside.server.probes.dependencies import inhibitions
from trackside.server.probes.heartbeats.book import Heartbeats
from trackside.server.probes.heartbeats.routes import ping_routes
from trackside.server.probes.history import ProbeHistory
from trackside.server.probes.network import Network, Resolve, SystemResolver
from trackside.server.probes.source import JOB
from trackside.server.probes.uptime import TICK_MS, Uptime
from trackside.server.schedule import Schedule
from trackside.server.scrape.pools import ScrapePools
from trackside.server.scrape.sources import Page
from trackside.server.web.origin import client_of


def inhibit_rules(config: UptimeConfig) -> tuple[InhibitRule, ...]:
    """What `depends_on` means for who is told: nothing of what is only a consequence."""
    return tuple(InhibitRule(one.source, one.target, (), one.name) for one in inhibitions(config))


class Watching:
    """Lives on the event loop."""

    def __init__(self, db: Database, clock: Clock, registry: Registry, resolve: Resolve | None = None) -> None:
        self._system = SystemResolver() if resolve is None else None
        network = Network(clock, resolve or self._system or SystemResolver())
        self.history = ProbeHistory(db)
        self.uptime: Uptime[Page] = Uptime(network, Page, self.history)
        self.heartbeats = Heartbeats(db, clock)
        self.exporters: Exporters[Page] = Exporters(clock, lambda body, problem: Page(body, problem=problem))
        registry.add_collector(self.uptime.families)
        registry.add_collector(self.heartbeats.families)

    def apply(
        self, config: UptimeConfig, exporters: ExportersConfig, folder: Path, pools: ScrapePools, now_ms: int
    ) -> None:
        """
        Raises:
            ConfigError: a file it names cannot be read; nothing has changed then.
        """
        self.uptime.apply(config, folder)
        self.exporters.apply(exporters, folder)
        self.heartbeats.apply(config.heartbeats, config.maintenance)
        pools.give(JOB, self.uptime.targets(), now_ms)
        for job in ("postgres", "redis"):
            pools.give(job, self.exporters.targets(job), now_ms)

    def start(self, schedule: Schedule) -> None:
        schedule.every(TICK_MS, self.uptime.tick)

    async def close(self) -> None:
        await self.exporters.close()
        if self._system is not None:
            self._system.close()

    def routes(self, admission: Admission) -> list[BaseRoute]:
        return ping_routes(self.heartbeats, lambda request: client_of(request, admission.auth.trusted_proxies))
