"""The input series of a unit test, handed to the store as the test's time goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from trackside.exceptions import QueryError
from trackside.model.labels import Labels
from trackside.server.promql.engine import DEFAULT_LOOKBACK_MS
from trackside.server.promql.parser import parse
from trackside.server.promql.select import unwrapped
from trackside.server.promql.syntax import VectorSelector
from trackside.server.promql.walk import selectors_of
from trackside.server.regex import matches_all
from trackside.server.rules.scratch import ScratchStore
from trackside.server.rules.unit_tests.native import NativeHistogram
from trackside.server.rules.unit_tests.notation import Value, parse_metric, parse_values
from trackside.server.series import Float64s, Int64s, Series

# Of all series of a test together.
MAX_SAMPLES = 10_000_000


@dataclass(slots=True, eq=False)
class _Input:
    labels: Labels
    times_ms: Int64s
    values: Float64s
    loaded: int = 0


@dataclass(slots=True, eq=False)
class Inputs:
    floats: list[_Input] = field(default_factory=list)
    natives: dict[Labels, list[tuple[int, NativeHistogram]]] = field(default_factory=dict)
    """Kept apart from the store, since the engine computes with floats: they can be looked at as they are."""
    samples: int = 0
    now_ms: int = 0

    def add(self, metric: str, notation: str, start_ms: int, step_ms: int) -> None:
        """
        Raises:
            QueryError: not a series, or not values.
        """
        labels = parse_metric(metric)
        values = parse_values(notation)
        self.samples += len(values)
        if self.samples > MAX_SAMPLES:
            raise QueryError(f"more than {MAX_SAMPLES:,} values in one test")
        points = [(start_ms + place * step_ms, value) for place, value in enumerate(values)]
        floats = [(at_ms, value) for at_ms, value in points if isinstance(value, float)]
        if floats:
            times_ms = np.array([at_ms for at_ms, _ in floats], np.int64)
            self.floats.append(_Input(labels, times_ms, np.array([value for _, value in floats], np.float64)))
        natives = _hinted(points)
        if natives:
            self.natives.setdefault(labels, []).extend(natives)

    def load(self, store: ScratchStore, until_ms: int) -> None:
        """Samples up to and including `until_ms`: a rule must not see what is not yet there."""
        self.now_ms = until_ms
        for one in self.floats:
            end = int(np.searchsorted(one.times_ms, until_ms, side="right"))
            if end > one.loaded:
                part = slice(one.loaded, end)
                store.append_series("input", [Series(one.labels, one.times_ms[part], one.values[part])])
                one.loaded = end

    def natives_of(self, expr: str, time_ms: int) -> dict[Labels, NativeHistogram]:
        """The native histograms that a plain selector finds.

        Raises:
            QueryError: the expression computes with native histograms.
        """
        if not self.natives:
            return {}
        tree = parse(expr)
        plain = unwrapped(tree)
        found: dict[Labels, NativeHistogram] = {}
        for selector in selectors_of(tree):
            for labels, points in self.natives.items():
                if not matches_all(selector.matchers, labels):
                    continue
                if not isinstance(plain, VectorSelector):
                    raise QueryError(
                        f"{labels} has native histograms: they can be selected in a test, but not computed with",
                        query=expr,
                        start=selector.span.start,
                        end=selector.span.end,
                    )
                at_ms = (selector.at if isinstance(selector.at, int) else time_ms) - selector.offset_ms
                seen = [one for when, one in points if at_ms - DEFAULT_LOOKBACK_MS < when <= min(at_ms, self.now_ms)]
                if seen:
                    found[labels] = seen[-1]
        return found


def _hinted(points: Sequence[tuple[int, Value]]) -> list[tuple[int, NativeHistogram]]:
    """With what a store finds out when it takes one after the other: whether the counter went on."""
    found: list[tuple[int, NativeHistogram]] = []
    for at_ms, value in points:
        if not isinstance(value, NativeHistogram):
            continue
        if found and value.hint != "gauge":
            value = replace(value, hint="not_reset" if value.follows(found[-1][1]) else "reset")
        found.append((at_ms, value))
    return found
