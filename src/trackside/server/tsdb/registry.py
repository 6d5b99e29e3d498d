"""Gives each series its number, keeps the label index, and tells the journal about both."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from trackside.exceptions import LimitError
from trackside.model.labels import Labels
from trackside.server.series import Int64s
from trackside.server.tsdb.catalogue import Pair, PairRow, SeriesRow
from trackside.server.tsdb.index import SeriesIndex

_RETIRED_KEPT = 100_000


class SeriesRegistry:
    """Changed under the store's lock.

    A ref outlives its samples: who scrapes a target that was down for the whole retention may still hold it. So a
    series that is dropped is only retired, and comes back under the same ref.
    """

    def __init__(self, index: SeriesIndex, max_series: int, write: Callable[[PairRow | SeriesRow], None]) -> None:
        self._index = index
        self._max_series = max_series
        self._write = write
        self._pair_ids: dict[Pair, int] = {}
        self._pairs: dict[Pair, Pair] = {}
        self._retired: dict[Labels, int] = {}
        self._retired_labels: dict[int, Labels] = {}
        self._next_ref = itertools.count(1)
        self._next_pair = itertools.count(1)

    def load(self, pairs: dict[int, Pair], series: Iterable[tuple[int, Labels]], first_free_ref: int) -> None:
        """What the catalogue has, at start-up. Refs below `first_free_ref` are not given again."""
        for pair_id, pair in pairs.items():
            self._pair_ids[pair], self._pairs[pair] = pair_id, pair
        self._next_pair = itertools.count(max(pairs, default=0) + 1)
        for ref, labels in series:
            self._index.add(ref, labels)
        self._next_ref = itertools.count(first_free_ref)

    def refs(self, labels: Sequence[Labels]) -> Int64s:
        """
        Raises:
            LimitError: there would be too many series.
        """
        lookup = self._index.ref
        return np.array(
            [found if (found := lookup(each)) is not None else self._create(each) for each in labels], np.int64
        )

    def require(self, refs: Int64s) -> None:
        """Bring back the retired ones among `refs`.

        Raises:
            ValueError: a ref was never given, or retired long ago.
        """
        for ref in refs.tolist():
            if self._index.labels(ref) is None:
                labels = self._retired_labels.get(ref)
                if labels is None:
                    raise ValueError(f"there is no series with the ref {ref}")
                self._revive(labels, ref)

    def retire(self, refs: Sequence[int]) -> tuple[list[int], Sequence[int]]:
        """Drop series: ids of the label pairs and refs to delete from the catalogue."""
        for ref in refs:
            labels = self._index.labels(ref)
            if labels is not None:
                self._retired[labels] = ref
                self._retired_labels[ref] = labels
        orphans = self._index.remove(refs)
        while len(self._retired) > _RETIRED_KEPT:
            del self._retired_labels[self._retired.pop(next(iter(self._retired)))]
        for pair in orphans:
            del self._pairs[pair]
        return [self._pair_ids.pop(pair) for pair in orphans], refs

    def _create(self, labels: Labels) -> int:
        retired = self._retired.get(labels)
        if retired is not None:
            self._revive(labels, retired)
            return retired
        if len(self._index) >= self._max_series:
            raise LimitError(f"storage.max_series is {self._max_series}, and {labels} would be one more series")
        ref = next(self._next_ref)
        self._add(ref, labels)
        return ref

    def _revive(self, labels: Labels, ref: int) -> None:
        del self._retired[labels], self._retired_labels[ref]
        self._add(ref, labels)

    def _add(self, ref: int, labels: Labels) -> None:
        # One object for each pair: ten thousand series with the same job must not hold its name ten thousand times.
        shared = tuple([self._shared(pair) for pair in labels.pairs])
        self._index.add(ref, Labels(shared))
        self._write(SeriesRow(ref, tuple([self._pair_ids[pair] for pair in shared])))

    def _shared(self, pair: Pair) -> Pair:
        known = self._pairs.get(pair)
        if known is None:
            known = (sys.intern(pair[0]), pair[1])
            self._pairs[known] = known
            self._pair_ids[known] = next(self._next_pair)
            self._write(PairRow(self._pair_ids[known], known))
        return known
