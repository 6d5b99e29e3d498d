"""Bounds of buckets found in whichever spelling they are stored: `le="2"` and `le="2.0"` are the same bucket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import re2

from trackside.model.matchers import Matcher, MatchOp
from trackside.wire.numbers import canonical_bound, format_value, parse_value

_BOUNDS = frozenset(("le", "quantile"))
_AS_PATTERN = {MatchOp.EQUAL: MatchOp.REGEX, MatchOp.NOT_EQUAL: MatchOp.NOT_REGEX}


def any_spelling(matchers: Sequence[Matcher]) -> Sequence[Matcher]:
    """`matchers`, with those on a bound widened to every spelling of its number.

    Scraped bounds are stored in one spelling, pushed ones as they came, and people write what their client shows them;
    a rule must not go quiet because the two differ by a ".0".
    """
    if not any(matcher.name in _BOUNDS for matcher in matchers):
        return matchers
    return [_widened(matcher) for matcher in matchers]


def _widened(matcher: Matcher) -> Matcher:
    if matcher.name not in _BOUNDS or matcher.op not in _AS_PATTERN:
        return matcher
    try:
        number = parse_value(matcher.value)
    except ValueError:
        return matcher
    spellings = sorted({matcher.value, canonical_bound(matcher.value), format_value(number)})
    if len(spellings) == 1:
        return matcher
    return replace(matcher, op=_AS_PATTERN[matcher.op], value="|".join(map(re2.escape, spellings)))
