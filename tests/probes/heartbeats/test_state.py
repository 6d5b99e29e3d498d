from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.server.probes.heartbeats.cron import Cron
from trackside.server.probes.heartbeats.state import (
    MAX_RUNS,
    Heartbeat,
    Ping,
    PingKind,
    Plan,
    Status,
    Trouble,
    heartbeat_now,
    pinged,
)

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
DAILY = Plan(period_ms=DAY, grace_ms=HOUR, max_run_ms=HOUR)
T0 = 1_000 * DAY


def after(*pings, plan=DAILY, created_ms=T0):
    """`("start", 5 * MINUTE)` or `("start", 5 * MINUTE, "run id")`, in milliseconds after T0."""
    heartbeat = Heartbeat(created_ms)
    for kind, at, *run_id in pings:
        heartbeat = pinged(heartbeat, Ping(PingKind(kind), T0 + at, *run_id), plan)
    return heartbeat


LIFE = [
    pytest.param([], HOUR, "new", "none", id="never heard"),
    pytest.param([], DAY, "late", "none", id="never heard, in its grace"),
    pytest.param([], DAY + HOUR, "down", "missed", id="never heard at all"),
    pytest.param([("success", 0)], DAY - 1, "up", "none", id="within the period"),
    pytest.param([("success", 0)], DAY, "late", "none", id="after the period"),
    pytest.param([("success", 0)], DAY + 30 * MINUTE, "late", "none", id="within the grace"),
    pytest.param([("success", 0)], DAY + HOUR, "down", "missed", id="after the grace"),
    pytest.param([("success", 0)], 2 * DAY, "down", "missed", id="long after"),
    pytest.param([("success", 0), ("fail", MINUTE)], HOUR, "down", "failed", id="failed"),
    pytest.param([("fail", 0), ("success", MINUTE)], HOUR, "up", "none", id="failed, and succeeded since"),
    pytest.param([("fail", 0), ("start", MINUTE)], 2 * MINUTE, "down", "failed", id="failed, and running again"),
    pytest.param([("success", 0), ("start", HOUR)], HOUR + 5 * MINUTE, "up", "none", id="running"),
    pytest.param([("success", 0), ("start", HOUR)], 2 * HOUR, "down", "too_long", id="running for too long"),
    pytest.param([("start", 0)], 5 * MINUTE, "up", "none", id="its first run"),
    pytest.param([("start", 0)], 2 * HOUR, "down", "too_long", id="its first run does not end"),
    pytest.param(
        [("success", 0), ("start", DAY + 50 * MINUTE)], DAY + 100 * MINUTE, "up", "none", id="began in time, still runs"
    ),
    pytest.param(
        [("success", 0), ("start", DAY + 2 * HOUR)], DAY + 2 * HOUR + 1, "down", "missed", id="began too late"
    ),
]


@pytest.mark.parametrize(("pings", "at", "status", "trouble"), LIFE)
def test_the_life_of_a_heartbeat(pings, at, status, trouble):
    now = heartbeat_now(after(*pings), DAILY, T0 + at)

    assert (now.status, now.trouble) == (Status(status), Trouble(trouble))


SCHEDULES = [
    ("0 0 * * *", "UTC", "2000-01-01T23:59Z", Status.UP),
    ("0 0 * * *", "UTC", "2000-01-02T00:00Z", Status.LATE),
    ("0 0 * * *", "UTC", "2000-01-02T01:00Z", Status.DOWN),
    ("0 10 * * *", "Australia/Brisbane", "2000-01-01T23:59Z", Status.UP),
    ("0 10 * * *", "Australia/Brisbane", "2000-01-02T00:00Z", Status.LATE),
    ("0 10 * * *", "Australia/Brisbane", "2000-01-02T01:00Z", Status.DOWN),
]


@pytest.mark.parametrize(("cron", "zone", "at", "status"), SCHEDULES)
def test_by_a_schedule(cron, zone, at, status):
    def ms(text):
        return int(datetime.fromisoformat(text.replace("Z", ":00+00:00")).timestamp() * 1000)

    plan = Plan(cron=Cron.parsed(cron), zone=ZoneInfo(zone))
    heartbeat = pinged(Heartbeat(0), Ping(PingKind.SUCCESS, ms("2000-01-01T00:00Z")), plan)

    assert heartbeat_now(heartbeat, plan, ms(at)).status is status


def test_durations_are_those_of_the_run_that_ended():
    heartbeat = after(("start", 0, "a"), ("start", MINUTE, "b"), ("success", 5 * MINUTE, "b"))
    assert heartbeat.last_duration_ms == 4 * MINUTE

    heartbeat = pinged(heartbeat, Ping(PingKind.FAIL, T0 + 10 * MINUTE, "a"), DAILY)
    assert (heartbeat.last_duration_ms, heartbeat.failed, heartbeat.runs) == (10 * MINUTE, True, ())


def test_runs_that_overlap_are_seen_and_counted():
    heartbeat = after(("start", 0, "a"), ("start", MINUTE, "b"))
    now = heartbeat_now(heartbeat, DAILY, T0 + 2 * MINUTE)

    assert (now.running, now.overlapping, heartbeat.overlaps) == (2, True, 1)


def test_the_same_start_told_twice_is_one_run():
    heartbeat = after(("start", 0, "a"), ("start", MINUTE, "a"), ("success", 2 * MINUTE, "a"))

    assert (heartbeat.overlaps, heartbeat.last_duration_ms, heartbeat.runs) == (0, 2 * MINUTE, ())


def test_without_ids_a_new_start_replaces_the_old():
    heartbeat = after(("start", 0), ("start", 30 * MINUTE), ("success", 40 * MINUTE))

    assert (heartbeat.overlaps, heartbeat.last_duration_ms, heartbeat.runs) == (1, 10 * MINUTE, ())


def test_a_run_that_died_without_a_word_is_forgotten_when_a_later_one_succeeds():
    died = [("success", 0), ("start", DAY, "a")]
    assert heartbeat_now(after(*died), DAILY, T0 + DAY + 2 * HOUR).trouble is Trouble.TOO_LONG

    failed = after(*died, ("start", 2 * DAY, "b"), ("fail", 2 * DAY + MINUTE, "b"))
    assert len(failed.runs) == 1

    well = after(*died, ("start", 2 * DAY, "b"), ("success", 2 * DAY + MINUTE, "b"))
    assert heartbeat_now(well, DAILY, T0 + 2 * DAY + HOUR).status is Status.UP


def test_the_end_of_a_run_that_nobody_started_counts():
    heartbeat = after(("success", 0, "unknown"))

    assert (heartbeat.last_success_ms, heartbeat.last_duration_ms) == (T0, None)


PINGS = st.lists(
    st.tuples(
        st.sampled_from(["start", "success", "fail"]), st.integers(-DAY, 5 * DAY), st.sampled_from(["", "a", "b", "c"])
    ),
    max_size=60,
)


@given(PINGS, st.integers(-DAY, 6 * DAY))
def test_any_pings_at_any_time_leave_a_heartbeat_that_makes_sense(pings, at):
    heartbeat = after(*pings)
    now = heartbeat_now(heartbeat, DAILY, T0 + at)

    assert len(heartbeat.runs) <= MAX_RUNS
    assert (now.status is Status.DOWN) is (now.trouble is not Trouble.NONE)
    assert heartbeat.successes + heartbeat.failures == sum(kind != "start" for kind, *_ in pings)
    assert heartbeat.last_duration_ms is None or heartbeat.last_duration_ms >= 0


@given(st.lists(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), max_size=60))
def test_runs_that_never_end_are_bounded(ids):
    assert len(after(*(("start", index, run_id) for index, run_id in enumerate(ids))).runs) <= MAX_RUNS
