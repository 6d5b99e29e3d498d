"""Which of many lists of matchers hold for a label set, found without asking each of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.regex import compiled_by_line, predicate

KeyT = TypeVar("KeyT")
Tests = list[tuple[str, Callable[[str], bool]]]
"""Names of labels, and what their values are asked."""
_Entry = tuple[int, KeyT, Tests]

REMEMBERED = 100_000
"""Label sets whose answer is kept; an alert is asked about at each flush, and its labels never change."""


class _Named(NamedTuple, Generic[KeyT]):
    by_value: dict[str, list[_Entry[KeyT]]]
    """Most lists of matchers name one."""
    by_beginning: dict[int, dict[str, list[_Entry[KeyT]]]]
    """By how the value begins; these by their lengths."""


class Selection(Generic[KeyT]):
    """Keys, each with the matchers that must hold."""

    def __init__(self, entries: Iterable[tuple[KeyT, tuple[Matcher, ...]]]) -> None:
        self._by_name: dict[str, _Named[KeyT]] = {}
        """By one label that a label set must have."""
        self._others: list[_Entry[KeyT]] = []
        self._known: dict[Labels, tuple[KeyT, ...]] = {}
        self._answers: dict[tuple[KeyT, ...], tuple[KeyT, ...]] = {}
        """One object for those that are equal: there are few, and many label sets."""
        for number, (key, matchers) in enumerate(entries):
            self._put(number, key, matchers)

    def _put(self, number: int, key: KeyT, matchers: tuple[Matcher, ...]) -> None:
        for by in matchers:
            if by.op is MatchOp.EQUAL and by.value:
                # That it holds is known where the pair is found.
                tests = _tests(one for one in matchers if one is not by)
                self._named(by.name).by_value.setdefault(by.value, []).append((number, key, tests))
                return
        entry = (number, key, _tests(matchers))
        for by in matchers:
            starts = beginnings(by.value) if by.op is MatchOp.REGEX else None
            if starts is not None:
                by_length = self._named(by.name).by_beginning
                for start in set(starts):
                    by_length.setdefault(len(start), {}).setdefault(start, []).append(entry)
                return
        self._others.append(entry)

    def _named(self, name: str) -> _Named[KeyT]:
        return self._by_name.setdefault(name, _Named({}, {}))

    def holding(self, labels: Labels) -> tuple[KeyT, ...]:
        """In the order they were given."""
        found = self._known.get(labels)
        if found is None:
            if not (self._others or self._by_name):
                return ()
            if len(self._known) >= REMEMBERED:
                self._known.clear()
                self._answers.clear()
            found = self._found(labels)
            found = self._known[labels] = self._answers.setdefault(found, found)
        return found

    def _found(self, labels: Labels) -> tuple[KeyT, ...]:
        values = dict(labels.pairs)
        # By number: of several ways in which a value may begin, more than one may hold.
        held: dict[int, KeyT] = {}
        for number, key, tests in self._candidates(values):
            for name, test in tests:
                if not test(values.get(name, "")):
                    break
            else:
                held[number] = key
        return tuple(held[number] for number in sorted(held)) if held else ()

    def _candidates(self, values: dict[str, str]) -> Iterable[_Entry[KeyT]]:
        candidates = list(self._others)
        # The few names that are asked about, and not all that a label set has.
        for name in self._by_name.keys() & values.keys():
            value, named = values[name], self._by_name[name]
            candidates += named.by_value.get(value, ())
            for length, by_start in named.by_beginning.items():
                candidates += by_start.get(value[:length], ())
        return candidates


def _tests(matchers: Iterable[Matcher]) -> Tests:
    return [(one.name, _test(one)) for one in matchers]


def _test(one: Matcher) -> Callable[[str], bool]:
    # Ten times as fast as to ask the expression, and most are no more than a list: `warning|info`.
    listed = frozenset(one.value.split("|")) if _PLAIN.fullmatch(one.value) else None
    if listed is None or one.op is not MatchOp.REGEX:
        return predicate(one, compiled_by_line)
    return listed.__contains__


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


_PLAIN = re.compile(r"[\w :/,=@|-]*", re.ASCII)
"""An expression that is texts and bars only."""
_PUNCTUATION = tuple(".-+*?()[]{}|/^$")
_QUANTIFIERS = tuple("*?{+")
