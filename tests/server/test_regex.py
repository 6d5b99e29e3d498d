"""Regular expressions that cannot hang the server."""

import time

import pytest

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.regex import compiled, matches_all, predicate

LABELS = Labels.of(job="shop", path="/pay\nnow")


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        (Matcher("job", MatchOp.EQUAL, "shop"), True),
        (Matcher("job", MatchOp.NOT_EQUAL, "shop"), False),
        (Matcher("job", MatchOp.REGEX, "sho"), False),
        (Matcher("job", MatchOp.REGEX, "sho."), True),
        (Matcher("job", MatchOp.NOT_REGEX, "a|b"), True),
        (Matcher("absent", MatchOp.EQUAL, ""), True),
        (Matcher("absent", MatchOp.REGEX, ".*"), True),
        (Matcher("absent", MatchOp.REGEX, ".+"), False),
        (Matcher("path", MatchOp.REGEX, "/pay.now"), True),
    ],
)
def test_matcher(matcher, expected):
    assert predicate(matcher)(LABELS.get(matcher.name)) is expected
    assert matches_all([matcher], LABELS) is expected


def test_an_expression_that_backtracks_elsewhere_is_linear_here():
    started = time.process_time()
    assert compiled("(a+)+b").fullmatch("a" * 50_000) is None
    assert time.process_time() - started < 2


@pytest.mark.parametrize("pattern", ["(", "a**", "[z-a]", r"\1", "(?=x)"])
def test_what_is_no_expression_is_named(pattern):
    with pytest.raises(ValueError, match="not a regular expression"):
        compiled(pattern)
