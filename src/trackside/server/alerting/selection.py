"""Which of many lists of matchers hold for a label set, found without asking each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.regex import compiled_by_line, predicate

KeyT = TypeVar("KeyT")
Tests = list[tuple[str, Callable[[str], bool]]]
"""Names of labels, and what their values are asked."""

REMEMBERED = 100_000
"""Label sets whose answer is kept; an alert is asked about at each flush, and its labels never change."""


class Selection(Generic[KeyT]):
    """Keys, each with the matchers that must hold."""

    def __init__(self, entries: Iterable[tuple[KeyT, tuple[Matcher, ...]]]) -> None:
        self._by_pair: dict[tuple[str, str], list[tuple[int, KeyT, Tests]]] = {}
        """By one pair that a label set must have: most lists of matchers name a value."""
        self._others: list[tuple[int, KeyT, Tests]] = []
        self._known: dict[Labels, tuple[KeyT, ...]] = {}
        for number, (key, matchers) in enumerate(entries):
            by = next((one for one in matchers if one.op is MatchOp.EQUAL and one.value), None)
            if by is None:
                self._others.append((number, key, _tests(matchers)))
            else:
                # That it holds is known where the pair is found.
                tests = _tests(one for one in matchers if one is not by)
                self._by_pair.setdefault((by.name, by.value), []).append((number, key, tests))

    def holding(self, labels: Labels) -> tuple[KeyT, ...]:
        """In the order they were given."""
        if not (self._others or self._by_pair):
            return ()
        found = self._known.get(labels)
        if found is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            found = self._known[labels] = self._found(labels)
        return found

    def _found(self, labels: Labels) -> tuple[KeyT, ...]:
        values = dict(labels.pairs)
        candidates = list(self._others)
        for pair in labels.pairs:
            candidates += self._by_pair.get(pair, ())
        held: list[tuple[int, KeyT]] = []
        for number, key, tests in candidates:
            for name, test in tests:
                if not test(values.get(name, "")):
                    break
            else:
                held.append((number, key))
        return tuple(key for _, key in sorted(held, key=lambda entry: entry[0]))


def _tests(matchers: Iterable[Matcher]) -> Tests:
    return [(one.name, _test(one)) for one in matchers]


def _test(one: Matcher) -> Callable[[str], bool]:
    test = predicate(one, compiled_by_line)
    starts = beginnings(one.value) if one.op is MatchOp.REGEX else None
    if starts is None:
        return test
    # Ten times as fast as to ask the expression, and enough for most texts.
    return lambda text: text.startswith(starts) and test(text)


def beginnings(pattern: str) -> tuple[str, ...] | None:
    """With one of these a text begins that `pattern` matches as a whole; None: one cannot say so easily."""
    if "|" in pattern and any(char in pattern for char in "([\\"):
        return None
    found = tuple(_literal_beginning(part) for part in pattern.split("|"))
    return None if "" in found else found


def _literal_beginning(pattern: str) -> str:
    found: list[str] = []
    at = 0
    while at < len(pattern):
        char, width = pattern[at], 1
        if char == "\\" and pattern[at + 1 : at + 2] in _PUNCTUATION:
            char, width = pattern[at + 1], 2
        elif not (char.isalnum() or char in "_-:/ "):
            break
        at += width
        if pattern[at : at + 1] in _QUANTIFIERS:
            # It is about this character, which may be missing.
            break
        found.append(char)
    return "".join(found)


_PUNCTUATION = tuple(".-+*?()[]{}|/^$")
_QUANTIFIERS = tuple("*?{+")
