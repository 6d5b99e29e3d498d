"""Parts of a calendar: how they are written, when they hold, and when that changes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from trackside.exceptions import ConfigError
from trackside.server.alerting.time_interval_config import TimeIntervalConfig
from trackside.server.yamlfile import parse_yaml, section_of


def interval(spans):
    text = yaml.safe_dump({"name": "x", "time_intervals": spans})
    return section_of(parse_yaml(text, "t.yml"), TimeIntervalConfig).interval


def ms(text):
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("span", "inside", "outside"),
    [
        pytest.param({}, ["1970-01-01T00:00Z", "2999-12-31T23:59Z"], [], id="always"),
        pytest.param(
            {"times": [{"start_time": "09:00", "end_time": "17:00"}]},
            ["2024-05-01T09:00Z", "2024-05-01T16:59:59.999Z"],
            ["2024-05-01T08:59:59.999Z", "2024-05-01T17:00Z"],
            id="the end of a time is not in it",
        ),
        pytest.param(
            {"times": [{"start_time": "22:00", "end_time": "24:00"}, {"start_time": "00:00", "end_time": "06:00"}]},
            ["2024-05-01T23:59Z", "2024-05-01T00:00Z"],
            ["2024-05-01T06:00Z", "2024-05-01T21:59Z"],
            id="a night is two times",
        ),
        pytest.param(
            {"weekdays": ["Monday:friday", "SUNDAY"]},
            ["2024-05-03T12:00Z", "2024-05-05T12:00Z"],
            ["2024-05-04T12:00Z"],
            id="weekdays",
        ),
        pytest.param(
            {"weekdays": ["saturday"], "location": "Pacific/Kiritimati"},
            ["2024-05-03T12:00Z"],
            ["2024-05-04T12:00Z"],
            id="it is tomorrow elsewhere",
        ),
        pytest.param(
            {"days_of_month": ["-1"]},
            ["2024-02-29T00:00Z", "2023-02-28T23:59Z", "2024-12-31T12:00Z"],
            ["2024-02-28T12:00Z", "2024-03-30T12:00Z"],
            id="the last day",
        ),
        pytest.param(
            {"days_of_month": ["30:31"]}, ["2024-01-30T00:00Z"], ["2024-02-29T00:00Z"], id="not in a short month"
        ),
        pytest.param({"days_of_month": ["-31:-1"]}, ["2023-02-01T00:00Z"], [], id="cut at the first"),
        pytest.param({"days_of_month": ["28:31"]}, ["2023-02-28T00:00Z"], ["2023-02-27T23:59Z"], id="cut at the last"),
        pytest.param(
            {"months": ["12", "january:2"]},
            ["2024-12-01T00:00Z", "2024-02-10T00:00Z"],
            ["2024-03-01T00:00Z"],
            id="months",
        ),
        pytest.param({"months": ["0"]}, [], ["2024-01-01T00:00Z", "2024-12-01T00:00Z"], id="a month that never comes"),
        pytest.param(
            {"years": ["2024", "2030:2031"]},
            ["2024-07-01T00:00Z", "2031-12-31T23:59Z"],
            ["2025-01-01T00:00Z"],
            id="years",
        ),
        pytest.param(
            {"times": [{"start_time": "09:00", "end_time": "10:00"}], "location": "Europe/Berlin"},
            ["2024-01-10T08:30Z", "2024-07-10T07:30Z"],
            ["2024-01-10T07:30Z", "2024-07-10T08:30Z"],
            id="summer time",
        ),
    ],
)
def test_contains(span, inside, outside):
    one = interval([span])
    assert [text for text in inside if not one.contains(ms(text))] == []
    assert [text for text in outside if one.contains(ms(text))] == []


def test_any_of_the_spans_will_do():
    one = interval([{"weekdays": ["sunday"]}, {"days_of_month": [1]}])
    assert [one.contains(ms(f"2024-05-0{day}T12:00Z")) for day in (1, 2, 5)] == [True, False, True]


def test_no_span_is_never():
    assert not interval([]).contains(ms("2024-05-01T12:00Z"))
    assert interval([]).next_change(0) is None


def _upstream():
    file = Path(__file__).parents[3] / "shared/conformance/alerting/upstream/time_intervals.unit.yml"
    return yaml.safe_load(file.read_text()) if file.is_file() else []


@pytest.mark.parametrize("case", _upstream(), ids=range(len(_upstream())))
def test_the_cases_of_others(case):
    one = interval(yaml.safe_load(case["interval"]))
    for expected, texts in ((True, case["contains"]), (False, case["excludes"])):
        for text in texts:
            moment = datetime.strptime(text, "%d %b %y %H:%M %z")
            assert one.contains(round(moment.timestamp() * 1000)) is expected, text


@pytest.mark.parametrize(
    ("span", "now", "expected"),
    [
        pytest.param({"weekdays": ["sunday"]}, "2024-05-01T12:00Z", "2024-05-05T00:00Z", id="begins"),
        pytest.param({"weekdays": ["sunday"]}, "2024-05-05T12:00Z", "2024-05-06T00:00Z", id="ends"),
        pytest.param({"days_of_month": ["31"]}, "2024-01-31T12:00Z", "2024-02-01T00:00Z", id="end of the month"),
        pytest.param({"days_of_month": ["31"]}, "2024-02-01T00:00Z", "2024-03-31T00:00Z", id="next long month"),
        pytest.param({"months": ["february"]}, "2024-03-01T00:00Z", "2025-02-01T00:00Z", id="next year"),
        pytest.param({}, "2024-03-01T00:00Z", None, id="never"),
        pytest.param({"years": ["2100"]}, "2024-03-01T00:00Z", None, id="too far away"),
        pytest.param(
            {"times": [{"start_time": "02:30", "end_time": "04:00"}], "location": "Europe/Berlin"},
            "2024-03-31T00:00Z",
            "2024-03-31T01:00Z",
            id="half past two is left out, so it begins at three",
        ),
        pytest.param(
            {"times": [{"start_time": "02:30", "end_time": "02:40"}], "location": "Europe/Berlin"},
            "2024-10-27T00:45Z",
            "2024-10-27T01:30Z",
            id="half past two comes twice",
        ),
    ],
)
def test_next_change(span, now, expected):
    assert interval([span]).next_change(ms(now)) == (ms(expected) if expected else None)


def test_the_next_change_of_spans_in_two_zones():
    night = {"times": [{"start_time": "00:00", "end_time": "06:00"}]}
    one = interval([night, {**night, "location": "America/St_Johns"}])
    # In UTC until 06:00, over there from 03:30 on.
    assert one.next_change(ms("2023-01-01T00:00Z")) == ms("2023-01-01T09:30Z")


ZONES = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Kiritimati", "Etc/GMT+12"]
spans = st.fixed_dictionaries(
    {},
    optional={
        "weekdays": st.lists(st.sampled_from(["sunday", "monday:wednesday", "friday:saturday"]), min_size=1),
        "days_of_month": st.lists(st.sampled_from(["1", "10:20", "-3:-1", "31"]), min_size=1),
        "times": st.lists(
            st.sampled_from(
                [{"start_time": "00:00", "end_time": "06:00"}, {"start_time": "02:15", "end_time": "02:45"}]
            ),
            min_size=1,
        ),
        "location": st.sampled_from(ZONES),
    },
)


@settings(deadline=None)
@given(
    st.lists(spans, max_size=2),
    st.datetimes(datetime(2023, 1, 1), datetime(2025, 1, 1)),  # noqa: DTZ001 - made aware below
)
def test_between_now_and_the_next_change_nothing_changes(made, moment):
    one = interval(made)
    now = moment.replace(tzinfo=UTC)
    now_ms = round(now.timestamp() * 1000)
    change = one.next_change(now_ms)
    inside = one.contains(now_ms)
    end = now + timedelta(days=3) if change is None else datetime.fromtimestamp(change / 1000, UTC)
    step = now
    while step < min(end, now + timedelta(days=3)):
        assert one.contains(round(step.timestamp() * 1000)) is inside
        step += timedelta(minutes=7)
    if change is not None:
        assert change > now_ms
        assert one.contains(change) is not inside
        assert one.contains(change - 1) is inside


@pytest.mark.parametrize("now_ms", [-1, 0, 253_402_300_799_000, 1 << 45])
def test_odd_times_are_no_trouble(now_ms):
    one = interval([{"weekdays": ["sunday"], "location": "Asia/Tokyo"}])
    assert one.contains(now_ms) in (True, False)
    one.next_change(now_ms)


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        pytest.param({"times": [{"start_time": "9:00", "end_time": "10:00"}]}, "expected HH:MM", id="one digit"),
        pytest.param({"times": [{"start_time": "09:00"}]}, "end_time: is required", id="no end"),
        pytest.param({"times": [{"start_time": "22:00", "end_time": "06:00"}]}, "over midnight", id="midnight"),
        pytest.param({"weekdays": ["saturday:sunday"]}, "a week begins on Sunday", id="week"),
        pytest.param({"weekdays": ["1:3"]}, "'1' is not a weekday", id="number"),
        pytest.param({"weekdays": "monday"}, "expected a list", id="no list"),
        pytest.param({"days_of_month": ["0"]}, "0 is not a day of a month", id="day 0"),
        pytest.param({"days_of_month": ["1:2:3"]}, "not a range: '1:2:3'", id="two colons"),
        pytest.param({"days_of_month": ["-3:3"]}, "must end there", id="end, then beginning"),
        pytest.param({"days_of_month": ["20:-10"]}, "may end before it begins", id="backwards in February"),
        pytest.param({"months": ["december:january"]}, "a year begins in January", id="year"),
        pytest.param({"years": ["2025:2024"]}, "ends before it begins", id="years"),
        pytest.param({"years": ["soon"]}, "'soon' is not a whole number", id="no year"),
        pytest.param({"location": "Mars/Olympus"}, "no time zone is named 'Mars/Olympus'", id="zone"),
        pytest.param({"location": "../UTC"}, "no time zone is named", id="path"),
        pytest.param({"location": "Europe"}, "no time zone is named", id="folder"),
        pytest.param({"wekdays": ["sunday"]}, "did you mean 'weekdays'?", id="unknown key"),
    ],
)
def test_refused(span, expected):
    with pytest.raises(ConfigError) as raised:
        interval([span])
    assert str(raised.value).startswith("t.yml:")
    assert expected in str(raised.value)


def test_the_zone_of_the_machine(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    one = interval([{"weekdays": ["sunday"], "location": "Local"}])
    assert one.contains(ms("2024-05-04T16:00Z"))
    monkeypatch.delenv("TZ")
    assert interval([{"location": "Local"}]).contains(0)
