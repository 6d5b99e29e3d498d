"""Stored history with the series that rules would have written laid over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trackside.model.labels import METRIC_NAME, Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.rules.scratch import ScratchStore
from trackside.server.series import Frame
from trackside.server.storage import Querier


class Overlay:
    """`Querier` over both. Of metrics that the rules write, only what they write now counts: they may have been other
    rules when history was recorded."""

    def __init__(self, history: Querier, written: ScratchStore, names: frozenset[str]) -> None:
        self._history = history
        self._written = written
        self._without = tuple(Matcher(METRIC_NAME, MatchOp.NOT_EQUAL, name) for name in sorted(names))
        self._names = names

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterator[Frame]:
        if not self._only_written(matchers):
            yield from self._history.select((*matchers, *self._without), start_ms, end_ms)
        yield from self._written.select(matchers, start_ms, end_ms)

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        history = self._history.series((*matchers, *self._without), start_ms, end_ms)
        return sorted({*history, *self._written.series(matchers, start_ms, end_ms)})

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        history = self._history.label_names(matchers, start_ms, end_ms)
        return sorted({*history, *self._written.label_names(matchers, start_ms, end_ms)})

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        history = self._history.label_values(name, matchers, start_ms, end_ms)
        return sorted({*history, *self._written.label_values(name, matchers, start_ms, end_ms)})

    def _only_written(self, matchers: Sequence[Matcher]) -> bool:
        return any(
            each.name == METRIC_NAME and each.op is MatchOp.EQUAL and each.value in self._names for each in matchers
        )
