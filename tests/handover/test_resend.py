"""When an alert is told again."""

from dataclasses import replace

import pytest

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.server.handover.resend import FORGET_MS, Sent, due, message, remembered

FIRING = Alert(
    Labels.of(alertname="Down"), Labels.of(s="x"), AlertState.FIRING, 1.0, 1_000, 2_500, None, None, "http://l"
)
RESOLVED = replace(FIRING, state=AlertState.RESOLVED, resolved_at_ms=9_000)


@pytest.mark.parametrize(
    ("alert", "before", "now_ms", "expected"),
    [
        pytest.param(replace(FIRING, state=AlertState.PENDING), None, 0, False, id="pending"),
        pytest.param(FIRING, None, 0, True, id="news"),
        pytest.param(FIRING, Sent(0, False, 0), 60_000, False, id="within the delay"),
        pytest.param(FIRING, Sent(0, False, 0), 60_001, True, id="after the delay"),
        pytest.param(RESOLVED, Sent(0, False, 0), 1, True, id="its end, at once"),
        pytest.param(RESOLVED, Sent(0, True, 0), 1, False, id="its end, once"),
        pytest.param(FIRING, Sent(0, True, 0), 1, True, id="fires again"),
    ],
)
def test_due(alert, before, now_ms, expected):
    assert due(alert, before, now_ms, 60_000) is expected


def test_an_alert_nobody_speaks_of_is_forgotten():
    known = remembered({}, [FIRING], [FIRING], 0)
    assert known == {FIRING.labels: Sent(0, False, 0)}
    assert remembered(known, [FIRING], [], 10) == {FIRING.labels: Sent(0, False, 10)}
    assert remembered(known, [], [], FORGET_MS - 1) == known
    assert remembered(known, [], [], FORGET_MS) == {}


def test_what_is_said():
    said = message(FIRING, Labels.of(alertname="Down", more="x"), 10_000, 240_000)
    assert said == {
        "labels": {"alertname": "Down", "more": "x"},
        "annotations": {"s": "x"},
        "startsAt": "1970-01-01T00:00:02.500Z",
        "endsAt": "1970-01-01T00:04:10.000Z",
        "generatorURL": "http://l",
    }
    assert message(RESOLVED, RESOLVED.labels, 10_000, 240_000)["endsAt"] == "1970-01-01T00:00:09.000Z"
