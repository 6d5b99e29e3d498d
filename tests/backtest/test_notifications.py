"""How many notifications a past would have been: the server's own grouping, timers, inhibition and repeats."""

from dataclasses import replace

import pytest

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.server.alertmanager_config import from_text
from trackside.server.backtest.notifications import Teller, Telling, would_be_sent

S, M, H = 1_000, 60_000, 3_600_000


def fired(at_ms: int, name: str = "Down", **labels: str) -> tuple[int, Alert]:
    return at_ms, Alert(Labels.of(labels, alertname=name), Labels(), AlertState.FIRING, 1.0, at_ms, at_ms)


def resolved(at_ms: int, name: str = "Down", **labels: str) -> tuple[int, Alert]:
    alert = fired(at_ms, name, **labels)[1]
    return at_ms, replace(alert, state=AlertState.RESOLVED, resolved_at_ms=at_ms)


SLACK = (Teller("slack", True),)


def sent(*transitions, config: str = "", tellers=SLACK, end_ms: int = 24 * H):
    text = config or "route: {receiver: a, group_by: [alertname]}\nreceivers: [{name: a}]\n"
    _, told = from_text(text, "alertmanager.yml")
    telling = Telling(told.routing, {receiver.name: tellers for receiver in told.receivers})
    return [(one.at_ms, one.receiver, one.reason) for one in would_be_sent(transitions, telling, end_ms)]


def test_one_that_fires_and_is_over_is_two_messages():
    assert sent(fired(0), resolved(10 * M)) == [
        (30 * S, "a", "first notification"),
        (10 * M + 30 * S, "a", "all alerts resolved"),
    ]


def test_one_that_is_over_before_the_first_message_is_none():
    assert sent(fired(0), resolved(20 * S)) == []


def test_what_fires_together_is_one_message_and_what_comes_later_another():
    found = sent(fired(0, job="a"), fired(10 * S, job="b"), fired(M, job="c"))
    assert found[:2] == [(30 * S, "a", "first notification"), (5 * M + 30 * S, "a", "new alerts added")]


def test_what_goes_on_is_repeated():
    assert [at_ms for at_ms, _, _ in sent(fired(0), end_ms=9 * H)] == [30 * S, 4 * H + 30 * S, 8 * H + 30 * S]


def test_a_receiver_that_wants_no_ends_is_not_told_of_them():
    assert len(sent(fired(0), resolved(10 * M), tellers=(Teller("slack", False),))) == 1


def test_each_integration_is_counted():
    found = sent(fired(0), end_ms=H, tellers=(Teller("slack", True), Teller("pagerduty", True)))
    assert found == [(30 * S, "a", "first notification")] * 2


CONFIG = """
route:
  receiver: a
  routes:
  - {receiver: b, matchers: ['severity="page"'], mute_time_intervals: [night]}
receivers: [{name: a}, {name: b}]
time_intervals:
- name: night
  time_intervals: [{times: [{start_time: "00:00", end_time: "06:00"}]}]
inhibit_rules:
- {source_matchers: ['alertname="Cause"'], target_matchers: ['alertname="Effect"'], equal: [job]}
"""


def test_routes_are_followed():
    found = sent(fired(8 * H, severity="page"), fired(8 * H, severity="info"), config=CONFIG, end_ms=9 * H)
    assert sorted(receiver for _, receiver, _ in found) == ["a", "b"]


def test_a_muted_time_puts_it_off():
    (first, *_) = sent(fired(5 * H, severity="page"), config=CONFIG)
    assert first == (6 * H + 30 * S, "b", "first notification")


def test_an_inhibited_alert_is_not_told():
    found = sent(fired(0, "Cause", job="x"), fired(0, "Effect", job="x"), config=CONFIG, end_ms=H)
    assert len(found) == 1
    assert len(sent(fired(0, "Cause", job="x"), fired(0, "Effect", job="y"), config=CONFIG, end_ms=H)) == 1
    assert sent(fired(0, "Effect", job="y"), config=CONFIG, end_ms=H) != []


@pytest.mark.parametrize("transitions", [[], [resolved(5)]])
def test_nothing_fired_nothing_sent(transitions):
    assert sent(*transitions) == []
