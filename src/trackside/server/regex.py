"""Regular expressions of untrusted origin: RE2, in time linear in the text, so that no pattern can hang the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import re2

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher, MatchOp

_OPTIONS = re2.Options()
_OPTIONS.dot_nl = True  # as Prometheus compiles its matchers: (?s)
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 8 << 20


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> re2._Regexp:
    """
    Raises:
        ValueError: `pattern` is no RE2 expression; the message says why.
    """
    try:
        return re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        reason = error.args[0] if error.args else "invalid"
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"not a regular expression: {pattern!r}: {text}") from error


def compiled_by_line(pattern: str) -> re2._Regexp:
    """As Alertmanager reads patterns: unlike in Prometheus, a dot does not match a line break.

    Raises:
        ValueError: as `compiled`.
    """
    return compiled(f"(?-s:{pattern})")


def predicate(matcher: Matcher, read: Callable[[str], re2._Regexp] = compiled) -> Callable[[str], bool]:
    """The test a matcher puts to a label's value ("" for an absent label). `read`: how its pattern is understood.

    Raises:
        ValueError: the matcher's pattern is no RE2 expression.
    """
    value = matcher.value
    match matcher.op:
        case MatchOp.EQUAL:
            return lambda text: text == value
        case MatchOp.NOT_EQUAL:
            return lambda text: text != value
        case MatchOp.REGEX:
            pattern = read(value)
            return lambda text: pattern.fullmatch(text) is not None
        case MatchOp.NOT_REGEX:
            pattern = read(value)
            return lambda text: pattern.fullmatch(text) is None


def matches_all(matchers: Sequence[Matcher], labels: Labels) -> bool:
    return all(predicate(matcher)(labels.get(matcher.name)) for matcher in matchers)
