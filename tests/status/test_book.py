import asyncio

import numpy as np
import pytest

from trackside.exceptions import QueryTimeoutError
from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.server.db.database import Database
from trackside.server.series import Matrix, QueryResult
from trackside.server.status.book import StatusBook, StatusPorts
from trackside.server.status.config import StatusPageConfig
from trackside.server.status.incidents import StatusError, Written
from trackside.server.status.model import DAY_MS, Minutes, State

START = 20_000 * DAY_MS
MINUTE = 60_000
CONFIG = {
    "published": True,
    "components": [
        {"name": "API", "check": "internal-api-7"},
        {"name": "Shop", "expr": "shop_works", "degraded": "shop_slow"},
    ],
    "incidents": [{"alert": "Slow", "title": "Pages are slow", "components": ["Shop"]}],
}


class HandClock:
    time_ms = START

    def now_ms(self):
        return self.time_ms

    def monotonic_s(self):
        return self.time_ms / 1000


class World:
    """What the components are like at each moment, by the name of what is asked for."""

    def __init__(self, path):
        self.db, self.clock = Database(path), HandClock()
        self.said = {"internal-api-7": lambda ms: "up", "shop_works": lambda ms: 1.0, "shop_slow": lambda ms: 0.0}
        self.firing, self.doubtful, self.broken, self.asked = {}, False, False, []
        self.start()

    def start(self):
        ports = StatusPorts(self.db, self, self.clock, lambda: self.firing, lambda: self.doubtful)
        self.book = StatusBook(ports)

    async def query_range(self, expr, start_ms, end_ms, step_ms, timeout_ms=None):
        self.asked.append((expr, start_ms, end_ms))
        if self.broken:
            raise QueryTimeoutError("too slow", query=expr)
        steps = np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64)
        (name,) = [name for name in self.said if name in expr]
        found = [self.said[name](int(step)) for step in steps]
        labels = sorted({value for value in found if isinstance(value, str)}) or [""]
        rows = [[value is not None and (value == label or not label) for value in found] for label in labels]
        values = np.array([[0.0 if not isinstance(value, float) else value for value in found] for _ in labels])
        named = tuple(Labels.of(state=label) for label in labels)
        return QueryResult(Matrix(named, steps, values, np.array(rows, dtype=bool)), is_range=True)

    def run(self, awaitable):
        return asyncio.run(awaitable)

    def apply(self, **changes):
        config = StatusPageConfig.model_validate({**CONFIG, **changes})
        self.run(self.book.apply(config, 15_000, has_logo=False))

    def minutes(self, count):
        async def pass_by():
            for _ in range(count * 4):
                self.clock.time_ms += 15_000
                await self.book.tick(self.clock.time_ms)

        self.run(pass_by())

    def component(self, index=0):
        return self.book.view.components[index]

    def today(self, index=0):
        return self.component(index).days[-1].minutes


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "it.db")
    made.apply()
    yield made
    made.db.close()


def test_each_minute_is_counted_once(world):
    world.minutes(10)
    world.said["internal-api-7"] = lambda ms: "down"
    world.minutes(5)

    assert world.component().state is State.DOWN
    assert world.today() == Minutes(up=11, down=5)
    assert world.component().up_share == 11 / 16
    assert world.component(1).up_share == 1.0


def test_what_the_server_slept_through_is_looked_up_and_the_rest_unknown(world):
    world.minutes(5)
    before = world.today().known
    world.said["internal-api-7"] = lambda ms: None if ms < START + 30 * MINUTE else "up"
    world.clock.time_ms = START + 60 * MINUTE
    world.start()
    world.apply()
    world.minutes(1)

    assert world.today() == Minutes(up=before + 32)
    assert world.component().days[-1].state is State.UP


def test_two_days_are_two_bars(world):
    world.clock.time_ms = START + DAY_MS - 3 * MINUTE
    world.minutes(6)

    days = world.component().days
    assert (days[-2].minutes.up, days[-1].minutes.up) == (3, 4)
    assert len(days) == 90
    assert days[0].state is State.UNKNOWN


def test_slow_is_degraded_and_counts_as_up(world):
    world.said["shop_slow"] = lambda ms: 1.0
    world.minutes(4)

    assert world.component(1).state is State.DEGRADED
    assert world.component(1).up_share == 1.0


def test_while_this_machine_has_no_network_nothing_is_called_down(world):
    world.doubtful, world.said["internal-api-7"] = True, lambda ms: "down"
    world.minutes(3)

    assert world.component().state is State.UNKNOWN
    assert world.today() == Minutes()


def test_a_question_that_fails_is_asked_again_and_nothing_is_lost(world):
    world.minutes(2)
    before = world.today().up
    world.broken = True
    world.minutes(5)
    assert world.component().state is State.UNKNOWN
    world.broken = False
    world.minutes(1)

    assert world.today().up == before + 6
    assert world.book.failures_total > 0


def test_the_view_changes_only_when_there_is_something_new(world):
    world.minutes(1)
    versions = set()
    for _ in range(3):
        world.clock.time_ms += 1_000
        world.run(world.book.tick(world.clock.time_ms))
        versions.add(world.book.version)

    assert len(versions) == 1


def test_maintenance_by_hand_is_counted_as_such(world):
    world.minutes(2)
    now = world.clock.time_ms
    world.said["internal-api-7"] = lambda ms: "down"
    written = Written("New disks", "We change disks.", "maintenance", ("API",), now + MINUTE, now + 4 * MINUTE)
    world.run(world.book.write(written, "ops"))
    assert [one.title for one in world.book.view.planned] == ["New disks"]
    world.minutes(3)

    assert [one.state.value for one in world.book.view.open] == ["under way"]
    assert world.component().state is State.MAINTENANCE
    world.minutes(3)
    assert [one.state.value for one in world.book.view.past] == ["completed"]
    assert world.component().state is State.DOWN
    assert world.today().maintenance == 3


def test_an_alert_opens_an_incident_and_its_end_ends_it(world):
    world.firing = {"Slow": world.clock.time_ms}
    world.minutes(1)
    (shown,) = world.book.view.open
    world.minutes(2)
    assert len(world.book.view.open) == 1

    world.firing = {}
    world.minutes(1)
    (past,) = world.book.view.past

    assert (shown.title, shown.components, shown.alert) == ("Pages are slow", ("Shop",), "")
    assert [update.state.value for update in past.updates] == ["investigating", "resolved"]


def test_an_alert_that_was_over_before_anybody_looked_is_in_the_history(world):
    start = world.clock.time_ms
    ended = Alert(
        Labels.of(alertname="Slow", i="1"), Labels(), AlertState.RESOLVED, 1.0, start, start + 2_000, start + 5_000
    )
    other = Alert(Labels.of(alertname="Other"), Labels(), AlertState.RESOLVED, 1.0, start, start + 2_000, start + 5_000)
    for _ in range(3):
        # Rules tell of an end at each evaluation for a quarter of an hour.
        world.book.hear([ended, other])
        world.minutes(1)
    (past,) = world.book.view.past

    assert (past.title, past.starts_ms, past.ends_ms) == ("Pages are slow", start + 2_000, start + 5_000)
    assert [update.state.value for update in past.updates] == ["investigating", "resolved"]
    assert world.book.view.open == ()
    assert [one.what for one in world.book.audits(10)] == ["opened by Slow"]


def test_a_restart_does_not_tell_again_of_what_was_over(world):
    start = world.clock.time_ms
    ended = Alert(Labels.of(alertname="Slow"), Labels(), AlertState.RESOLVED, 1.0, start, start, start + 5_000)
    world.clock.time_ms += 60_000
    world.start()
    world.apply()
    world.book.hear([ended])
    world.minutes(1)

    assert world.book.view.past == ()


def test_who_wrote_what_is_kept_and_is_not_public(world):
    made = world.run(world.book.write(Written("Down", "We look.", "major", ("API",)), "alice"))
    world.run(world.book.update(made.id, "resolved", "Mended.", "bob"))
    world.run(world.book.delete(made.id, "carol"))

    assert [(one.who, one.what, one.incident) for one in world.book.audits(10)] == [
        ("carol", "deleted 'Down'", made.id),
        ("bob", "said resolved", made.id),
        ("alice", "opened", made.id),
    ]
    assert "alice" not in repr(world.book.view)
    assert world.book.view.past == ()


def test_an_incident_that_is_not_there(world):
    for work in (world.book.update(99, "resolved", "x", "me"), world.book.delete(99, "me")):
        with pytest.raises(StatusError, match="no such incident"):
            world.run(work)


def test_nothing_of_where_a_state_comes_from_is_in_the_view(world):
    world.minutes(2)

    assert not [word for word in ("internal-api-7", "shop_works", "shop_slow", "Slow") if word in repr(world.book.view)]


def test_incidents_and_figures_outlive_the_server(world):
    world.minutes(3)
    world.run(world.book.write(Written("Down", "We look.", "major", ("API",)), "alice"))
    before = world.book.view
    world.start()
    world.apply()

    assert world.book.view == before
