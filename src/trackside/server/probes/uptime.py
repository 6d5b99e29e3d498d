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
from trackside.server.probes.collector import doubt_families, history_family
from trackside.server.probes.config import CheckConfig, UptimeConfig
from trackside.server.probes.doubt import RECENT_MS, Judgement, LastAttempt, judged, lost_on_the_way, suspicious
from trackside.server.probes.history import ProbeHistory
from trackside.server.probes.maintenance import MaintenanceConfig
from trackside.server.probes.network import Network
from trackside.server.probes.source import CheckView, ProbeSource, labels_of

ANCHOR_TIMEOUT = "5s"
TICK_MS = 5_000
# How often one failure may make that all others are asked out of turn.
OUT_OF_TURN_MS = 60_000
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

    def __init__(self, network: Network, page: Callable[[bytes], PageT], history: ProbeHistory | None = None) -> None:
        self._network, self._page, self._history = network, page, history
        self._out_of_turn_ms: int | None = None
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
            source = self._source(check, probes.of(check), config.maintenance)
            old = self._sources.get(check.name)
            if old is not None and old.check.url == check.url:
                source.take_over(old)
            elif self._history is not None and (state := self._history.state(check)) is not None:
                source.restore(state)
            sources[check.name] = source
        self._anchors = [
            probes.of(CheckConfig.model_validate({"name": "anchor", "url": url, "timeout": ANCHOR_TIMEOUT}))
            for url in config.anchors
        ]
        self._sources = sources

    def _source(self, check: CheckConfig, probe: Probe, maintenance: Sequence[MaintenanceConfig]) -> ProbeSource[PageT]:
        if self._history is None:
            return ProbeSource(check, probe, maintenance, self._page)
        return ProbeSource(check, probe, maintenance, self._page, self._history.note)

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
        self._ask_others(now_ms)
        attempts, recent_ms = self._attempts(), self._recent_ms()
        anchors: Sequence[bool] | None = None
        if self._anchors and suspicious(attempts, now_ms, recent_ms):
            anchors = [one.success for one in await asyncio.gather(*(anchor() for anchor in self._anchors))]
        self.judgement = judged(attempts, now_ms, anchors, recent_ms)

    def _ask_others(self, now_ms: int) -> None:
        """One check has just not been reached. Whether that is this machine's fault, the others know: but the last of
        them would be asked when the first is down already."""
        if self._out_of_turn_ms is not None and 0 <= now_ms - self._out_of_turn_ms < OUT_OF_TURN_MS:
            return
        known = [(source, source.last_attempt()) for source in self._sources.values()]
        doubted_ms = [
            at.at_ms for source, at in known if at is not None and source.view().state.in_doubt and lost_on_the_way(at)
        ]
        if not doubted_ms:
            return
        self._out_of_turn_ms = now_ms
        for source, at in known:
            if at is not None and at.at_ms < min(doubted_ms) and source.view().state.up:
                source.ask_soon()

    def families(self) -> list[MetricFamily]:
        """Of all checks together, for the server's own metrics; each check's own come from its source."""
        if not self._sources:
            return []
        failures = 0 if self._history is None else self._history.failures_total
        return [*doubt_families(self.judgement), history_family(failures)]

    def _attempts(self) -> list[LastAttempt]:
        found = (source.last_attempt() for source in self._sources.values())
        return [one for one in found if one is not None]

    def _recent_ms(self) -> int:
        """As far back as the checks that are asked most often need to be asked twice."""
        usual = [source.check.interval for source in self._sources.values()]
        return max(RECENT_MS, 2 * min(usual, default=0))
