"""Each rule on jobs that comes with the server: what it takes to make it fire, and what is not yet enough."""

import pytest

from trackside.server.jobs.shipped import rules_text
from trackside.server.yamlfile import parse_yaml

RULES = {rule["alert"]: rule for rule in parse_yaml(rules_text(), "jobs.rules.yml").tree["groups"][0]["rules"]}

CASES = [
    # Alert, page of a target by the second, seconds until it fires, and a page with which it never does.
    ("JobSourceUnreachable", "trackside_source_up 0", 80, "trackside_source_up 1"),
    ("QueueUnserved", 'trackside_queue_unserved{queue="high"} 1', 45, 'trackside_queue_unserved{queue="high"} 0'),
    ("WorkersMissing", 'trackside_workers_missing{queue="high"} 1', 20, 'trackside_workers_missing{queue="high"} 0'),
    ("BeatOverdue", 'trackside_beat_overdue{beat="poller"} 1', 20, 'trackside_beat_overdue{beat="poller"} 0'),
    (
        "QueueWaitsTooLong",
        "trackside_queue_oldest_seconds 301\ntrackside_queue_oldest_limit_seconds 300",
        140,
        "trackside_queue_oldest_seconds 299\ntrackside_queue_oldest_limit_seconds 300",
    ),
    ("JobsOrphaned", "trackside_jobs_orphaned 1", 45, "trackside_jobs_orphaned 0"),
    ("JobsFailing", "trackside_job_failure_ratio 0.11", 80, "trackside_job_failure_ratio 0.1"),
    (
        "JobsSlow",
        'trackside_job_run_p95_seconds{hour="last"} 2.1\ntrackside_job_run_p95_seconds{hour="week_ago"} 1',
        620,
        'trackside_job_run_p95_seconds{hour="last"} 1.9\ntrackside_job_run_p95_seconds{hour="week_ago"} 1',
    ),
    ("ScheduleMissed", lambda s: f"trackside_schedule_missed_total {s // 20}", 60, "trackside_schedule_missed_total 3"),
    (
        "JobBudgetExceeded",
        "trackside_job_cost_usd_today 20.5\ntrackside_job_budget_usd 20",
        20,
        "trackside_job_cost_usd_today 19.5\ntrackside_job_budget_usd 20",
    ),
    ("PollerStalled", 'app_poller_lag_seconds{poller="sessions"} 31', 35, 'poller_lag_seconds{poller="sessions"} 29'),
    (
        "OutboxStalled",
        lambda s: f'outbox_oldest_seconds{{queue="mail"}} {60 + s}\noutbox_published_total{{queue="mail"}} 7',
        100,
        lambda s: f'outbox_oldest_seconds{{queue="mail"}} 61\noutbox_published_total{{queue="mail"}} {s}',
    ),
    ("OutboxPoisoned", 'outbox_attempts_max{queue="mail"} 5', 80, 'outbox_attempts_max{queue="mail"} 4'),
    (
        "OutboxBlocked",
        'outbox_blocked_by_xmin_seconds{queue="mail"} 61',
        80,
        'outbox_blocked_by_xmin_seconds{queue="mail"} 59',
    ),
]


@pytest.fixture
def world(make_world):
    world = make_world()
    path = world.folder / "trackside.yml"
    path.write_text(path.read_text() + "jobs: {oldest: 5m}\n")
    world.loop.run_until_complete(world.server.reload())
    return world


def expose(world, page):
    began_ms = world.clock.time_ms

    async def app(scope, receive, send):
        second = (world.clock.time_ms - began_ms) // 1_000
        text = page(second) if callable(page) else page
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": f"{text}\n".encode()})

    world.app = app


def firing(world):
    return [alert for alert in world.get("/api/v1/alerts")["alerts"] if alert["state"] == "firing"]


@pytest.mark.parametrize(("name", "page", "seconds", "calm"), CASES, ids=[case[0] for case in CASES])
def test_a_rule_fires(world, name, page, seconds, calm):
    expose(world, page)

    world.advance(seconds)

    (alert,) = firing(world)
    assert alert["labels"]["alertname"] == name
    assert alert["labels"]["severity"] in ("critical", "warning")
    for text in alert["annotations"].values():
        assert text
        assert "<no value>" not in text
        assert "<error" not in text


@pytest.mark.parametrize(("name", "page", "seconds", "calm"), CASES, ids=[case[0] for case in CASES])
def test_a_rule_does_not_fire_for_less(world, name, page, seconds, calm):
    expose(world, calm)

    world.advance(min(seconds, 160))

    assert firing(world) == []


def test_every_rule_has_a_case_and_says_what_is_wrong_and_what_to_do():
    assert sorted(RULES) == sorted(case[0] for case in CASES)
    for rule in RULES.values():
        assert set(rule["annotations"]) == {"summary", "description"}
