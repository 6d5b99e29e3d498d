"""Series in memory: what rules read and write where nothing may be kept, in unit tests and backtests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from trackside.model.labels import METRIC_NAME, Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.regex import matches_all
from trackside.server.series import Float64s, Frame, Int64s, Series, is_marker
from trackside.server.storage import Appended

_FIRST_ROOM = 16


@dataclass(slots=True, eq=False)
class _Column:
    """Samples of one series, in arrays that double when they are full."""

    labels: Labels
    times_ms: Int64s = field(default_factory=lambda: np.empty(_FIRST_ROOM, np.int64))
    values: Float64s = field(default_factory=lambda: np.empty(_FIRST_ROOM, np.float64))
    count: int = 0

    def extend(self, times_ms: Int64s, values: Float64s) -> None:
        end = self.count + len(times_ms)
        if end > len(self.times_ms):
            room = max(end, 2 * len(self.times_ms))
            self.times_ms = np.concatenate((self.times_ms[: self.count], np.empty(room - self.count, np.int64)))
            self.values = np.concatenate((self.values[: self.count], np.empty(room - self.count, np.float64)))
        self.times_ms[self.count : end] = times_ms
        self.values[self.count : end] = values
        self.count = end

    def frame(self, start_ms: int, end_ms: int) -> Frame | None:
        known = self.times_ms[: self.count]
        first, behind = np.searchsorted(known, start_ms), np.searchsorted(known, end_ms, side="right")
        if first == behind:
            return None
        values = self.values[first:behind, None]
        return Frame((self.labels,), known[first:behind], values, bool(is_marker(values).any()))


class ScratchStore:
    """Appender and querier at once. Samples of a series must come in order; others are refused, as a store would."""

    def __init__(self) -> None:
        self._columns: list[_Column] = []
        self._places: dict[Labels, int] = {}
        self._by_name: dict[str, list[_Column]] = {}

    def refs(self, labels: Sequence[Labels]) -> Int64s:
        return np.array([self._place(one) for one in labels], np.int64)

    def append_row(self, group: str, time_ms: int, refs: Int64s, values: Float64s) -> Appended:
        at_ms = np.array([time_ms], np.int64)
        taken = 0
        for place, ref in enumerate(refs.tolist()):
            taken += self._append(self._columns[ref], at_ms, values[place : place + 1])
        return Appended(taken, duplicate=len(refs) - taken)

    def append_series(self, group: str, series: Sequence[Series]) -> Appended:
        taken = wanted = 0
        for one in series:
            wanted += len(one.times_ms)
            taken += self._append(self._columns[self._place(one.labels)], one.times_ms, one.values)
        return Appended(taken, duplicate=wanted - taken)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterator[Frame]:
        for column in self._matching(matchers):
            if (frame := column.frame(start_ms, end_ms)) is not None:
                yield frame

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        found = (column for column in self._matching(matchers) if column.frame(start_ms, end_ms) is not None)
        return sorted(column.labels for column in found)

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        return sorted({name for labels in self.series(matchers, start_ms, end_ms) for name, _ in labels})

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        return sorted({labels.get(name) for labels in self.series(matchers, start_ms, end_ms)} - {""})

    def _place(self, labels: Labels) -> int:
        place = self._places.get(labels)
        if place is None:
            place = self._places[labels] = len(self._columns)
            column = _Column(labels)
            self._columns.append(column)
            self._by_name.setdefault(labels.get(METRIC_NAME), []).append(column)
        return place

    def _append(self, column: _Column, times_ms: Int64s, values: Float64s) -> int:
        if column.count:
            late = times_ms <= column.times_ms[column.count - 1]
            if late.any():
                times_ms, values = times_ms[~late], values[~late]
        column.extend(times_ms, values)
        return len(times_ms)

    def _matching(self, matchers: Sequence[Matcher]) -> list[_Column]:
        names = [each.value for each in matchers if each.name == METRIC_NAME and each.op is MatchOp.EQUAL]
        candidates = self._by_name.get(names[0], []) if names else self._columns
        return [column for column in candidates if matches_all(matchers, column.labels)]
