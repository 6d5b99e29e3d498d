"""A bucket is found however its bound is spelled."""

import pytest

from trackside.model.matchers import Matcher, MatchOp
from trackside.server.promql.bounds import any_spelling
from trackside.server.regex import predicate


@pytest.mark.parametrize(
    ("written", "found", "not_found"),
    [
        ("2", ["2", "2.0"], ["2.5", "20", "2x0", ""]),
        ("2.0", ["2", "2.0"], ["2x0"]),
        ("0.5", ["0.5"], ["0x5", "5"]),
        ("1e6", ["1e6", "1000000", "1e+06"], ["1"]),
        ("+Inf", ["+Inf"], ["Inf", ""]),
        ("many", ["many"], ["2"]),
    ],
)
def test_a_bound_is_found_in_any_spelling(written, found, not_found):
    (equal,) = any_spelling([Matcher("le", MatchOp.EQUAL, written)])
    (unequal,) = any_spelling([Matcher("le", MatchOp.NOT_EQUAL, written)])

    assert all(predicate(equal)(text) and not predicate(unequal)(text) for text in found)
    assert not any(predicate(equal)(text) or not predicate(unequal)(text) for text in not_found)


def test_other_labels_and_patterns_mean_what_they_say():
    matchers = [
        Matcher("code", MatchOp.EQUAL, "2"),
        Matcher("le", MatchOp.REGEX, "2"),
        Matcher("le", MatchOp.EQUAL, ""),
    ]

    assert list(any_spelling(matchers)) == matchers
