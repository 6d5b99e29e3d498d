"""All checks of the configuration: made, kept across a reload, shown, and doubted together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily
from trackside.server.probes.building import Probe, Probes
from trackside.server.probes.collector import doubt_families
from trackside.server.probes.config import CheckConfig, UptimeConfig
from trackside.server.probes.doubt import RECENT_MS, Judgement, LastAttempt, judged, suspicious
from trackside.server.probes.network import Network
from trackside.server.probes.source import CheckView, ProbeSource, labels_of

ANCHOR_TIMEOUT = "5s"
TICK_MS = 5_000
PageT = TypeVar("PageT")


@dataclass(frozen=True, slots=True)
class ProbeTarget(Generic[PageT]):
    """What the scrape loop needs to know of a check."""

    name: str
    url: str
    labels: Labels
    interval_ms: int
    timeout_ms: int
    source: ProbeSource[PageT]


class Uptime(Generic[PageT]):
    """Lives on the event loop."""

    def __init__(self, network: Network, page: Callable[[bytes], PageT]) -> None:
        self._network, self._page = network, page
        self._sources: dict[str, ProbeSource[PageT]] = {}
        self._anchors: list[Probe] = []
        self.judgement = Judgement(False)

    def apply(self, config: UptimeConfig, directory: Path = Path()) -> None:
        """Probe by this configuration from now on. What is known of a check stays known as long as its address does.

        Raises:
            ConfigError: the file of an authority cannot be read; nothing has changed then.
        """
        probes = Probes(self._network, directory)
        sources: dict[str, ProbeSource[PageT]] = {}
        for check in config.checks:
            source = ProbeSource(check, probes.of(check), config.maintenance, self._page)
            old = self._sources.get(check.name)
            if old is not None and old.check.url == check.url:
                source.take_over(old)
            sources[check.name] = source
        self._anchors = [
            probes.of(CheckConfig.model_validate({"name": "anchor", "url": url, "timeout": ANCHOR_TIMEOUT}))
            for url in config.anchors
        ]
        self._sources = sources

    def targets(self) -> list[ProbeTarget[PageT]]:
        """In the order of the configuration. Sources are new after each `apply`, and know what the old ones knew."""
        return [
            ProbeTarget(
                name,
                source.check.url,
                labels_of(source.check),
                source.check.step_ms,
                min(source.check.timeout, source.check.step_ms),
                source,
            )
            for name, source in self._sources.items()
        ]

    def views(self) -> list[CheckView]:
        return [source.view() for source in self._sources.values()]

    async def tick(self, now_ms: int) -> None:
        """Every `TICK_MS`: is it me?"""
        attempts, recent_ms = self._attempts(), self._recent_ms()
        anchors: Sequence[bool] | None = None
        if self._anchors and suspicious(attempts, now_ms, recent_ms):
            anchors = [one.success for one in await asyncio.gather(*(anchor() for anchor in self._anchors))]
        self.judgement = judged(attempts, now_ms, anchors, recent_ms)

    def families(self) -> list[MetricFamily]:
        """Of all checks together, for the server's own metrics; each check's own come from its source."""
        return doubt_families(self.judgement) if self._sources else []

    def _attempts(self) -> list[LastAttempt]:
        found = (source.last_attempt() for source in self._sources.values())
        return [one for one in found if one is not None]

    def _recent_ms(self) -> int:
        """As far back as the checks that are asked most often need to be asked twice."""
        usual = [source.check.interval for source in self._sources.values()]
        return max(RECENT_MS, 2 * min(usual, default=0))
