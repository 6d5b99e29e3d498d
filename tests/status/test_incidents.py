import pytest

from trackside.server.status.config import IncidentRuleConfig
from trackside.server.status.incidents import MAX_TEXT, Alerts, StatusError, Written, due, new_incident, new_update
from trackside.server.status.model import Incident, IncidentState, Update
from trackside.server.status.spells import Spell

NOW = 1_000_000
RULE = IncidentRuleConfig.model_validate(
    {"alert": "Slow", "title": "Pages are slow", "after": "1m", "components": ["Web"]}
)


def incident(*updates, alert="", impact="major", starts=0, ends=None):
    told = tuple(Update(at, IncidentState(state), "words", author) for at, state, author in updates)
    return Incident(1, "It", impact, ("Web",), starts, ends, told, alert)


WRONG = [
    (Written(" ", "b", "major", ()), "title: expected some words"),
    (Written("a", "", "major", ()), "text: expected some words"),
    (Written("a", "b" * (MAX_TEXT + 1), "major", ()), "more than 10,000"),
    (Written("a", "b", "huge", ()), "impact: expected one of minor, major, maintenance"),
    (Written("a", "b", "major", ("DB",)), "'DB' is none of this page"),
    (Written("a", "b", "maintenance", ()), "needs a start, and an end after it"),
    (Written("a", "b", "maintenance", (), 20, 10), "needs a start, and an end after it"),
    (Written("a", "b", "maintenance", (), 10, 20), "that is over already"),
]


@pytest.mark.parametrize(("written", "text"), WRONG, ids=[row[1][:40] for row in WRONG])
def test_what_cannot_stand_on_the_page(written, text):
    with pytest.raises(StatusError, match=text):
        new_incident(written, ["Web"], "me", NOW)


def test_an_incident_begins_with_what_was_written():
    made = new_incident(Written("Down", "We\r\nlook\0", "major", ("Web",)), ["Web"], "me", NOW)

    assert (made.state, made.starts_ms, made.ends_ms) == (IncidentState.INVESTIGATING, NOW, None)
    assert made.updates == (Update(NOW, IncidentState.INVESTIGATING, "We\nlook", "me"),)


def test_an_update_has_one_of_the_states_of_its_kind():
    assert new_update(incident((0, "investigating", "")), "resolved", "x", "me", NOW).state.is_over
    with pytest.raises(StatusError, match="expected one of investigating"):
        new_update(incident((0, "investigating", "")), "scheduled", "x", "me", NOW)
    with pytest.raises(StatusError, match="expected one of scheduled"):
        new_update(incident((0, "scheduled", ""), impact="maintenance"), "resolved", "x", "me", NOW)


def test_an_alert_opens_an_incident_with_the_words_of_the_configuration():
    assert due([RULE], Alerts({"Slow": NOW - 59_999}), [], NOW).opened == ()
    (opened,) = due([RULE], Alerts({"Slow": NOW - 60_000, "Other": 0}), [], NOW).opened

    assert (opened.title, opened.components, opened.starts_ms) == ("Pages are slow", ("Web",), NOW - 60_000)
    assert opened.updates[0].text == "We are looking into it."


STATES = [
    pytest.param({"Slow": 0}, [(0, "investigating", "")], [], id="it goes on"),
    pytest.param({}, [(0, "investigating", "")], ["resolved"], id="it is over"),
    pytest.param({}, [(0, "investigating", ""), (5, "identified", "me")], [], id="a person says when it is over"),
    pytest.param({}, [(0, "investigating", ""), (5, "resolved", "")], [], id="it was over before"),
]


@pytest.mark.parametrize(("firing", "updates", "states"), STATES)
def test_an_incident_ends_with_its_alert(firing, updates, states):
    found = due([RULE], Alerts(firing), [incident(*updates, alert="Slow")], NOW)

    assert [update.state.value for _, update in found.updates] == states
    assert found.opened == ()


def test_when_it_fires_again_that_is_a_new_incident():
    over = incident((0, "investigating", ""), (5, "resolved", ""), alert="Slow")

    assert len(due([RULE], Alerts({"Slow": 0}), [over], NOW).opened) == 1


ENDED = [
    pytest.param([Spell("Slow", 1_000, 61_000)], [(1_000, 61_000)], id="it came and went"),
    pytest.param([Spell("Slow", 1_000, 60_999)], [], id="it was shorter than it has to be"),
    pytest.param([Spell("Other", 1_000, 99_000)], [], id="another"),
    pytest.param(
        [Spell("Slow", 2_000, 70_000), Spell("Slow", 1_000, 62_000), Spell("Slow", 0, 5_000)],
        [(1_000, 70_000)],
        id="several at once are one",
    ),
]


@pytest.mark.parametrize(("ended", "times"), ENDED)
def test_what_came_and_went_between_two_looks_is_history_with_its_true_times(ended, times):
    opened = due([RULE], Alerts({}, ended), [], NOW).opened

    assert [(one.starts_ms, one.ends_ms) for one in opened] == times
    assert [tuple(update.at_ms for update in one.updates) for one in opened] == times
    assert all(one.state.is_over and one.alert == "Slow" for one in opened)


def test_an_incident_ends_when_its_alert_did_and_not_when_somebody_looked():
    alerts = Alerts({}, [Spell("Slow", 0, NOW - 9_000)])
    found = due([RULE], alerts, [incident((NOW - 20_000, "investigating", ""), alert="Slow")], NOW)

    assert found.opened == ()
    assert [(update.state.value, update.at_ms) for _, update in found.updates] == [("resolved", NOW - 9_000)]


def test_an_incident_never_ends_before_its_last_word():
    alerts = Alerts({}, [Spell("Slow", 0, NOW - 9_000)])
    found = due([RULE], alerts, [incident((NOW - 1_000, "investigating", ""), alert="Slow")], NOW)

    assert [update.at_ms for _, update in found.updates] == [NOW - 1_000]


def test_when_it_fires_again_what_ended_before_is_an_incident_of_its_own():
    found = due([RULE], Alerts({"Slow": NOW - 90_000}, [Spell("Slow", 0, 70_000)]), [], NOW)

    assert [(one.starts_ms, one.ends_ms) for one in found.opened] == [(0, 70_000), (NOW - 90_000, None)]


WINDOWS = [
    pytest.param("scheduled", NOW + 1, NOW + 9, [], id="to come"),
    pytest.param("scheduled", NOW, NOW + 9, ["under way"], id="it begins"),
    pytest.param("under way", NOW - 5, NOW + 9, [], id="it goes on"),
    pytest.param("under way", NOW - 5, NOW, ["completed"], id="it ends"),
    pytest.param("scheduled", NOW - 5, NOW - 1, ["completed"], id="it was slept through"),
    pytest.param("completed", NOW - 5, NOW + 9, [], id="a person was faster"),
]


@pytest.mark.parametrize(("state", "starts", "ends", "states"), WINDOWS)
def test_maintenance_begins_and_ends_at_its_times(state, starts, ends, states):
    window = incident((0, state, "me"), impact="maintenance", starts=starts, ends=ends)

    assert [update.state.value for _, update in due([], Alerts({}), [window], NOW).updates] == states
