"""Go's times, durations and layouts."""

import pytest

from trackside.server.gotemplate.times import GoDuration, GoTime, zone

MOMENT = GoTime.of_seconds(1_136_214_245.678)  # 2 January 2006, 15:04:05.678 UTC


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("2006-01-02 15:04:05.000", "2006-01-02 15:04:05.678"),
        ("2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z"),
        ("Mon Jan _2 03:04:05 PM 06", "Mon Jan  2 03:04:05 PM 06"),
        ("Monday, January 2", "Monday, January 2"),
        ("3:4:5pm -0700 MST", "3:4:5pm +0000 UTC"),
        ("15:04:05.99 002", "15:04:05.67 002"),
        ("no layout at all", "no layout at all"),
    ],
)
def test_format(layout, expected):
    assert MOMENT.format(layout) == expected


def test_format_in_a_zone():
    berlin = GoTime(MOMENT.nanoseconds, zone("Europe/Berlin"))
    assert berlin.format("15:04 -07:00 MST Z0700") == "16:04 +01:00 CET +0100"
    with pytest.raises(ValueError, match="no time zone is named 'Nowhere/City'"):
        zone("Nowhere/City")
    with pytest.raises(ValueError, match="no time zone"):
        zone("../../etc/passwd")


def test_the_zero_time_is_year_one():
    assert GoTime.of_ms(None).text() == "0001-01-01 00:00:00 +0000 UTC"
    assert GoTime.of_ms(None).member("IsZero")() is True
    assert MOMENT.member("IsZero")() is False


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("Unix", 1_136_214_245),
        ("UnixMilli", 1_136_214_245_678),
        ("Year", 2006),
        ("Month", "January"),
        ("Weekday", "Monday"),
        ("YearDay", 2),
        ("Hour", 15),
        ("String", "2006-01-02 15:04:05.678 +0000 UTC"),
    ],
)
def test_methods(method, expected):
    assert MOMENT.member(method)() == expected


def test_arithmetic():
    later = MOMENT.member("Add")(GoDuration(90_000_000_000))
    assert later.member("Sub")(MOMENT).text() == "1m30s"
    assert later.member("After")(MOMENT) is True
    with pytest.raises(ValueError, match="expected a time"):
        MOMENT.member("Sub")("x")


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (2_000_000, "2ms"),
        (1_500_000_000, "1.5s"),
        (3_723_000_000_000, "1h2m3s"),
        (-61_000_000_000, "-1m1s"),
    ],
)
def test_duration(nanoseconds, expected):
    assert GoDuration(nanoseconds).text() == expected


@pytest.mark.parametrize("seconds", [1e300, -1e300, float("nan")])
def test_what_is_no_time(seconds):
    with pytest.raises(ValueError, match="not a time"):
        GoTime.of_seconds(seconds)
