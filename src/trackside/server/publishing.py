"""The status page of this server: its book, its files, its routes, and the folder that outlives the machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from trackside.model.alerts import AlertState
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample
from trackside.model.rules import RuleGroupStatus
from trackside.server.backend import MetricsBackend
from trackside.server.clock import Clock
from trackside.server.db.database import Database
from trackside.server.schedule import Schedule
from trackside.server.status.book import TICK_MS, StatusBook, StatusPorts
from trackside.server.status.config import StatusPageConfig
from trackside.server.web.console import Console
from trackside.server.web.status.address import is_below
from trackside.server.web.status.domain import StatusDomain
from trackside.server.web.status.logo import Logo, read_logo

if TYPE_CHECKING:
    from trackside.server.web.status.routes import StatusFiles

_log = logging.getLogger("trackside.server.status")


@dataclass(frozen=True, slots=True)
class Known:
    """What others have found out."""

    rule_groups: Callable[[], Sequence[RuleGroupStatus]]
    doubtful: Callable[[], bool]
    """Whether it is rather this machine that has lost its network."""


class Publishing:
    """Lives on the event loop."""

    def __init__(
        self,
        db: Database,
        backend: MetricsBackend,
        clock: Clock,
        known: Known,
        external_url: str,
    ) -> None:
        ports = StatusPorts(db, backend, clock, lambda: _firing(known.rule_groups()), known.doubtful)
        self.book = StatusBook(ports)
        self._external_url = external_url
        self._logo: Logo | None = None
        self._folder = Path()
        self._exported = -1

    @cached_property
    def files(self) -> StatusFiles:
        from trackside.server.web.status.routes import StatusFiles  # noqa: PLC0415 - not before somebody looks

        return StatusFiles(self.book, self._external_url)

    async def apply(self, config: StatusPageConfig, folder: Path, interval_ms: int) -> None:
        """
        Raises:
            ConfigError: the logo cannot be read.
        """
        logo = read_logo(folder / config.logo) if config.logo else None
        self._logo, self._folder, self._exported = logo, folder, -1
        await self.book.apply(config, interval_ms, has_logo=logo is not None)

    def start(self, schedule: Schedule) -> None:
        schedule.every(TICK_MS, self.tick)

    async def tick(self, now_ms: int) -> None:
        await self.book.tick(now_ms)
        config, version = self.book.config, self.book.version
        if config.export_to and version != self._exported:
            from trackside.server.web.status.export import export  # noqa: PLC0415 - most have no such folder

            target = self._folder / config.export_to
            await asyncio.to_thread(export, self.book.view, target, _address(config), self._logo)
            self._exported = version

    def families(self) -> list[MetricFamily]:
        """The page as metrics of our own; nothing where there is none."""
        if not self.book.config.components:
            return []
        lookups, renders = float(self.book.failures_total), float(self.files.renders_total)
        return [
            MetricFamily(name, MetricType.COUNTER, text, (Sample(name, Labels(), total),))
            for name, text, total in (
                ("trackside_status_lookup_failures_total", "Failures to look up a component's state.", lookups),
                ("trackside_status_renders_total", "Files of the status page that were made.", renders),
            )
        ]

    def routes(self, console: Console) -> list[BaseRoute]:
        from trackside.server.web.status.incidents_page import IncidentPages  # noqa: PLC0415 - as above
        from trackside.server.web.status.routes import StatusRoutes  # noqa: PLC0415 - as above

        public = StatusRoutes(self.files, self.book, lambda: self._logo)
        return [*public.routes(), *IncidentPages(console, self.book).routes()]

    def published(self, path: str) -> bool:
        """Whether everybody may see what is at this path."""
        return self.book.config.published and is_below(path)

    def under_domain(self, app: ASGIApp, elsewhere: ASGIApp) -> ASGIApp:
        """`elsewhere`: the application as it is found under other names than the page's own."""
        return StatusDomain(app, lambda: self.book.config.domain, self.published, elsewhere)


def _address(config: StatusPageConfig) -> str:
    return f"https://{config.domain}" if config.domain else config.site.rstrip("/")


def _firing(groups: Sequence[RuleGroupStatus]) -> Mapping[str, int]:
    """Name of each alert that fires, and since when; of several, the longest."""
    found: dict[str, int] = {}
    for alert in (alert for group in groups for rule in group.rules for alert in rule.alerts):
        if alert.state is AlertState.FIRING:
            found[alert.name] = min(alert.started_ms, found.get(alert.name, alert.started_ms))
    return found
