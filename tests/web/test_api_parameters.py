from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import MultiDict

from trackside.server.web.api.parameters import MAX_TIME_MS, MAX_TIMEOUT_MS, Parameters
from trackside.server.web.forms import ParameterError

NOW_MS = 1_764_079_335_000


def given_as(**fields: str) -> Parameters:
    return Parameters(MultiDict(fields), NOW_MS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("0", 0, id="the beginning"),
        pytest.param("1764079335", NOW_MS, id="seconds"),
        pytest.param("1764079335.5", NOW_MS + 500, id="with a fraction"),
        pytest.param("1764079335.0004", NOW_MS, id="rounded to milliseconds"),
        pytest.param("1435781430.781", 1_435_781_430_781, id="a fraction that binary has not"),
        pytest.param("1.764079335e9", NOW_MS, id="with an exponent"),
        pytest.param("-1.5", -1_500, id="before the beginning"),
        pytest.param("+5", 5_000, id="with a sign"),
        pytest.param(".5", 500, id="without a whole part"),
        pytest.param("2025-11-25T14:02:15Z", NOW_MS, id="RFC 3339"),
        pytest.param("2025-11-25T14:02:15.250Z", NOW_MS + 250, id="with milliseconds"),
        pytest.param("2025-11-25T14:02:15.123456789Z", NOW_MS + 123, id="with nanoseconds"),
        pytest.param("2025-11-25T16:02:15+02:00", NOW_MS, id="of another zone"),
        pytest.param("2025-11-25T14:02:15", NOW_MS, id="without a zone it is UTC"),
    ],
)
def test_times(text, expected):
    assert given_as(time=text).time_ms("time") == expected


@pytest.mark.parametrize(
    "text",
    [
        "NaN", "nan", "Inf", "-Inf", "+inf", "infinity", "1e300", "-1e300", "1e999", "9" * 400, "253402300801", "now",
        "5m", "1_000", "0x10", " 5", "5 ", "٣", "１", "--5", "1e", "1,5", "2025-13-01T00:00:00Z",
        "2025-11-25T25:00:00Z", "99999-01-01T00:00:00Z", "\x00", "\ufffd", "1;DROP", "1" + " " * 5_000,
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_by_name(text):
    with pytest.raises(ParameterError, match=r'^invalid parameter "start": cannot use .*; expected a time as Unix sec'):
        given_as(start=text).time_ms("start")


def test_a_time_that_is_left_out():
    assert given_as().time_ms("time", NOW_MS) == NOW_MS
    assert given_as(time="").time_ms("time", NOW_MS) == NOW_MS
    with pytest.raises(ParameterError, match=r'^invalid parameter "start": it is required, and missing$'):
        given_as().time_ms("start")


@given(st.floats(0, 4e9))
def test_both_ways_of_writing_a_time_are_the_same_moment(at_s):
    moment = datetime.fromtimestamp(at_s, UTC)
    seconds = given_as(time=f"{moment.timestamp():.6f}").time_ms("time")

    assert abs(given_as(time=moment.isoformat()).time_ms("time") - seconds) <= 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("15", 15_000, id="seconds"),
        pytest.param("0.5", 500, id="a fraction"),
        pytest.param("15s", 15_000, id="a duration"),
        pytest.param("1h30m", 5_400_000, id="of several units"),
        pytest.param("1ms", 1, id="the shortest"),
    ],
)
def test_durations(text, expected):
    assert given_as(step=text).duration_ms("step") == expected


@pytest.mark.parametrize("text", ["0", "0s", "-5", "-5s", "0.0001", "-Inf", "NaN", "Inf", "1e300", "9" * 300 + "h",
                                  "5 m", "5x", "m", "1_0", "５m", "\x00", "9" * 5_000 + "s"])  # fmt: skip
def test_what_is_no_duration_is_refused_by_name(text):
    with pytest.raises(ParameterError, match=r'^invalid parameter "step": cannot use .*; expected a duration'):
        given_as(step=text).duration_ms("step")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(None, None, id="left out"),
        pytest.param("", None, id="empty"),
        pytest.param("5s", 5_000, id="short"),
        pytest.param("1y", MAX_TIMEOUT_MS, id="longer than any query may take"),
    ],
)
def test_timeouts(text, expected):
    assert (given_as() if text is None else given_as(timeout=text)).timeout_ms() == expected


@pytest.mark.parametrize("text", ["-1", "1.5", "abc", "²", "٣", "9" * 13, "1e3", " 1", "+1"])
def test_what_is_no_limit_is_refused_by_name(text):
    with pytest.raises(ParameterError, match=r'^invalid parameter "limit": .* expected a whole number'):
        given_as(limit=text).limit()


def test_limits():
    assert given_as(limit="25").limit() == 25
    assert given_as().limit() == given_as(limit="").limit() == 0


def test_choices():
    assert given_as().choice("state", "any", "active") == "any"
    assert given_as(state="active").choice("state", "any", "active") == "active"
    with pytest.raises(ParameterError, match=r"cannot use 'ACTIVE'; expected any or active"):
        given_as(state="ACTIVE").choice("state", "any", "active")


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_and_never_more_than_quoted_in_part(text):
    form = given_as(x=text)
    for read in (form.time_ms, form.duration_ms, form.limit):
        try:
            assert abs(read("x")) <= max(MAX_TIME_MS, 10**12)
        except ParameterError as error:
            assert error.name == "x"


@pytest.mark.parametrize("text", ["z" * 1_000_000, "9" * 1_000_000, "9" * 1_000_000 + "s", "1." * 500_000, "-" * 10**6])
def test_a_long_value_is_refused_soon_and_quoted_in_part(text):
    form = given_as(x=text)
    for read in (form.time_ms, form.duration_ms, form.limit):
        with pytest.raises(ParameterError) as caught:
            read("x")
        assert len(str(caught.value)) < 300
