"""How long the engine takes for typical queries over frames in memory: 10 targets, 10,000 series, scraped every 15 s.

    python benchmarks/promql/engine_speed.py [--rounds N] [--steps N] [--holes]

Queries take turns, so that a busy machine is unfair to none of them; the median of the rounds counts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher
from trackside.server.promql.engine import Engine
from trackside.server.regex import matches_all
from trackside.server.series import HOLE, Frame

SCRAPE_MS = 15_000
TARGETS = 10
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf")
QUERIES = (
    "rate(latency_seconds_bucket[5m])",
    "sum(rate(latency_seconds_bucket[5m]))",
    "sum by (le) (rate(latency_seconds_bucket[5m]))",
    "histogram_quantile(0.95, sum by (le) (rate(latency_seconds_bucket[5m])))",
    "histogram_quantile(0.95, sum by (le, path) (rate(latency_seconds_bucket[5m])))",
    "topk(5, rate(latency_seconds_bucket[5m]))",
    "max_over_time(latency_seconds_bucket[1h])",
    "avg_over_time(latency_seconds_bucket[5m])",
    "quantile_over_time(0.9, latency_seconds_bucket{path=~'/path/1.'}[5m])",
    "predict_linear(latency_seconds_bucket[1h], 3600)",
    "latency_seconds_bucket",
    "latency_seconds_bucket / latency_seconds_bucket",
    "max_over_time(sum by (instance) (rate(latency_seconds_bucket[5m]))[30m:1m])",
)


class Frames:
    """A querier over whole frames, cut to the time asked for."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = frames
        self._columns = lru_cache(self._matching)

    def _matching(self, matchers: tuple[Matcher, ...]) -> list[list[int]]:
        """A store has an index for this; here it is not what is measured."""
        return [[i for i, labels in enumerate(f.labels) if matches_all(matchers, labels)] for f in self.frames]

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterator[Frame]:
        for frame, columns in zip(self.frames, self._columns(tuple(matchers)), strict=True):
            rows = slice(*np.searchsorted(frame.times_ms, [start_ms, end_ms + 1]).tolist())
            if len(columns) == len(frame.labels):
                yield Frame(frame.labels, frame.times_ms[rows], frame.values[rows], frame.has_markers)
            elif columns:
                labels = tuple(frame.labels[i] for i in columns)
                yield Frame(labels, frame.times_ms[rows], frame.values[rows, columns], frame.has_markers)

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        raise NotImplementedError

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        raise NotImplementedError

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        raise NotImplementedError


def fleet(series: int, samples: int, holes: bool) -> Frames:
    rng = np.random.default_rng(1)
    frames = []
    for target in range(TARGETS):
        labels = tuple(
            Labels.of(
                __name__="latency_seconds_bucket",
                job="shop",
                instance=f"10.0.0.{target}:8000",
                method=("GET", "POST")[histogram % 2],
                path=f"/path/{histogram // 2}",
                le=bound,
            )
            for histogram in range(series // TARGETS // len(BOUNDS))
            for bound in BOUNDS
        )
        own = rng.poisson(2.0, (samples, len(labels) // len(BOUNDS), len(BOUNDS)))
        values = np.cumsum(np.cumsum(own, axis=2), axis=0).reshape(samples, len(labels)).astype(float)
        if holes:
            values[rng.random(values.shape) < 0.01] = HOLE
        frames.append(Frame(labels, np.arange(samples) * SCRAPE_MS + target * 1000, values, has_markers=holes))
    return Frames(frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--holes", action="store_true", help="leave out one sample of a hundred")
    options = parser.parse_args()
    hour = 3_600_000 // SCRAPE_MS
    engine = Engine(fleet(options.series, options.steps + hour + 1, options.holes))
    start_ms, end_ms = 3_600_000, 3_600_000 + (options.steps - 1) * SCRAPE_MS
    times: dict[str, list[float]] = {query: [] for query in QUERIES}
    for _ in range(options.rounds):
        for query in QUERIES:
            begun_s = time.perf_counter()
            engine.range(query, start_ms, end_ms, SCRAPE_MS)
            times[query].append((time.perf_counter() - begun_s) * 1000)
    print(f"{options.series:,} series x {options.steps} steps at 15 s, median of {options.rounds} rounds")
    for query, found in times.items():
        print(f"{statistics.median(found):9.1f} ms  (best {min(found):7.1f})  {query}")


if __name__ == "__main__":
    main()
