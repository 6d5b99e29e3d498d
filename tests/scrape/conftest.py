"""A store that remembers what it was given, and a clock in the test's hand."""

import math

import numpy as np
import pytest

from trackside.exceptions import LimitError
from trackside.model.labels import Labels
from trackside.server.series import is_stale
from trackside.server.storage import Appended


class Store:
    """An appender that checks what every caller has promised it."""

    def __init__(self, max_series=1_000_000):
        self.max_series = max_series
        self.ids = {}
        self.rows = []
        """(group, time, {labels: value}), newest last; None for a staleness marker."""
        self.series = []
        """(labels, times, values) of `append_series`."""

    def refs(self, labels):
        new = [each for each in labels if each not in self.ids]
        if len(self.ids) + len(new) > self.max_series:
            raise LimitError(f"more than {self.max_series} series")
        return np.array([self.ids.setdefault(each, len(self.ids)) for each in labels], dtype=np.int64)

    def append_row(self, group, time_ms, refs, values):
        assert refs.shape == values.shape
        assert refs.dtype == np.int64
        assert values.dtype == np.float64
        assert len(set(refs.tolist())) == len(refs), "a series twice in a row"
        names = {ref: labels for labels, ref in self.ids.items()}
        markers = is_stale(values)
        row = {names[r]: None if m else v for r, v, m in zip(refs.tolist(), values.tolist(), markers, strict=True)}
        self.rows.append((group, time_ms, row))
        return Appended(len(refs))

    def append_series(self, group, series):
        self.series += [(each.labels, each.times_ms.tolist(), each.values.tolist()) for each in series]
        return Appended(sum(len(each.times_ms) for each in series))

    def last(self, name):
        """Values of the newest row by label set, for the series of one name. Target labels are left out."""
        return {
            str(labels.without("job", "instance", "__name__")) or "{}": value
            for labels, value in self.rows[-1][2].items()
            if labels.get("__name__") == name
        }

    def value(self, name):
        """Of the only series of that name in the newest row; NaN when there is none."""
        found = list(self.last(name).values())
        assert len(found) <= 1
        return found[0] if found else math.nan


class HandClock:
    def __init__(self):
        self.ms = 0

    def now_ms(self):
        return self.ms

    def monotonic_s(self):
        return self.ms / 1000


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def small_store():
    return Store(max_series=20)


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def target_labels():
    return Labels.of(job="shop", instance="a:1")
