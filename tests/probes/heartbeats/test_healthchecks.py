"""The states of Healthchecks, whose cases are read from beside the project.

Three things are otherwise here, on purpose: nothing is paused (maintenance is), a job that was never heard is missed in
the end, and there is no OnCalendar: its schedules are written as a crontab's.
"""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from trackside.model.durations import parse_duration
from trackside.server.probes.heartbeats.cron import Cron
from trackside.server.probes.heartbeats.state import Heartbeat, Ping, PingKind, Plan, heartbeat_now, pinged

DAY, HOUR = 86_400_000, 3_600_000
NOW = 20_000 * DAY
WORDS = {"grace": "late"}
CRON = {"00:00": "0 0 * * *", "2019-01-01": "0 0 29 2 *"}


def _cases():
    for folder in Path(__file__).resolve().parents:
        file = folder.parent / "shared/conformance/alerting/upstream/heartbeat_states.unit.yml"
        if file.exists():
            return yaml.safe_load(file.read_text())
    return []


ALL = _cases()
CASES = [case for case in ALL if case["stored"] != "paused"]


def plan_of(case):
    schedule = case.get("cron") or CRON.get(case.get("oncalendar"))
    if schedule is None:
        return Plan(DAY, grace_ms=HOUR, max_run_ms=HOUR)
    return Plan(0, Cron.parsed(schedule), ZoneInfo(case.get("tz", "UTC")), HOUR, HOUR)


def ms(text):
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def heartbeat_of(case):
    plan = plan_of(case)
    heartbeat = Heartbeat(NOW if case["stored"] == "new" else NOW - 10 * DAY)
    # What is stored as down was told so: only a ping of success ends it.
    end = PingKind.FAIL if case["stored"] == "down" else PingKind.SUCCESS
    last = ms(case["last_ping"]) if "last_ping" in case else None
    if "ping" in case and case["stored"] != "new":
        last = NOW - parse_duration(case["ping"])
    if last is None and case["stored"] == "down":
        last = NOW - DAY
    if last is not None:
        heartbeat = pinged(heartbeat, Ping(end, last), plan)
    if "start" in case:
        heartbeat = pinged(heartbeat, Ping(PingKind.START, NOW - parse_duration(case["start"])), plan)
    return heartbeat


def test_the_cases_that_are_left_out_are_those_of_pauses():
    assert len(ALL) - len(CASES) == sum("paused" in str(case) for case in ALL)


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(f"{key}={value}" for key, value in case.items())[:90])
def test_a_state(case):
    heartbeat, plan = heartbeat_of(case), plan_of(case)
    now = heartbeat_now(heartbeat, plan, NOW)

    if "want" in case and "start" not in case:
        assert now.status.value == WORDS.get(case["want"], case["want"])
    if case.get("want_with_started") == "started":
        assert now.running == 1
        assert not now.too_long
    if "down" in (case.get("want"), case.get("want_with_started")):
        assert now.status.value == "down"
    for moment, want in case.get("at", {}).items():
        assert heartbeat_now(heartbeat, plan, ms(moment)).status.value == WORDS.get(want, want)
    if "next_ping" in case:
        assert now.expected_ms == ms(case["next_ping"])
    if str(case.get("going_down_after")).startswith("last_ping"):
        down_ms = heartbeat.last_end_ms + parse_duration(case["going_down_after"].removeprefix("last_ping + "))
        states = [heartbeat_now(heartbeat, plan, down_ms + late).status.value for late in (-1, 0)]
        assert states == ["late", "down"]
    if case["stored"] == "down":
        assert now.status.value == "down", "and it does not go down again"
