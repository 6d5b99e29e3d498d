"""Caches: hits, misses, and the rate of hits of the last minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from inspect import iscoroutinefunction
from time import monotonic
from typing import Any, TypeVar

from trackside.instruments.counter import Counter
from trackside.instruments.gauge import GaugeChild
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample
from trackside.sdk.families.maker import Maker
from trackside.sdk.watch.bounded import Bounded

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
Totals = dict[str, tuple[float, float]]
"""Hits and misses of each cache, since the beginning."""

MAX_CACHES = 100
WINDOW_S = 300.0
_SNAPSHOTS = 60


class Caches:
    """One for a monitor."""

    def __init__(self, make: Maker, now_s: Callable[[], float] = monotonic) -> None:
        self.hits = make.counter("cache_hits_total", "Look-ups that found what they sought.", ("cache_type",))
        self.misses = make.counter("cache_misses_total", "Look-ups that did not.", ("cache_type",))
        self.sizes = make.gauge("cache_size", "Entries in the cache.", ("cache_type",))
        self.guard = make.guard
        self._names = Bounded(MAX_CACHES)
        self._caches: dict[str, Cache] = {}
        self.lock = make.lock
        self._rate_name = make.named("cache_hit_rate")
        self._now_s = now_s
        self._last: tuple[float, Totals] = (now_s(), {})
        self._past: tuple[tuple[float, Totals], ...] = (self._last,)
        if isinstance(self.hits, Counter) and isinstance(self.misses, Counter):
            make.collector(self.hit_rates)

    def cache(self, name: object) -> Cache:
        label = self._names.of(str(name))
        found = self._caches.get(label)
        return found or self._caches.setdefault(label, Cache(self, label))

    def hit_rates(self) -> Iterator[MetricFamily]:
        """Of the last five minutes. A cache that nobody asked for so long has none.

        Taken at each scrape from the counters and what they were before, so that a hit costs one addition.
        """
        for cache in list(self._caches.values()):
            cache.catch_up()
        now_s, totals = self._now_s(), self._totals()
        # Those of the window; when the last scrape was before it, only that one.
        past = tuple(taken for taken in self._past if taken[0] >= now_s - WINDOW_S) or (self._last,)
        before = past[0][1]
        self._last = (now_s, totals)
        # Replaced, not changed: scrapes may overlap.
        self._past = (*past, self._last) if now_s - past[-1][0] >= WINDOW_S / _SNAPSHOTS else past
        samples = []
        for name, (hits, misses) in totals.items():
            hits_before, misses_before = before.get(name, (0.0, 0.0))
            found, sought = hits - hits_before, hits - hits_before + misses - misses_before
            if sought > 0:
                samples.append(Sample(self._rate_name, Labels.of(cache_type=name), found / sought))
        help = "Share of look-ups that found what they sought, of the last five minutes."
        yield MetricFamily(self._rate_name, MetricType.GAUGE, help, samples)

    def _totals(self) -> Totals:
        hits = {labels[0]: raw[0] for labels, raw in self.hits.rows()}
        misses = {labels[0]: raw[0] for labels, raw in self.misses.rows()}
        return {name: (hits.get(name, 0.0), misses.get(name, 0.0)) for name in {**hits, **misses}}


class Cache:
    def __init__(self, caches: Caches, name: str) -> None:
        self._caches = caches
        self._name = name
        self._hits = caches.hits.labels(name)
        self._misses = caches.misses.labels(name)
        self._followed: list[list[Any]] = []

    def hit(self, count: int = 1) -> None:
        self._hits.inc(count)

    def miss(self, count: int = 1) -> None:
        self._misses.inc(count)

    def found(self, value: object) -> None:
        """A hit, or a miss when `value` is None: `cache.found(value := redis.get(key))`."""
        (self._misses if value is None else self._hits).inc()

    @property
    def size(self) -> GaugeChild:
        """How many entries there are: `.set(n)`, or `.set_function(lambda: len(entries))`."""
        return self._caches.sizes.labels(self._name)

    def lookup(self, function: FunctionT) -> FunctionT:
        """Decorates the function that asks the cache: None is a miss."""

        @wraps(function)
        def counted(*args: Any, **named: Any) -> Any:
            value = function(*args, **named)
            self.found(value)
            return value

        @wraps(function)
        async def counted_async(*args: Any, **named: Any) -> Any:
            value = await function(*args, **named)
            self.found(value)
            return value

        return counted_async if iscoroutinefunction(function) else counted  # type: ignore[return-value]

    def follow(self, function: FunctionT) -> FunctionT:
        """Reads a function of `functools.lru_cache` at each scrape; it is returned as it is."""
        with self._caches.guard.shielded("follow a cached function"):
            info = function.cache_info()  # type: ignore[attr-defined]
            self._followed.append([function, info.hits, info.misses])
            self.size.set_function(self._entries)
        return function

    def _entries(self) -> float:
        # Other processes of the application ask for this, too: then they learn what was counted here.
        self.catch_up()
        return float(sum(function.cache_info().currsize for function, _, _ in self._followed))

    def catch_up(self) -> None:
        """Count what happened in followed functions since the last time."""
        with self._caches.lock:
            for followed in self._followed:
                function, hits, misses = followed
                info = function.cache_info()
                # Smaller than before: it was cleared.
                self._hits.inc(info.hits - hits if info.hits >= hits else info.hits)
                self._misses.inc(info.misses - misses if info.misses >= misses else info.misses)
                followed[1:] = info.hits, info.misses
