from datetime import datetime

import pytest

from trackside.server.probes.maintenance import MaintenanceConfig


def ms(text):
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def window(**keys):
    return MaintenanceConfig.model_validate(keys)


BERLIN = {"timezone": "Europe/Berlin"}
COVERED = [
    ({"start": "2026-03-01T22:00:00Z", "end": "2026-03-02T01:00:00Z"}, "2026-03-01T22:00:00Z", True),
    ({"start": "2026-03-01T22:00:00Z", "end": "2026-03-02T01:00:00Z"}, "2026-03-02T01:00:00Z", False),
    ({"start": "2026-03-01 22:00", "end": "2026-03-01 23:00", **BERLIN}, "2026-03-01T21:30:00Z", True),
    ({"from": "02:00", "to": "04:00"}, "2026-03-01T03:59:59Z", True),
    ({"from": "02:00", "to": "04:00"}, "2026-03-01T04:00:00Z", False),
    ({"from": "02:00", "to": "04:00", **BERLIN}, "2026-03-01T01:30:00Z", True),
    ({"from": "22:30", "to": "01:00", "days": ["sun"]}, "2026-03-01T23:00:00Z", True),
    ({"from": "22:30", "to": "01:00", "days": ["sun"]}, "2026-03-02T00:59:00Z", True),
    ({"from": "22:30", "to": "01:00", "days": ["sun"]}, "2026-03-02T23:00:00Z", False),
    ({"from": "22:30", "to": "01:00", "days": ["sun"]}, "2026-03-01T00:30:00Z", False),
    ({"from": "00:00", "to": "24:00", "days": ["sat"]}, "2026-02-28T23:59:59Z", True),
    ({"from": "00:00", "to": "24:00", "days": ["sat"]}, "2026-03-01T00:00:00Z", False),
    # The night in which the hour from two to three does not exist.
    ({"from": "01:00", "to": "04:00", **BERLIN}, "2026-03-29T01:59:00Z", True),
    ({"from": "01:00", "to": "04:00", **BERLIN}, "2026-03-29T02:00:00Z", False),
]


@pytest.mark.parametrize(("keys", "at", "covered"), COVERED, ids=[f"{row[0]} {row[1]}" for row in COVERED])
def test_which_moments_are_covered(keys, at, covered):
    assert window(**keys).covers(ms(at)) is covered


WRONG = [
    ({}, "expected either start and end"),
    ({"start": "2026-03-01T22:00:00Z"}, "expected either start and end"),
    ({"from": "01:00"}, "expected either start and end"),
    ({"start": "2026-03-01T22:00Z", "end": "2026-03-02T22:00Z", "from": "01:00", "to": "02:00"}, "expected either"),
    ({"start": "2026-03-02T22:00:00Z", "end": "2026-03-01T22:00:00Z"}, "end: expected a moment after start"),
    ({"from": "01:00", "to": "01:00"}, "to: expected another time"),
    ({"from": "25:00", "to": "01:00"}, "not a time of day: '25:00'"),
    ({"from": "01:00", "to": "02:00", "timezone": "../etc/passwd"}, "not a time zone"),
    ({"start": "soon", "end": "later"}, "not a moment: 'soon'"),
]


@pytest.mark.parametrize(("keys", "text"), WRONG, ids=[f"{row[0]}" for row in WRONG])
def test_what_is_no_window_is_refused(keys, text):
    with pytest.raises(ValueError, match=text):
        window(**keys)


def test_whom_it_concerns():
    every = {"from": "01:00", "to": "02:00"}

    assert window(**every).concerns("api", "")
    assert window(**every, checks=["api"]).concerns("api", "")
    assert window(**every, checks=["shop"]).concerns("api", "shop")
    assert not window(**every, checks=["web"]).concerns("api", "shop")
