"""Which alerts explain others."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackside.model.labels import Labels
from trackside.server.alerting.inhibit_rule import InhibitRule
from trackside.server.alerting.inhibition import Inhibition
from trackside.server.alerting.matchers import matches, parse_matchers


def rule(source: str, target: str, *equal: str) -> InhibitRule:
    return InhibitRule(parse_matchers(source), parse_matchers(target), equal)


CRITICAL = rule('severity="critical"', 'severity="warning"', "cluster")


def labels(text: str) -> Labels:
    return Labels.of(pair.split("=") for pair in text.split())


@pytest.mark.parametrize(
    ("rules", "source", "target", "inhibited"),
    [
        pytest.param([CRITICAL], "severity=critical cluster=a", "severity=warning cluster=a", True, id="equal"),
        pytest.param([CRITICAL], "severity=critical cluster=a", "severity=warning cluster=b", False, id="not equal"),
        pytest.param([CRITICAL], "severity=critical", "severity=warning", True, id="absent on both sides is equal"),
        pytest.param([CRITICAL], "severity=critical", "severity=warning cluster=b", False, id="absent on one side"),
        pytest.param([CRITICAL], "severity=critical", "severity=info", False, id="no target"),
        pytest.param(
            [rule('s="1"', 't!="1"')], "s=1 t=1", "x=1", True, id="a negative matcher takes what has no label"
        ),
        pytest.param([rule('s="1"', 't="1"')], "s=1 t=1", "s=1 t=1 n=2", False, id="two that are both are strangers"),
        pytest.param([rule('s="1"', 't="1"')], "s=1", "s=1 t=1", True, id="a mere source inhibits one that is both"),
        pytest.param([rule('s="1"', 't="1"')], "s=1 t=1", "t=1", True, id="one that is both inhibits a mere target"),
        pytest.param([], "s=1", "t=1", False, id="no rule"),
    ],
)
def test_a_source_inhibits_its_targets(rules, source, target, inhibited):
    known = Inhibition(rules, [labels(source), labels(target)])
    assert known.inhibitor(labels(target)) == (labels(source) if inhibited else None)
    known.ends(labels(source))
    assert known.inhibitor(labels(target)) is None


def test_an_alert_does_not_inhibit_itself():
    known = Inhibition([rule('s="1"', 's="1"')], [labels("s=1")])
    assert known.inhibitor(labels("s=1")) is None


def test_a_second_source_goes_on_when_the_first_ends():
    known = Inhibition([CRITICAL], [labels("severity=critical n=1"), labels("severity=critical n=2")])
    known.ends(labels("severity=critical n=1"))
    known.ends(labels("severity=critical n=1"))
    assert known.inhibitor(labels("severity=warning")) == labels("severity=critical n=2")


SIDES = st.sampled_from(['a="1"', 'a="2"', 'a!="1"', 'b=~"1|2"', 'b!=""'])
RULES = st.lists(
    st.builds(lambda source, target, equal: rule(source, target, *equal), SIDES, SIDES, st.sets(st.sampled_from("ce"))),
    max_size=3,
)
LABELS = st.dictionaries(st.sampled_from("abce"), st.sampled_from("12"), min_size=1).map(Labels.of)


@settings(deadline=None)
@given(RULES, st.lists(st.tuples(LABELS, st.booleans()), max_size=12))
def test_it_knows_what_the_definition_says(rules, events):
    known, firing = Inhibition(rules), set()
    for one, begins in events:
        (known.begins if begins else known.ends)(one)
        (firing.add if begins else firing.discard)(one)
        for target in {event for event, _ in events}:
            assert (known.inhibitor(target) is not None) == any(_inhibits(each, rules, target) for each in firing)


def _inhibits(source: Labels, rules: list[InhibitRule], target: Labels) -> bool:
    for one in rules:
        both = matches(one.source_matchers, target) and matches(one.target_matchers, source)
        shared = one.equal_values(source) == one.equal_values(target)
        taken = matches(one.source_matchers, source) and matches(one.target_matchers, target)
        if taken and shared and not both:
            return True
    return False
