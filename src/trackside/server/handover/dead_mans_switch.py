"""A ping to somebody else after each complete cycle: when it stops coming, they know that nobody watches any more."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import httpx
from pydantic import Field, SecretStr, field_validator

from trackside.instruments.registry import Registry
from trackside.model.rules import RuleGroupStatus
from trackside.model.targets import TargetStatus
from trackside.server.schema import DurationMs, Section

LATE_MS = 10_000
"""A scrape or an evaluation that is later than that, besides two of its intervals, is one that does not come."""
STUCK_MS = 15 * 60_000
"""A notification that has waited so long reaches nobody."""

_log = logging.getLogger("trackside.server")


class DeadMansSwitchConfig(Section):
    url: SecretStr
    """Asked with GET: a heartbeat of another Trackside (`/ping/<key>`), of Healthchecks, or of the like."""
    interval: DurationMs = Field(default=60_000, gt=0)
    timeout: DurationMs = Field(default=10_000, gt=0)

    @field_validator("url")
    @classmethod
    def _web_address(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("expected a URL that begins with http:// or https://")
        return url


@dataclass(frozen=True, slots=True)
class Cycle:
    """What a complete cycle is made of, and how to ask for an address."""

    targets: Callable[[], Sequence[TargetStatus]]
    rule_groups: Callable[[], Sequence[RuleGroupStatus]]
    waiting_since_ms: Callable[[], int | None]
    """When the notification was decided that has waited longest; None: none waits."""
    write: Callable[[int], Awaitable[None]]
    """Raises when the disk cannot be written to."""
    get: Callable[[str, float], Awaitable[httpx.Response]]
    """Of a URL, within so many seconds."""


class DeadMansSwitch:
    def __init__(self, registry: Registry, cycle: Cycle) -> None:
        self._cycle = cycle
        self._config: DeadMansSwitchConfig | None = None
        self._next_ms = 0
        self._started_ms: int | None = None
        self._pings = registry.counter(
            "trackside_dead_mans_switch_pings_total", "Pings to whoever watches this server, by outcome", ("outcome",)
        )

    def apply(self, config: DeadMansSwitchConfig | None) -> None:
        if config != self._config:
            self._config, self._next_ms = config, 0

    async def tick(self, now_ms: int) -> None:
        config = self._config
        self._started_ms = now_ms if self._started_ms is None else self._started_ms
        # After the clock was set back, the next time is far away.
        if config is None or now_ms < self._next_ms <= now_ms + config.interval:
            return
        self._next_ms = now_ms + config.interval
        reason = await self._complaint(now_ms)
        if reason:
            self._pings.labels("withheld").inc()
            _log.warning("the dead man's switch is not pinged: %s", reason)
            return
        self._pings.labels("sent" if await self._ping(config) else "failed").inc()

    async def _complaint(self, now_ms: int) -> str:
        cycle, started_ms = self._cycle, self._started_ms or now_ms
        for reason in (
            *_late_targets(cycle.targets(), started_ms, now_ms),
            *_late_groups(cycle.rule_groups(), started_ms, now_ms),
        ):
            return reason
        waiting_ms = cycle.waiting_since_ms()
        if waiting_ms is not None and now_ms - waiting_ms > STUCK_MS:
            return "a notification has waited for too long"
        try:
            await cycle.write(now_ms)
        except Exception as error:  # noqa: BLE001 - whatever it is: who cannot write cannot be relied upon
            return f"the disk cannot be written to: {error}"
        return ""

    async def _ping(self, config: DeadMansSwitchConfig) -> bool:
        try:
            answer = await self._cycle.get(config.url.get_secret_value(), config.timeout / 1_000)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # Not its text, which may name the address: whoever knows that can feign our life.
            _log.warning("the dead man's switch cannot be pinged: %s", type(error).__name__)
            return False
        if not answer.is_success:
            _log.warning("the dead man's switch answered %d", answer.status_code)
        return answer.is_success


def _late_targets(targets: Iterable[TargetStatus], started_ms: int, now_ms: int) -> Iterable[str]:
    """A target that is down was asked all the same; one that is not asked is a fault of ours."""
    for target in targets:
        if _is_late(target.last_scrape_ms, target.interval_ms, started_ms, now_ms):
            yield f"target {target.labels} is not scraped"


def _late_groups(groups: Iterable[RuleGroupStatus], started_ms: int, now_ms: int) -> Iterable[str]:
    for group in groups:
        if _is_late(group.last_evaluation_ms, group.interval_ms, started_ms, now_ms):
            yield f"rule group {group.name} is not evaluated"


def _is_late(last_ms: int | None, interval_ms: int, started_ms: int, now_ms: int) -> bool:
    return now_ms - max(last_ms or 0, started_ms) > 2 * interval_ms + LATE_MS
