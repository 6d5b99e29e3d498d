"""A check as a target of the scrape loop: asked when it is due, and telling what it knows in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import httpx

from trackside.model.labels import Labels
from trackside.server.probes.building import Probe
from trackside.server.probes.collector import probe_families, state_families
from trackside.server.probes.config import CheckConfig
from trackside.server.probes.doubt import LastAttempt
from trackside.server.probes.maintenance import MaintenanceConfig
from trackside.server.probes.result import ProbeResult
from trackside.server.probes.state import Damping, Fact, ProbeState, advanced
from trackside.wire import exposition

JOB = "uptime"
PageT = TypeVar("PageT")


@dataclass(frozen=True, slots=True)
class CheckView:
    """One check as pages show it."""

    check: CheckConfig
    state: ProbeState
    result: ProbeResult | None
    """Of the last attempt."""
    probed_ms: int | None
    """When that was."""
    next_ms: int | None = None
    """When it will be asked again, about; None: at the next opportunity."""


@dataclass(slots=True)
class _Memory:
    state: ProbeState = field(default_factory=ProbeState)
    result: ProbeResult | None = None
    probed_ms: int | None = None
    soon: bool = False
    """To be asked at the next opportunity, due or not."""


Note = Callable[[CheckConfig, ProbeState, ProbeState, ProbeResult | None, int], None]
"""Told of each look: the check, its state before and after, the last result, the time."""


def _nobody(*_: object) -> None:
    """Nobody keeps it."""


class ProbeSource(Generic[PageT]):
    """Has the `pull` of scrape sources. To be scraped every `check.step_ms`: more often than it probes, so that failed
    attempts are repeated soon, and no query looks back in vain between two probes that are far apart."""

    def __init__(
        self,
        check: CheckConfig,
        probe: Probe,
        maintenance: Sequence[MaintenanceConfig],
        page: Callable[[bytes], PageT],
        note: Note = _nobody,
    ) -> None:
        """`page` makes of an exposition what the scrape loop wants to have."""
        self.check = check
        self._probe, self._page, self._note = probe, page, note
        self._windows = [one for one in maintenance if one.concerns(check.name, check.group)]
        flapping = check.flapping
        self._damping = Damping(check.retries, flapping.changes, flapping.within, flapping.settle)
        self._memory = _Memory()

    async def pull(self, now_ms: int) -> PageT:
        """Called by one loop at a time. Never raises: a service that is down is an answer."""
        memory = self._memory
        success: bool | None = None
        if self.due(now_ms):
            # Taken before the attempt, so that an attempt which is cancelled is not repeated at once.
            memory.probed_ms, memory.soon = now_ms, False
            memory.result = await self._probe()
            success = memory.result.success
        fact = Fact(success, any(window.covers(now_ms) for window in self._windows))
        before, memory.state = memory.state, advanced(memory.state, self._damping, fact, now_ms)
        self._note(self.check, before, memory.state, memory.result, now_ms)
        families = state_families(memory.state, memory.probed_ms)
        if memory.result is not None:
            families = [*probe_families(memory.result), *families]
        return self._page(exposition.render(families))

    def due(self, now_ms: int) -> bool:
        memory, check = self._memory, self.check
        if memory.probed_ms is None or memory.result is None or memory.soon:
            return True
        wait_ms = check.retry_ms if memory.state.in_doubt else check.interval
        # Half a step early rather than half a step late: scrapes come when they come. And a clock that was set back
        # must not keep anybody waiting.
        return not 0 <= now_ms - memory.probed_ms < wait_ms - check.step_ms // 2

    def ask_soon(self) -> None:
        self._memory.soon = True

    @property
    def next_ms(self) -> int | None:
        """When it is asked next, about; None: at once."""
        memory, check = self._memory, self.check
        if memory.probed_ms is None or memory.soon:
            return None
        return memory.probed_ms + (check.retry_ms if memory.state.in_doubt else check.interval)

    def view(self) -> CheckView:
        memory = self._memory
        return CheckView(self.check, memory.state, memory.result, memory.probed_ms, self.next_ms)

    def last_attempt(self) -> LastAttempt | None:
        memory = self._memory
        if memory.result is None or memory.probed_ms is None:
            return None
        return LastAttempt(httpx.URL(self.check.url).host, memory.probed_ms, memory.result.reason)

    def take_over(self, other: ProbeSource[PageT]) -> None:
        """Go on where the source of the same check, by an older configuration, stops."""
        self._memory = other._memory

    def restore(self, state: ProbeState) -> None:
        """Go on where an earlier process stopped."""
        self._memory.state = state


def labels_of(check: CheckConfig) -> Labels:
    """Of all that is stored about a check. `instance` is its address, as with the blackbox exporter."""
    own = {"job": JOB, "instance": check.url, "check": check.name, "group": check.group}
    return Labels.of({**check.labels, **own})
