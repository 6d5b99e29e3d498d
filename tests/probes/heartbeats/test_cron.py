from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from trackside.server.probes.heartbeats.cron import Cron


def ms(text):
    return int(datetime.fromisoformat(text).timestamp() * 1000)


NEXT = [
    ("* * * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"),
    ("0 * * * *", "UTC", "2000-01-01T00:00:00Z", "2000-01-01T01:00:00Z"),
    ("30 2 * * *", "Europe/Berlin", "2026-01-01T00:00:00Z", "2026-01-01T01:30:00Z"),
    ("0 10 * * *", "Australia/Brisbane", "2000-01-01T00:00:00Z", "2000-01-02T00:00:00Z"),
    ("*/20 8-9 * * mon-fri", "UTC", "2026-01-02T09:40:00Z", "2026-01-05T08:00:00Z"),
    ("0 0 29 feb *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
    ("0 0 13 * 5", "UTC", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
    ("0 0 * * 7", "UTC", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
    ("@monthly", "UTC", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
    # Half past two does not exist in this night, and comes twice in the other.
    ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"),
    ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
    ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
]


@pytest.mark.parametrize(("text", "zone", "after", "expected"), NEXT, ids=[f"{row[0]} {row[2]}" for row in NEXT])
def test_the_next_moment(text, zone, after, expected):
    assert Cron.parsed(text).next_ms(ms(after), ZoneInfo(zone)) == ms(expected)


WRONG = [
    "",
    "* * * *",
    "* * * * * *",
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * * 13 *",
    "* * * * 8",
    "5-1 * * * *",
]
WRONG += ["*/0 * * * *", "a * * * *", "* * * foo *", "1,,2 * * * *", "-1 * * * *", "@never", "0 0 31 2 *", "٣ * * * *"]


@pytest.mark.parametrize("text", [*WRONG, "*,".join("*" for _ in range(400)) + " * * * *"])
def test_what_is_no_schedule_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        Cron.parsed(text)


def field(least, most):
    number = st.integers(least, most)
    # Two different ends: the other library takes a range of one for all.
    pairs = st.lists(number, min_size=2, max_size=2, unique=True)
    ranges = pairs.map(lambda pair: f"{min(pair)}-{max(pair)}")
    part = st.one_of(number.map(str), ranges, ranges.map(lambda text: f"{text}/3"))
    return st.one_of(st.just("*"), st.just("*/7"), st.lists(part, min_size=1, max_size=3).map(",".join))


@settings(max_examples=150, deadline=None)
@given(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6), st.integers(1_600_000_000, 1_900_000_000))
def test_as_another_library_has_it(minute, hour, day, month, weekday, after_s):
    text = f"{minute} {hour} {day} {month} {weekday}"
    # Where days and weekdays begin with a star in a step, the two disagree on what cron does.
    if "*/" in day or "*/" in weekday:
        return

    expected = croniter(text, datetime.fromtimestamp(after_s, UTC)).get_next(float)

    assert Cron.parsed(text).next_ms(after_s * 1000, ZoneInfo("UTC")) == int(expected * 1000)


@given(st.text(alphabet="0123456789*/,-@ abcfjmu", max_size=30))
def test_any_text_is_a_schedule_or_refused(text):
    try:
        Cron.parsed(text)
    except ValueError:
        return
