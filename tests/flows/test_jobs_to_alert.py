"""An outage in which no worker runs, until someone is woken: minutes of it in a moment, on real tables."""

import sqlite3

import pytest

from trackside import Monitor
from trackside.exceptions import ConfigError

JOBS = """
jobs:
  sources:
  - {name: db, type: table, url: "sqlite:///%s", interval: 5s}
  expect:
  - {beat: session-poller, every: 1s}
"""


@pytest.fixture
def tables(tmp_path):
    connection = sqlite3.connect(tmp_path / "app.db", isolation_level=None)
    connection.execute(
        "create table jobs (id integer primary key, status text, queue text, kind text, created_at real,"
        " started_at real, finished_at real, worker text, error text)"
    )
    yield connection
    connection.close()


@pytest.fixture
def world(make_world, tmp_path, tables):
    world = make_world()
    configure(world, JOBS % (tmp_path / "app.db"))
    return world


def configure(world, text, interval="scrape_interval: 5s"):
    path = world.folder / "trackside.yml"
    before = path.read_text().partition("\njobs:")[0]
    path.write_text(f"{before}\njobs:{text.partition('jobs:')[2]}".replace("scrape_interval: 5s", interval))
    world.loop.run_until_complete(world.server.reload())


def advance(world, seconds):
    """Time passes, and the sources are looked at every five seconds of it."""

    def look():
        if world.clock.time_ms % 5_000 == 0:
            for name in world.server.jobs.watch.samplers:
                world.server.jobs.watch.step(name)

    world.advance(seconds, look)


def alerts(world):
    return {
        alert["labels"]["alertname"] for alert in world.get("/api/v1/alerts")["alerts"] if alert["state"] == "firing"
    }


def enqueue(tables, count=3, ago_s=120):
    tables.executemany(
        "insert into jobs (status, queue, kind, created_at) values ('queued', 'high', 'render', unixepoch() - ?)",
        [(ago_s,)] * count,
    )


def test_a_queue_that_nobody_consumes_wakes_someone_within_a_minute(world, tables):
    enqueue(tables)

    advance(world, 60)

    assert "QueueUnserved" in alerts(world)
    assert world.value('trackside_queue_unserved{source="db",queue="high"}') == 1
    told = [alert for body in world.received for alert in body["alerts"]]
    assert "Nobody consumes the queue high" in [alert["annotations"]["summary"] for alert in told]


def test_a_declared_poller_that_never_ran_wakes_someone_within_a_minute(world):
    advance(world, 55)

    assert "BeatOverdue" in alerts(world)


def test_a_poller_that_beats_is_not_missed_until_it_stops(world):
    configure(world, JOBS % (world.folder / "app.db"), "scrape_interval: 15s")
    monitor = Monitor("prompts")
    world.app = metrics_page(monitor)
    beat = monitor.beat("session-poller", every=1)
    at_s = [0.0]
    beat._now_s = lambda: at_s[0]

    def beating():
        at_s[0] = world.clock.time_ms / 1000
        beat()

    # The beat is older at each moment than it may be, since the application is asked only every 15 seconds.
    for _ in range(30):
        world.advance(4, beating)
        assert "BeatOverdue" not in alerts(world)
    world.advance(60)
    assert "BeatOverdue" in alerts(world)


def test_a_source_out_of_reach_wakes_someone(world, tmp_path):
    advance(world, 10)
    assert world.value('trackside_source_up{source="db"}') == 1

    configure(world, JOBS % (tmp_path / "gone" / "app.db"))
    advance(world, 90)

    assert "JobSourceUnreachable" in alerts(world)
    assert world.value('trackside_source_up{source="db"}') == 0


def test_the_shipped_rules_can_be_left_out(world, tmp_path):
    assert "trackside jobs" in [group["name"] for group in world.get("/api/v1/rules")["groups"]]

    configure(world, JOBS % (tmp_path / "app.db") + "  alerts: false\n")

    assert "trackside jobs" not in [group["name"] for group in world.get("/api/v1/rules")["groups"]]


def test_all_shipped_rules_can_be_evaluated(world, tables):
    enqueue(tables)
    advance(world, 30)

    rules = [rule for group in world.get("/api/v1/rules")["groups"] for rule in group["rules"]]
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule.get("lastError")] == []
    assert len(rules) >= 10


def test_a_reload_that_cannot_open_a_source_keeps_those_in_force(world, tables):
    watch = world.server.jobs.watch

    with pytest.raises(ConfigError, match=r"trackside\.yml:\d+: jobs\.sources\[0\]\.url: .*redis://"):
        configure(world, "jobs:\n  sources:\n  - {name: q, type: rq, url: 'http://nowhere'}\n")

    assert world.server.jobs.watch is watch


def test_a_reload_without_changes_of_the_jobs_goes_on_with_the_same_sources(world):
    watch = world.server.jobs.watch

    world.loop.run_until_complete(world.server.reload())

    assert world.server.jobs.watch is watch


def metrics_page(monitor):
    async def page(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": monitor.exposition()})

    return page
