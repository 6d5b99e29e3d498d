"""Which lists of matchers hold for a label set: the index against asking each of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.alerting import selection
from trackside.server.alerting.matchers import matches, parse_matchers
from trackside.server.alerting.selection import Selection, beginnings

NAMES, VALUES = ["a", "b", "c"], ["", "x", "y", "x\ny", "xxy", "x y"]
MATCHERS = st.builds(
    Matcher,
    st.sampled_from(NAMES),
    st.sampled_from(list(MatchOp)),
    st.sampled_from(["", "x", "y", "x|y", ".*", "x.y", "x.*", "xx?|x.*", "y|", "z|x y"]),
)
LABELS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES)).map(Labels.of)


@settings(deadline=None)
@given(st.lists(st.lists(MATCHERS, max_size=3).map(tuple), max_size=8), st.lists(LABELS, max_size=4))
def test_it_finds_what_holds(lists, label_sets):
    chosen = Selection(enumerate(lists))
    for labels in (*label_sets, *label_sets):
        assert chosen.holding(labels) == tuple(
            number for number, matchers in enumerate(lists) if matches(matchers, labels)
        )


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(selection, "REMEMBERED", 10)
    chosen = Selection([("it", parse_matchers('a="x"'))])
    for number in range(35):
        assert chosen.holding(Labels.of(a="x", i=str(number))) == ("it",)
    assert len(chosen._known) <= 10


@pytest.mark.parametrize("labels", [{}, {"a": "y"}])
def test_an_empty_value_is_a_label_that_is_not_there(labels):
    chosen = Selection([("absent", parse_matchers('a=""')), ("other", parse_matchers('a!="x"'))])
    assert ("absent" in chosen.holding(Labels.of(labels))) == (not labels)
    assert "other" in chosen.holding(Labels.of(labels))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("abc", ("abc",)),
        ("abc.*", ("abc",)),
        ("abc*", ("ab",)),
        ("abc?d", ("ab",)),
        ("abc{2}", ("ab",)),
        ("abc+", ("ab",)),
        ("ab|cd.*", ("ab", "cd")),
        ("ab|", None),
        ("a*|b", None),
        (".*", None),
        ("", None),
        ("(ab|cd)", None),
        ("(?i)ab", None),
        ("ab(c|d)", None),
        (r"10\.0\.1.*", ("10.0.1",)),
        (r"10\.*", ("10",)),
        (r"10\d", ("10",)),
        (r"a\|b", None),
        ("[ab]c", None),
        ("ab[cd]", ("ab",)),
        ("^ab$", None),
    ],
)
def test_with_what_a_match_begins(pattern, expected):
    assert beginnings(pattern) == expected


@settings(deadline=None)
@given(st.text("ab|*?+.()[]{}\\^$1,-", max_size=8), st.text("ab1-", max_size=5))
def test_nothing_is_missed_by_how_it_begins(pattern, text):
    try:
        matcher = Matcher("a", MatchOp.REGEX, pattern)
        expected = matches((matcher,), Labels.of(a=text))
    except ValueError:
        return
    assert bool(Selection([("it", (matcher,))]).holding(Labels.of(a=text))) == expected
