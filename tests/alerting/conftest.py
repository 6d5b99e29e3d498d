"""A clock turned by hand, a database in a folder, and integrations that remember what they were told."""

from __future__ import annotations

import asyncio

import pytest

from trackside.exceptions import DeliveryError
from trackside.instruments.registry import Registry
from trackside.model.alerts import Alert, AlertState, Notification
from trackside.model.labels import Labels
from trackside.server.alerting.config import RouteConfig
from trackside.server.alerting.dispatcher import AlertingOptions, AlertingPorts, Dispatcher
from trackside.server.alerting.inhibit_rule import InhibitRule
from trackside.server.alerting.matchers import parse_matchers
from trackside.server.alerting.pushes.lease import Push
from trackside.server.alerting.route import route_tree
from trackside.server.alerting.routing import RoutingConfig
from trackside.server.alerting.silences.silence import Silence
from trackside.server.db.database import Database
from trackside.server.schema import Section
from trackside.server.yamlfile import parse_yaml, section_of

SECONDS = "{receiver: team, group_by: [alertname], group_wait: 1s, group_interval: 10s, repeat_interval: 1h}"


class FakeClock:
    def __init__(self) -> None:
        self.ms = 1_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000


class FakeIntegration:
    """Fails with what is in `errors` before it takes anything; `error` is for good."""

    def __init__(self, kind: str = "webhook", send_resolved: bool = True) -> None:
        self.kind = kind
        self.send_resolved = send_resolved
        self.errors: list[Exception] = []
        self.error: Exception | None = None
        self.attempts: list[Notification] = []
        self.taken: list[Notification] = []
        self.gate: asyncio.Event | None = None
        self.arrives = False
        """Whether a notification arrives though it ends in `error`."""
        self.arrived: list[Notification] = []

    async def send(self, notification: Notification) -> None:
        self.attempts.append(notification)
        if self.gate is not None:
            await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        if self.error is not None:
            if self.arrives:
                self.arrived.append(notification)
            raise self.error
        self.arrived.append(notification)
        self.taken.append(notification)

    @property
    def told(self) -> list[str]:
        """Each notification as "A1 firing, A2 resolved"."""
        return [
            ", ".join(f"{alert.labels.get('i') or alert.name} {alert.state.value}" for alert in notification.alerts)
            for notification in self.taken
        ]

    def picture(self) -> set[int]:
        """The alerts that fire, as far as what arrived says."""
        known: set[int] = set()
        for notification in self.arrived:
            for alert in notification.alerts:
                number = int(alert.labels.get("i") or -1)
                (known.discard if alert.state is AlertState.RESOLVED else known.add)(number)
        # Alerts about receivers have no number.
        return known - {-1}


class Site:
    """A dispatcher with everything around it; time is in seconds from its start."""

    def __init__(self, folder, route: str, **receivers: FakeIntegration | list[FakeIntegration]) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.zero_ms = self.clock.ms
        self.receivers = {name: found if isinstance(found, list) else [found] for name, found in receivers.items()}
        self.route = route
        self.rules: tuple[InhibitRule, ...] = ()
        self.intervals = {}
        self.options = AlertingOptions()
        self.start()

    def start(self) -> None:
        self.db = Database(self.folder / "trackside.db")
        self.registry = Registry()
        ports = AlertingPorts(self.db, self.clock, self.registry, "http://monitor")
        self.dispatcher = Dispatcher(self.routing(), self.receivers, ports, self.options)

    def routing(self) -> RoutingConfig:
        root = route_tree(route_config(self.route))
        return RoutingConfig(root, tuple(self.receivers), inhibit_rules=self.rules, time_intervals=self.intervals)

    def reload(self, route: str | None = None, receivers=None) -> None:
        self.route = self.route if route is None else route
        self.receivers = self.receivers if receivers is None else receivers
        self.dispatcher.apply(self.routing(), self.receivers)

    async def kill(self) -> None:
        """Die without goodbye: whatever runs is cancelled, whatever is in memory is lost."""
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.db.close()

    @property
    def seconds(self) -> float:
        return (self.clock.ms - self.zero_ms) / 1000

    def offer(self, *alerts: Alert) -> None:
        self.dispatcher.offer(alerts, self.clock.ms)

    async def until(self, seconds: float, step_s: float = 1.0) -> None:
        end_ms = self.zero_ms + round(seconds * 1000)
        while self.clock.ms < end_ms:
            self.clock.ms = min(end_ms, self.clock.ms + round(step_s * 1000))
            await self.dispatcher.tick(self.clock.ms)
            await self.dispatcher.drain()

    async def push(self, number: int = 1, since: float | None = None, until: float | None = None, **labels: str):
        def at(seconds):
            return None if seconds is None else self.zero_ms + round(seconds * 1000)

        own = Labels.of({"alertname": "A", "i": str(number), **labels})
        return await self.dispatcher.push([Push(own, Labels(), at(since), at(until))], self.clock.ms)

    async def silence(self, matchers: str, until: float, since: float = 0.0, **more) -> str:
        draft = Silence(
            more.pop("silence_id", ""),
            parse_matchers(matchers),
            self.zero_ms + round(since * 1000),
            self.zero_ms + round(until * 1000),
            "me",
            "why",
            **more,
        )
        return (await self.dispatcher.silences.put(draft, self.clock.ms)).silence_id

    def firing(self, number: int = 1, since: float = 0.0, **labels: str) -> Alert:
        at_ms = self.zero_ms + round(since * 1000)
        own = Labels.of({"alertname": "A", "i": str(number), **labels})
        return Alert(own, Labels(), AlertState.FIRING, 1.0, at_ms, at_ms)

    def resolved(self, number: int = 1, since: float = 0.0, until: float = 0.0, **labels: str) -> Alert:
        alert = self.firing(number, since, **labels)
        end_ms = self.zero_ms + round(until * 1000)
        return Alert(alert.labels, Labels(), AlertState.RESOLVED, 1.0, alert.active_at_ms, alert.fired_at_ms, end_ms)


class _File(Section):
    route: RouteConfig


def route_config(text: str) -> RouteConfig:
    return section_of(parse_yaml(f"route: {text}", "trackside.yml"), _File).route


@pytest.fixture
def new_site(tmp_path):
    sites: list[Site] = []

    def make(route: str, **receivers: FakeIntegration | list[FakeIntegration]) -> Site:
        folder = tmp_path / str(len(sites))
        folder.mkdir()
        sites.append(Site(folder, route, **receivers))
        return sites[-1]

    yield make
    for site in sites:
        site.db.close()


@pytest.fixture
def integration():
    return FakeIntegration


@pytest.fixture
def hook():
    return FakeIntegration()


@pytest.fixture
def site(new_site, hook):
    """Where everybody is told by `hook`, within seconds."""
    return new_site(SECONDS, team=hook)


@pytest.fixture
def read_route():
    return route_config


@pytest.fixture
def down():
    return DeliveryError("answered 500", retry=True)
