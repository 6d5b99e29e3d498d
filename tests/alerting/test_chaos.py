"""A day under the test clock: alerts that flap, receivers that fail, silences, a restart each hour; against a model
that knows nothing of groups, queues and retries."""

import asyncio
import os
import random
from dataclasses import dataclass, field

import pytest

from trackside.exceptions import DeliveryError
from trackside.model.alerts import AlertState
from trackside.server.alerting.inhibit_rule import InhibitRule
from trackside.server.alerting.matchers import parse_matchers

SEEDS = int(os.environ.get("TRACKSIDE_SEEDS", "1"))
"""More for a longer look: each is another day."""
DAY_S = 86_400
STEP_S = 20
ROUTE = """{receiver: all, group_by: [team], group_wait: 10s, group_interval: 60s, repeat_interval: 4h,
            routes: [{matchers: [team="a"], receiver: a, continue: true}, {matchers: [team=~"a|b"], receiver: ab}]}"""
RECEIVERS = {"all": {"a": False, "b": False, "c": True}, "a": {"a": True}, "ab": {"a": True, "b": True}}
"""Receiver to the teams of which it hears."""
INHIBITS = InhibitRule(parse_matchers("kind=cause"), parse_matchers("kind=effect"), ("team",))
# A flush, and the longest pause between two attempts at a receiver that has just come back.
REACTION_S = 60 + 300 + 2 * STEP_S
FAILURES = [
    DeliveryError("answered 500", retry=True),
    DeliveryError("answered 429", retry=True, retry_after_s=120),
    DeliveryError("no answer", retry=True, maybe_sent=True),
    RuntimeError("bug"),
]


@dataclass
class Expectation:
    """What one receiver must know of one alert, by nothing but how long things lasted."""

    was_told: bool = False
    steady_s: int = 0
    """How long the alert has been as it is, unmuted, with the receiver well."""

    def step(self, is_firing: bool, is_tellable: bool, changed: bool) -> str:
        """What must have been told by now: "firing", "resolved" or "" (nothing that one could insist on)."""
        self.steady_s = 0 if changed or not is_tellable else self.steady_s + STEP_S
        if self.steady_s < REACTION_S:
            return ""
        if is_firing:
            return "firing"
        return "resolved" if self.was_told else ""


@dataclass
class Picture:
    """What one receiver thinks."""

    firing: set[int] = field(default_factory=set)
    seen: int = 0

    def take(self, hook) -> None:
        for notification in hook.arrived[self.seen :]:
            for alert in notification.alerts:
                # Alerts about receivers have no number.
                number = int(alert.labels.get("i") or -1)
                (self.firing.discard if alert.state is AlertState.RESOLVED else self.firing.add)(number)
        self.seen = len(hook.arrived)


@dataclass
class World:
    chance: random.Random
    firing: dict[int, float] = field(default_factory=dict)
    """Alert to when it began."""
    over: dict[int, tuple[float, float]] = field(default_factory=dict)
    ill: dict[str, Exception] = field(default_factory=dict)
    silenced: dict[int, float] = field(default_factory=dict)
    """Alert to when its silence ends."""

    @staticmethod
    def labels(number: int) -> dict[str, str]:
        return {"team": "abc"[number % 3], "kind": "cause" if number < 3 else "effect"}

    def is_muted(self, number: int) -> bool:
        cause_fires = any(one in self.firing for one in range(3) if one % 3 == number % 3)
        return number in self.silenced or (number >= 3 and cause_fires)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_in_a_day_of_chaos_nobody_is_left_in_the_dark_and_nobody_is_told_twice(new_site, integration, seed):
    hooks = {name: integration() for name in RECEIVERS}
    site = new_site(ROUTE, **hooks)
    site.rules = (INHIBITS,)
    site.reload()
    world = World(random.Random(seed))
    expectations = {
        (name, number): Expectation()
        for name, teams in RECEIVERS.items()
        for number in range(12)
        if teams.get(World.labels(number)["team"])
    }

    pictures = {name: Picture() for name in RECEIVERS}

    async def story():
        for second in range(0, DAY_S, STEP_S):
            changed = await shake(site, world, hooks, second)
            site.offer(*said(site, world))
            await site.until(second + STEP_S, STEP_S)
            for name, picture in pictures.items():
                picture.take(hooks[name])
            check(world, pictures, expectations, changed, second)
            if second % 3600 == 1800:
                await site.kill()
                site.start()
        for hook in hooks.values():
            assert doubles(hook) == []

    asyncio.run(story())


async def shake(site, world: World, hooks, second: int) -> set[int]:
    """The alerts of which something changed."""
    chance, changed = world.chance, set()
    before = {number: world.is_muted(number) for number in range(12)}
    for number in range(12):
        if chance.random() < 0.004:
            changed.add(number)
            if number in world.firing:
                world.over[number] = world.firing.pop(number), second
            else:
                world.firing[number] = second
    for number in [number for number, end in world.silenced.items() if end <= second]:
        del world.silenced[number]
    if chance.random() < 0.002:
        number = chance.randrange(12)
        world.silenced[number] = max(world.silenced.get(number, 0), second + 3600)
        await site.silence(f"i={number}", until=second + 3600, since=second)
    for name, hook in hooks.items():
        if chance.random() < 0.002:
            world.ill.pop(name, None) or world.ill.setdefault(name, chance.choice(FAILURES))
        hook.error = world.ill.get(name)
        # Nothing arrives of what was refused.
        hook.arrives = chance.random() < 0.5 and getattr(hook.error, "maybe_sent", True)
    return changed | {number for number in range(12) if world.is_muted(number) != before[number]}


def said(site, world: World):
    """What the rules say at each evaluation."""
    yield from (site.firing(number, since, **World.labels(number)) for number, since in world.firing.items())
    for number, (since, until) in world.over.items():
        if number not in world.firing:
            yield site.resolved(number, since, until, **World.labels(number))


def check(world: World, pictures, expectations, changed: set[int], second: int) -> None:
    for (name, number), expected in expectations.items():
        picture = pictures[name]
        is_tellable = not world.is_muted(number) and name not in world.ill
        expected.was_told |= number in picture.firing
        must = expected.step(number in world.firing, is_tellable, number in changed)
        shown = number in picture.firing
        assert must != "firing" or shown, f"second {second}: {name} was never told that {number} fires"
        assert must != "resolved" or not shown, f"second {second}: {name} was never told that {number} is over"


def doubles(hook) -> list[str]:
    """Messages that say what the one before them about the same group said, and say it again without a reason."""
    last: dict[str, tuple] = {}
    found = []
    for notification in hook.taken:
        content = tuple((alert.labels, alert.state) for alert in notification.alerts)
        # What may have arrived is told again; so is what lasts. Both say so, the one by its being uncertain.
        if last.get(notification.group_key) == content and notification.reason == "first notification":
            found.append(notification.group_key)
        last[notification.group_key] = content
    return found
