"""Adds up the cells of many files quickly: what stands where is worked out once, and then whole files are added."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import add, itemgetter

from trackside.instruments.layout import Layout
from trackside.instruments.measured import LabelValues
from trackside.instruments.shared.records import CellAt
from trackside.model.cheap_typing import NamedTuple

Numbers = Sequence[float]
Pick = Callable[[Sequence[float]], tuple[float, ...]]

NOTHING = -1
"""Where the doubles of every source have a zero: behind all that were read."""


class Source(NamedTuple):
    """The cells of one table in one file."""

    places: Sequence[CellAt]
    """Of one and the same file always the same sequence, which may have become longer."""
    doubles: Sequence[float]
    """All of the file, and a zero."""
    has_hidden: bool
    """Whether there may be cells that are not shown."""


class _Picks(NamedTuple):
    """For one file, as long as nothing is added to it."""

    places: int
    keys: int
    numbers: Pick


_NONE = _Picks(0, 0, tuple)


class Adding:
    """Of one table."""

    def __init__(self, layout: Layout) -> None:
        self._width = layout.added_up
        self._keys: dict[LabelValues, int] = {}
        self._files: list[Sequence[CellAt]] = []
        self._picks: list[_Picks] = []

    def total(self, sources: Sequence[Source]) -> Mapping[LabelValues, Numbers]:
        files = [source.places for source in sources]
        if len(files) != len(self._files) or any(a is not b for a, b in zip(files, self._files, strict=True)):
            # A file is gone, has come or was made anew: perhaps with it the only one that had a key.
            self._keys, self._files, self._picks = {}, files, [_NONE] * len(files)
        if any(source.has_hidden for source in sources):
            return _slowly(self._width, sources)
        for source, picks in zip(sources, self._picks, strict=True):
            for place in source.places[picks.places :]:
                self._keys.setdefault(place.key, len(self._keys))
        self._picks = [self._picked(*both) for both in zip(sources, self._picks, strict=True)]
        flat: tuple[float, ...] = ()
        for source, picks in zip(sources, self._picks, strict=True):
            numbers = picks.numbers(source.doubles)
            flat = tuple(map(add, flat, numbers)) if flat else numbers
        # One iterator many times: each cell takes as many numbers from it as it has.
        return dict(zip(self._keys, zip(*[iter(flat)] * self._width, strict=True), strict=True))

    def _picked(self, source: Source, known: _Picks) -> _Picks:
        if known is not _NONE and known.places == len(source.places) and known.keys == len(self._keys):
            return known
        begins = [NOTHING] * len(self._keys)
        for key, at, _ in source.places:
            begins[self._keys[key]] = at
        width = range(self._width)
        numbers = [at + more if at != NOTHING else NOTHING for at in begins for more in width]
        return _Picks(len(source.places), len(self._keys), _picking(numbers))


def _picking(places: Sequence[int]) -> Pick:
    if len(places) > 1:
        return itemgetter(*places)
    return lambda doubles: tuple(doubles[at] for at in places)


def _slowly(added_up: int, sources: Sequence[Source]) -> Mapping[LabelValues, Numbers]:
    """With cells that are not shown any more."""
    found: dict[LabelValues, Numbers] = {}
    for source in sources:
        for key, at, width in source.places:
            if source.doubles[at + width]:
                cell = tuple(source.doubles[at : at + added_up])
                known = found.get(key)
                found[key] = cell if known is None else tuple(map(add, known, cell))
    return found
