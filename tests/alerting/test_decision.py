"""What is told to one integration, and the promise: who was told that something fires is told that it is over."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackside.model.alerts import Alert, AlertState
from trackside.model.labels import Labels
from trackside.server.alerting.decision import (
    Reason,
    Terms,
    Told,
    after_delivery,
    after_doubt,
    due,
    truth,
    without_resolved,
)

HOUR = 3_600_000
FIRING, RESOLVED = AlertState.FIRING, AlertState.RESOLVED


def alert(name: str, state: AlertState = FIRING) -> Alert:
    return Alert(Labels.of(alertname=name), Labels(), state, 1.0, 0, 0, 1 if state is RESOLVED else None)


def told(firing: str = "", uncertain: str = "", at_ms: int | None = 0) -> Told:
    def sets(names: str) -> frozenset[Labels]:
        return frozenset(Labels.of(alertname=name) for name in names)

    return Told(sets(firing), sets(uncertain), at_ms)


def text(message) -> str:
    """Firing alerts as capitals, resolved ones as small letters."""
    alerts = () if message is None else message.alerts
    return "".join(one.name if one.state is FIRING else one.name.lower() for one in alerts)


def group(letters: str) -> list[Alert]:
    return [alert(letter.upper(), FIRING if letter.isupper() else RESOLVED) for letter in letters]


@pytest.mark.parametrize(
    ("letters", "known", "send_resolved", "expected"),
    [
        pytest.param("A", told(at_ms=None), True, "A", id="news"),
        pytest.param("A", told("A"), True, "", id="nothing new"),
        pytest.param("AB", told("A"), True, "AB", id="one is new: all that fire are told"),
        pytest.param("a", told(at_ms=None), True, "", id="over before it was told"),
        pytest.param("a", told("A"), True, "a", id="over"),
        pytest.param("aB", told("AB"), True, "aB", id="one is over"),
        pytest.param("aB", told("AB"), False, "", id="one is over, and nobody wants to know"),
        pytest.param("aB", told("A"), False, "B", id="only what fires"),
        pytest.param("aB", told("A"), True, "aB", id="one is over, one is new"),
        pytest.param("ab", told("A"), True, "ab", id="what nobody heard of comes along, over as it is"),
        pytest.param("aB", told("B"), True, "", id="what nobody heard of is no reason to speak"),
        pytest.param("AB", Told(told("AB").firing, at_ms=0, hidden=told("A").firing), True, "AB", id="shown again"),
        pytest.param("a", told("", "A"), True, "a", id="over, and its beginning may have been told"),
        pytest.param("A", told("A", "A"), True, "A", id="fires, and its end may have been told"),
    ],
)
def test_what_is_due(letters, known, send_resolved, expected):
    found = due(group(letters), known, Terms(send_resolved, HOUR), 60_000)
    assert text(found) == expected


@pytest.mark.parametrize(("after_ms", "expected"), [(HOUR - 1, ""), (HOUR, "AB"), (9 * HOUR, "AB")])
def test_what_lasts_is_repeated(after_ms, expected):
    assert text(due(group("AB"), told("AB"), Terms(True, HOUR), after_ms)) == expected


@pytest.mark.parametrize(
    ("letters", "known", "now_ms", "reason"),
    [
        ("A", told(at_ms=None), 1, Reason.FIRST),
        ("AB", told("A"), 1, Reason.NEW),
        ("aB", told("A"), 1, Reason.NEW),
        ("aB", told("AB"), 1, Reason.SOME_RESOLVED),
        ("ab", told("AB"), 1, Reason.ALL_RESOLVED),
        ("A", told("A"), HOUR, Reason.REPEAT),
        ("aB", told("AB"), HOUR, Reason.SOME_RESOLVED),
    ],
)
def test_a_message_says_why_it_comes(letters, known, now_ms, reason):
    found = due(group(letters), known, Terms(True, HOUR), now_ms)
    assert found is not None and found.reason is reason


def test_what_a_message_does_not_name_is_named_again():
    """Silenced while the others were told: the reader takes the last message for all there is."""
    known = after_delivery(told("AB"), group("Bc"), 5)
    assert known == Told(told("AB").firing, frozenset(), 5, told("A").firing)
    assert text(due(group("AB"), known, Terms(True, HOUR), 6)) == "AB"
    assert due(group("AB"), after_delivery(known, group("AB"), 7), Terms(True, HOUR), 8) is None


def test_who_does_not_want_the_end_forgets_it():
    assert without_resolved(told("AB"), group("aB")) == told("B")
    known = told("B")
    assert without_resolved(known, group("aB")) is known


def test_truth_is_about_states_not_values():
    assert truth(group("Ab")) == truth(group("bA"))
    assert truth(group("Ab")) != truth(group("AB"))


EVENTS = st.lists(
    st.sampled_from(["A", "B", "a", "b", "ok", "lost", "doubt arrived", "doubt lost", "mute A", "mute B"]), max_size=40
)


@settings(deadline=None)
@given(EVENTS, st.booleans())
def test_the_receiver_ends_up_knowing_what_is(events, send_resolved):
    """Whatever is lost or doubtful on the way: once messages arrive, the receiver's picture is the truth."""
    terms = Terms(send_resolved, 1 << 60)
    now: dict[str, Alert] = {}
    known = Told()
    picture: set[str] = set()
    muted: set[str] = set()

    def flush(outcome: str) -> None:
        nonlocal known
        if not send_resolved:
            known = without_resolved(known, now.values())
            picture.intersection_update(name for name in picture if now[name].state is FIRING)
        message = due([one for one in now.values() if one.name not in muted], known, terms, 1)
        if message is None or outcome == "lost":
            return
        if outcome != "doubt lost":
            for one in message.alerts:
                (picture.add if one.state is FIRING else picture.discard)(one.name)
        known = after_delivery(known, message.alerts, 1) if outcome == "ok" else after_doubt(known, message.alerts)

    for event in events:
        if event.upper() in ("A", "B"):
            # Each of the two goes on until it is over, however often it is said.
            if event.isupper() or event.upper() in now:
                now[event.upper()] = group(event)[0]
        elif event.startswith("mute"):
            muted ^= {event[-1]}
        else:
            flush(event)
    muted.clear()
    flush("ok")
    assert picture == {name for name, one in now.items() if one.state is FIRING}
    assert due(now.values(), known, terms, 1) is None
