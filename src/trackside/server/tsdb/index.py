"""Label index in memory: which series carry which labels, as bitmaps of series refs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from pyroaring import BitMap

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.regex import predicate

_LITERAL_ALTERNATIVES = re.compile(r"[\w\-/:, @]+(?:\|[\w\-/:, @]+)*", re.ASCII)
Pair = tuple[str, str]


class SeriesIndex:
    """Changed on the event loop and by maintenance, both under the store's lock; read without it from query threads:
    each step below is one operation on a dict or a bitmap, and those are atomic."""

    def __init__(self) -> None:
        self._refs: dict[Labels, int] = {}
        self._labels: dict[int, Labels] = {}
        self._postings: dict[str, dict[str, BitMap]] = {}
        self._all = BitMap()

    def __len__(self) -> int:
        return len(self._refs)

    @property
    def everything(self) -> BitMap:
        """Refs of all series."""
        return self._all.copy()

    def ref(self, labels: Labels) -> int | None:
        return self._refs.get(labels)

    def labels(self, ref: int) -> Labels | None:
        return self._labels.get(ref)

    def add(self, ref: int, labels: Labels) -> None:
        self._refs[labels] = ref
        self._labels[ref] = labels
        for name, value in labels.pairs:
            values = self._postings.get(name)
            if values is None:
                values = self._postings[name] = {}
            found = values.get(value)
            if found is None:
                # Made whole before it is seen: a query thread must not meet an empty bitmap.
                values[value] = BitMap((ref,))
            else:
                found.add(ref)
        self._all.add(ref)

    def remove(self, refs: Iterable[int]) -> list[Pair]:
        """The label pairs that no series carries any more."""
        orphans: list[Pair] = []
        for ref in refs:
            labels = self._labels.pop(ref)
            del self._refs[labels]
            self._all.discard(ref)
            for name, value in labels.pairs:
                values = self._postings[name]
                values[value].discard(ref)
                if not values[value]:
                    del values[value]
                    orphans.append((name, value))
                if not values:
                    del self._postings[name]
        return orphans

    def match(self, matchers: Sequence[Matcher]) -> BitMap:
        """Refs of the series that match all `matchers`.

        Raises:
            ValueError: a pattern is no RE2 expression.
        """
        selected: BitMap | None = None
        # Equality first: it is one lookup, and leaves little to the others.
        for matcher in sorted(matchers, key=lambda matcher: matcher.op is not MatchOp.EQUAL):
            found = self._match_one(matcher)
            selected = found if selected is None else selected & found
        return self.everything if selected is None else selected

    def values(self, name: str) -> list[tuple[str, BitMap]]:
        """Each value of label `name`, with the refs of the series that carry it."""
        return list(self._postings.get(name, {}).items())

    def names(self) -> list[tuple[str, list[BitMap]]]:
        """Each label name, with the refs of the series that carry each of its values."""
        return [(name, list(values.values())) for name, values in list(self._postings.items())]

    def _match_one(self, matcher: Matcher) -> BitMap:
        if matcher.op is MatchOp.EQUAL and matcher.value:
            return self._carrying(matcher.name, (matcher.value,))
        if matcher.op is MatchOp.REGEX and _LITERAL_ALTERNATIVES.fullmatch(matcher.value):
            return self._carrying(matcher.name, matcher.value.split("|"))
        matches: Callable[[str], bool] = predicate(matcher)
        values = self.values(matcher.name)
        if not matches(""):
            return BitMap.union(BitMap(), *[refs for value, refs in values if matches(value)])
        # A series without the label matches too, so those that do not match are the ones to look for.
        refused = [refs for value, refs in values if not matches(value)]
        return self.everything - BitMap.union(BitMap(), *refused)

    def _carrying(self, name: str, values: Iterable[str]) -> BitMap:
        postings = self._postings.get(name, {})
        return BitMap.union(BitMap(), *[refs for value in values if (refs := postings.get(value)) is not None])
