"""Moments, errors and ids as databases have them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.jobs.sql.rows import error_line, milliseconds, stored_milliseconds, ulid_ms
from trackside.jobs.sql.table_map import Times

AT_MS = 1_767_225_600_250
AT = "2026-01-01 00:00:00.250"


@pytest.mark.parametrize(
    ("value", "times", "expected"),
    [
        pytest.param(AT, Times.TIMESTAMP, AT_MS, id="text"),
        pytest.param("2026-01-01T00:00:00.250Z", Times.TIMESTAMP, AT_MS, id="text with T and Z"),
        pytest.param("2026-01-01T01:00:00.250+01:00", Times.TIMESTAMP, AT_MS, id="text with an offset"),
        pytest.param("2026-01-01 00:00:00.250 UTC", Times.TIMESTAMP, AT_MS, id="text with UTC"),
        pytest.param("2026-01-01", Times.TIMESTAMP, AT_MS - 250, id="a day"),
        pytest.param(AT_MS / 1000, Times.TIMESTAMP, AT_MS, id="seconds where text was expected"),
        pytest.param(AT_MS, Times.TIMESTAMP, AT_MS, id="milliseconds where text was expected"),
        pytest.param(AT_MS / 1000, Times.SECONDS, AT_MS, id="seconds"),
        pytest.param(str(AT_MS / 1000), Times.SECONDS, AT_MS, id="seconds as text"),
        pytest.param(AT_MS, Times.MILLISECONDS, AT_MS, id="milliseconds"),
        pytest.param(0, Times.SECONDS, 0, id="zero"),
        pytest.param(None, Times.TIMESTAMP, None, id="nothing"),
        pytest.param("", Times.TIMESTAMP, None, id="empty"),
        pytest.param("soon", Times.TIMESTAMP, None, id="no moment"),
        pytest.param(float("inf"), Times.SECONDS, None, id="infinite"),
        pytest.param(1e300, Times.SECONDS, None, id="too far"),
        pytest.param(True, Times.SECONDS, None, id="a truth value"),
    ],
)
def test_stored_moments(value, times, expected):
    assert stored_milliseconds(value, times) == expected


@pytest.mark.parametrize("value", [AT_MS, float(AT_MS), Decimal(AT_MS)])
def test_moments_in_milliseconds(value):
    assert milliseconds(value, Times.SECONDS) == AT_MS


@given(st.none() | st.text() | st.integers() | st.floats() | st.binary() | st.datetimes(), st.sampled_from(Times))
def test_no_value_is_too_odd(value, times):
    for read in (milliseconds, stored_milliseconds):
        moment = read(value, times)
        assert moment is None or abs(moment) < 1e15


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        pytest.param("01ARZ3NDEKTSV4RRFFQ69G5FAV", 1_469_922_850_259, id="a ULID"),
        pytest.param("01arz3ndektsv4rrffq69g5fav", 1_469_922_850_259, id="in lower case"),
        pytest.param("0" * 26, 0, id="the first"),
        pytest.param("Z" * 26, None, id="beyond the year 9999"),
        pytest.param("01ARZ3NDEKTSV4RRFFQ69G5FAU", None, id="a sign that is none"),
        pytest.param("17", None, id="a number"),
    ],
)
def test_ulid(id, expected):
    assert ulid_ms(id) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("no", "no", id="one line"),
        pytest.param("Traceback (most recent call last):\n  File 'a'\nValueError: no\n", "ValueError: no", id="Python"),
        pytest.param("** (RuntimeError) no\n    (app) lib/a.ex:1", "** (RuntimeError) no", id="Elixir"),
        pytest.param(
            '{"exception_class": "KeyError", "message": "no", "backtrace": []}', "KeyError: no", id="Ruby's JSON"
        ),
        pytest.param('{"Err": "no"}', "no", id="Rust's JSON"),
        pytest.param('{"other": 1}', '{"other": 1}', id="other JSON"),
        pytest.param("{broken", "{broken", id="broken JSON"),
        pytest.param("x" * 9_999, "x" * 500 + "…", id="long"),
    ],
)
def test_error_line(text, expected):
    assert error_line(text) == expected
