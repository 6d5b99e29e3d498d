"""The life of an alert, against its definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.exceptions import QueryError
from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.server.rules.alerting_rule import RESOLVED_RETENTION_MS, Active, alert_labels, resolved_all, step
from trackside.server.rules.config import AlertingRule

SERIES = Labels.of(alertname="A", job="shop")


def active(value: float = 1.0, text: str = "") -> Active:
    return Active(SERIES, Labels.of(s=text), value)


def is_firing(holds: list[bool], now: int, for_ms: int, keep_ms: int) -> bool:
    """Whether an alert fires after evaluations at 0, 1, … `now`, in words: it held once for `for_ms` without a gap, and
    since then it never failed to hold for `keep_ms`."""
    for start in range(now + 1):
        for fired in range(start, now + 1):
            if not all(holds[start : fired + 1]) or fired - start < for_ms:
                continue
            gaps = [
                (begin, end)
                for begin in range(fired + 1, now + 1)
                for end in range(begin, now + 1)
                if not any(holds[begin : end + 1])
            ]
            if all(end - begin < keep_ms for begin, end in gaps):
                return True
    return False


@given(
    st.lists(st.booleans(), min_size=1, max_size=14),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_an_alert_is_what_its_definition_says(holds, for_ms, keep_ms):
    rule = AlertingRule("A", "x", for_ms, keep_ms)
    alerts = {}
    for now, held in enumerate(holds):
        alerts = step(alerts, [active()] if held else [], rule, now)
        alert = alerts.get(SERIES)
        state = alert.state if alert is not None else None
        if is_firing(holds, now, for_ms, keep_ms):
            assert state is AlertState.FIRING
        elif held:
            assert state is AlertState.PENDING
        else:
            assert state in (AlertState.RESOLVED, None)


def states(rule: AlertingRule, holds: str) -> str:
    """One letter for each evaluation, a minute apart: pending, firing, resolved or nothing."""
    alerts, text = {}, ""
    for minute, held in enumerate(holds):
        alerts = step(alerts, [active()] if held == "x" else [], rule, minute * 60_000)
        text += alerts[SERIES].state.value[0] if SERIES in alerts else "."
    return text


@pytest.mark.parametrize(
    ("for_ms", "keep_ms", "holds", "expected"),
    [
        pytest.param(0, 0, ".x.", ".fr", id="without for"),
        pytest.param(120_000, 0, "xxx.", "ppfr", id="for two minutes"),
        pytest.param(120_000, 0, "xx.xxx", "pp.ppf", id="a gap while pending starts it afresh"),
        pytest.param(10_000, 0, "xx", "pf", id="for less than the interval: at the next evaluation"),
        pytest.param(0, 120_000, "x..x...", "fffffff"[:3] + "fffr", id="kept firing over a gap"),
        pytest.param(60_000, 0, "xx.xx", "pfrpf", id="fires again after its end"),
    ],
)
def test_states(for_ms, keep_ms, holds, expected):
    assert states(AlertingRule("A", "x", for_ms, keep_ms), holds) == expected


def test_a_resolved_alert_is_forgotten_after_its_retention():
    rule = AlertingRule("A", "x")
    alerts = step(step({}, [active()], rule, 0), [], rule, 1_000)
    assert SERIES in step(alerts, [], rule, 1_000 + RESOLVED_RETENTION_MS)
    assert step(alerts, [], rule, 1_001 + RESOLVED_RETENTION_MS) == {}


def test_value_and_texts_follow_while_it_holds_and_stay_when_it_ends():
    rule = AlertingRule("A", "x", keep_firing_for_ms=1_000)
    alerts = step({}, [active(1, "one")], rule, 0)
    alerts = step(alerts, [active(2, "two")], rule, 500)
    for now_ms in (1_000, 5_000):
        alerts = step(alerts, [], rule, now_ms)
        assert (alerts[SERIES].value, alerts[SERIES].annotations.get("s")) == (2, "two")


def test_a_clock_that_is_set_back_does_not_lengthen_for():
    rule = AlertingRule("A", "x", for_ms=60_000)
    alerts = step({}, [active()], rule, 3_600_000)
    alerts = step(alerts, [active()], rule, 0)
    assert step(alerts, [active()], rule, 60_000)[SERIES].state is AlertState.FIRING


def test_two_series_that_become_one_alert_are_an_error():
    with pytest.raises(QueryError, match="two series have the same labels once"):
        step({}, [active(1), active(2)], AlertingRule("A", "x"), 0)


def test_labels_of_the_rule_win_and_an_empty_one_removes():
    series = Labels.of(__name__="up", job="shop", pod="p")
    found = alert_labels(series, [("job", "other"), ("pod", ""), ("alertname", "no")], "A")
    assert found == Labels.of(alertname="A", job="other")


def test_the_end_of_a_rule_resolves_what_fires_and_drops_what_is_pending():
    def alert(number, state):
        return Alert(Labels.of(n=str(number)), Labels(), state, 1.0, 0, 0)

    alerts = {one.labels: one for one in map(alert, range(3), AlertState)}
    ended = resolved_all(alerts, 9)
    assert [(one.labels.get("n"), one.state, one.resolved_at_ms) for one in ended.values()] == [
        ("1", AlertState.RESOLVED, 9),
        ("2", AlertState.RESOLVED, None),
    ]
