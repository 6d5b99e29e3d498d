"""The label index against asking every series."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.regex import matches_all
from trackside.server.tsdb.index import SeriesIndex

VALUES = st.sampled_from(["", "a", "b", "ab", "a|b", "4xx", "x\ny", "ü"])
LABELS = st.dictionaries(st.sampled_from(["__name__", "code", "path"]), VALUES).map(Labels.of)
PATTERNS = ["", "a", "a|b", "a|", ".*", ".+", "a.*", "[ab]+", "4..", "(a|b)b?", "x.y", "zzz", "A|a b"]
MATCHERS = st.builds(
    Matcher,
    st.sampled_from(["__name__", "code", "path", "absent"]),
    st.sampled_from(MatchOp),
    st.sampled_from(PATTERNS),
)


@given(series=st.lists(LABELS, unique=True, max_size=12), matchers=st.lists(MATCHERS, max_size=3), data=st.data())
def test_match_finds_what_each_series_would_say(series, matchers, data):
    index = SeriesIndex()
    for ref, labels in enumerate(series):
        index.add(ref, labels)
    gone = data.draw(st.sets(st.sampled_from(range(len(series))))) if series else set()
    index.remove(sorted(gone))
    expected = {ref for ref, labels in enumerate(series) if ref not in gone and matches_all(matchers, labels)}
    assert set(index.match(matchers)) == expected
    assert len(index) == len(series) - len(gone)


def test_a_pattern_that_is_none_is_the_callers_error():
    index = SeriesIndex()
    index.add(1, Labels.of(a="b"))
    with pytest.raises(ValueError, match="not a regular expression"):
        index.match([Matcher("a", MatchOp.REGEX, "(")])


def test_removing_the_last_series_of_a_pair_says_so():
    index = SeriesIndex()
    index.add(1, Labels.of(job="shop", path="/a"))
    index.add(2, Labels.of(job="shop", path="/b"))
    assert index.remove([1]) == [("path", "/a")]
    assert index.names() == [("job", [index.match([])]), ("path", [index.match([])])]
    assert index.remove([2]) == [("job", "shop"), ("path", "/b")]
    assert index.names() == []


def test_a_result_is_not_changed_by_later_series():
    index = SeriesIndex()
    index.add(1, Labels.of(job="shop"))
    found = [index.match([]), index.match([Matcher("job", MatchOp.EQUAL, "shop")])]
    index.add(2, Labels.of(job="shop"))
    assert [set(each) for each in found] == [{1}, {1}]
