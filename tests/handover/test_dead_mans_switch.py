"""The ping that stops when nobody watches any more."""

import asyncio
from dataclasses import dataclass, field

import httpx
import pytest
from pydantic import ValidationError

from trackside.instruments.registry import Registry
from trackside.model.labels import Labels
from trackside.model.rules import RuleGroupStatus
from trackside.model.targets import TargetStatus
from trackside.server.handover.dead_mans_switch import Cycle, DeadMansSwitch, DeadMansSwitchConfig

NOW = 1_000_000_000
URL = "http://elsewhere/ping/secret-key"
CONFIG = DeadMansSwitchConfig.model_validate({"url": URL, "interval": "1m"})


@dataclass
class World:
    scraped_ms: int | None = NOW
    evaluated_ms: int | None = NOW
    waiting_ms: int | None = None
    disk: Exception | None = None
    answer: Exception | int = 200
    pinged: list[str] = field(default_factory=list)

    def switch(self) -> DeadMansSwitch:
        self.registry = Registry()
        return DeadMansSwitch(
            self.registry, Cycle(self.targets, self.groups, lambda: self.waiting_ms, self.write, self.get)
        )

    def targets(self):
        return [TargetStatus("job", "http://t", Labels(), Labels(), last_scrape_ms=self.scraped_ms)]

    def groups(self):
        return [RuleGroupStatus("g", "f", 15_000, (), self.evaluated_ms)]

    async def write(self, now_ms: int) -> None:
        if self.disk is not None:
            raise self.disk

    async def get(self, url: str, timeout_s: float) -> httpx.Response:
        self.pinged.append(url)
        if isinstance(self.answer, Exception):
            raise self.answer
        return httpx.Response(self.answer)

    def outcomes(self) -> dict[str, float]:
        counter = self.registry.counter("trackside_dead_mans_switch_pings_total", labels=("outcome",))
        return {name: counter.labels(name).raw()[0] for name in ("sent", "failed", "withheld")}


def started(world: World) -> DeadMansSwitch:
    """Long before NOW, so that nothing is excused by a late start."""
    switch = world.switch()
    asyncio.run(switch.tick(NOW - 3_600_000))
    switch.apply(CONFIG)
    return switch


def test_it_is_pinged_once_an_interval():
    world = World()
    switch = started(world)
    for second in range(0, 130, 5):
        world.scraped_ms = world.evaluated_ms = NOW + second * 1000
        asyncio.run(switch.tick(NOW + second * 1000))
    assert world.pinged == [URL] * 3
    assert world.outcomes() == {"sent": 3.0, "failed": 0.0, "withheld": 0.0}


@pytest.mark.parametrize(
    ("world", "is_pinged"),
    [
        pytest.param(World(), True, id="all well"),
        pytest.param(World(scraped_ms=NOW - 41_000), False, id="a target is not asked"),
        pytest.param(World(scraped_ms=NOW - 39_000), True, id="a target was asked a little late"),
        pytest.param(World(scraped_ms=None), False, id="a target was never asked"),
        pytest.param(World(evaluated_ms=NOW - 41_000), False, id="rules are not evaluated"),
        pytest.param(World(waiting_ms=NOW - 60_000), True, id="a receiver is away for a moment"),
        pytest.param(World(waiting_ms=NOW - 16 * 60_000), False, id="a notification reaches nobody"),
        pytest.param(World(disk=OSError("disk full")), False, id="the disk is full"),
    ],
)
def test_it_is_pinged_after_a_complete_cycle_only(world, is_pinged):
    asyncio.run(started(world).tick(NOW))
    assert bool(world.pinged) is is_pinged
    assert world.outcomes()["withheld"] == (0.0 if is_pinged else 1.0)


def test_after_a_start_everything_has_its_time():
    world = World(scraped_ms=None, evaluated_ms=None)
    switch = world.switch()
    switch.apply(CONFIG)
    asyncio.run(switch.tick(NOW))
    assert world.pinged == [URL]


@pytest.mark.parametrize("answer", [httpx.ConnectError(f"cannot reach {URL}"), 500, 404])
def test_a_ping_that_fails_is_counted_and_its_address_stays_secret(answer, caplog):
    world = World(answer=answer)
    switch = started(world)
    asyncio.run(switch.tick(NOW))
    assert world.outcomes()["failed"] == 1.0
    assert "secret-key" not in caplog.text


def test_without_a_configuration_nobody_is_pinged():
    world = World()
    switch = started(world)
    switch.apply(None)
    asyncio.run(switch.tick(NOW))
    assert world.pinged == []


@pytest.mark.parametrize("given", [{}, {"url": "elsewhere"}, {"url": URL, "interval": "0s"}, {"url": URL, "of": 1}])
def test_what_makes_no_sense_is_refused(given):
    with pytest.raises(ValidationError) as caught:
        DeadMansSwitchConfig.model_validate(given)
    assert "secret-key" not in str(caught.value.errors(include_input=False))
