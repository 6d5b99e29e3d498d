"""All alerts that are known, in bounded memory."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackside.model.labels import Labels
from trackside.server.alerting import intake as module
from trackside.server.alerting.intake import Intake
from trackside.server.alerting.pushes.lease import Push

MINUTE = 60_000


def labels(number: int) -> Labels:
    return Labels.of(alertname="A", i=str(number))


def test_what_is_pushed_again_and_again_takes_no_more_memory():
    intake = Intake(300_000)
    for minute in range(100):
        now_ms = minute * MINUTE
        for number in range(10):
            intake.push(Push(labels(number), starts_ms=0, ends_ms=now_ms + 4 * MINUTE), now_ms)
        assert intake.ended(now_ms) == []
        assert len(intake._ends) == 10
    assert len(list(intake.firing(99 * MINUTE))) == 10
    assert len(intake.ended(104 * MINUTE)) == 10


def test_too_many_are_refused(monkeypatch):
    monkeypatch.setattr(module, "MAX_ALERTS", 3)
    intake = Intake(300_000)
    for number in range(3):
        intake.push(Push(labels(number)), 0)
    with pytest.raises(ValueError, match="3 alerts already"):
        intake.push(Push(labels(3)), 0)
    intake.push(Push(labels(2)), 1)


EVENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(-20, 40), st.integers(1, 15)), max_size=30)


@settings(deadline=None)
@given(EVENTS)
def test_each_end_is_noticed_once_and_in_time(events):
    """Pushes of (alert, end from now, time until the next push), against asking every lease at every moment."""
    intake, now_ms, firing = Intake(300_000), 0, set()
    for number, end, wait in events:
        intake.push(Push(labels(number), starts_ms=min(now_ms, now_ms + end), ends_ms=now_ms + end), now_ms)
        lease = intake._held[labels(number)].lease
        (firing.discard if lease.is_over(now_ms) else firing.add)(number)
        for _ in range(wait):
            now_ms += 1
            over = {one for one in firing if intake._held[labels(one)].lease.is_over(now_ms)}
            assert {int(alert.labels.get("i")) for alert in intake.ended(now_ms)} == over
            firing -= over
            assert {int(one.get("i")) for one in intake.firing_labels(now_ms)} == firing
