"""Random frames, and a slow way to see their windows."""

from __future__ import annotations

import numpy as np
import pytest

from trackside.server.kernels.windows import Bounds, batches
from trackside.server.series import HOLE, STALE, is_marker


class SlowWindows:
    """One column and one window at a time, straight from the definition."""

    def __init__(self, times_ms, values, bounds):
        self.times_ms, self.values, self.bounds = times_ms, values, bounds

    def samples(self, step, column):
        """Times and values of the samples in (end - range, end]."""
        end_ms = self.bounds.ends_ms[step]
        inside = (self.times_ms > end_ms - self.bounds.range_ms) & (self.times_ms <= end_ms)
        inside &= ~is_marker(np.ascontiguousarray(self.values[:, column]))
        return self.times_ms[inside], self.values[inside, column]


@pytest.fixture
def random_frame():
    def make(seed, rows=60, columns=7, holes=0.0, whole_numbers=False):
        rng = np.random.default_rng(seed)
        times_ms = np.cumsum(rng.integers(500, 20_000, rows))
        values = rng.normal(100, 50, (rows, columns))
        if whole_numbers:
            values = np.floor(values)
        if holes:
            # The first columns stay whole, so that both layouts occur in one frame.
            spots = rng.random((rows, columns)) < holes
            spots[:, :2] = False
            values[spots] = np.where(rng.random(spots.sum()) < 0.8, HOLE, STALE)
        ends_ms = np.arange(0, times_ms[-1] + 60_000, 17_000)
        return times_ms, values, Bounds(ends_ms, int(rng.integers(1_000, 150_000)))

    return make


@pytest.fixture
def compare():
    def run(frame, kernel, slow, least=1, rtol=1e-12):
        """`kernel` over all windows equals `slow(times, values, end_ms, range_ms)` of each."""
        times_ms, values, bounds = frame
        shape = (len(bounds.ends_ms), values.shape[1])
        result, present = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
        with np.errstate(all="ignore"):
            for columns, windows in batches(times_ms, values, True, bounds):
                result[:, columns] = kernel(windows)
                present[:, columns] = windows.present(least)
        reference = SlowWindows(times_ms, values, bounds)
        for step in range(shape[0]):
            for column in range(shape[1]):
                times, samples = reference.samples(step, column)
                assert present[step, column] == (len(samples) >= least)
                if len(samples) >= least:
                    wanted = slow(times, samples, bounds.ends_ms[step], bounds.range_ms)
                    np.testing.assert_allclose(result[step, column], wanted, rtol=rtol, atol=1e-12)

    return run
