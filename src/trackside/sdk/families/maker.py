"""Makes the instruments of ready-made families, and never fails: they are made in the middle of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar, cast

from trackside.instruments.counter import Counter
from trackside.instruments.gauge import Gauge, Mode
from trackside.instruments.histogram import DEFAULT_BUCKETS, Histogram
from trackside.instruments.registry import Collector, Registry
from trackside.sdk.guard import Guard
from trackside.sdk.switched_off import NO_INSTRUMENT
from trackside.sdk.watch.context import WatchContext

T = TypeVar("T")


class Maker:
    """A name that the application has taken with other labels gives an instrument that does nothing: the
    application's own stays, and the clash is logged and counted."""

    def __init__(self, registry: Registry, guard: Guard, prefix: str = "") -> None:
        self.guard = guard
        self.lock = registry.lock
        """One lock for all, re-entrant, so that what is counted within it cannot wait for another."""
        self._registry = registry
        self._prefix = prefix

    @classmethod
    def of(cls, context: WatchContext) -> Maker:
        return cls(context.registry, context.guard, context.prefix)

    def counter(self, name: str, help: str, labels: Sequence[str] = ()) -> Counter:
        return self._made(lambda: self._registry.counter(self.named(name), help, labels), name)

    def gauge(self, name: str, help: str, labels: Sequence[str] = (), mode: Mode | None = None) -> Gauge:
        return self._made(lambda: self._registry.gauge(self.named(name), help, labels, mode=mode), name)

    def histogram(
        self, name: str, help: str, labels: Sequence[str] = (), buckets: Iterable[float] = DEFAULT_BUCKETS
    ) -> Histogram:
        bounds = tuple(buckets)
        return self._made(lambda: self._registry.histogram(self.named(name), help, labels, buckets=bounds), name)

    def collector(self, collect: Collector) -> None:
        self._registry.add_collector(collect)

    def named(self, name: str) -> str:
        return name if name.startswith(self._prefix) else self._prefix + name

    def _made(self, make: Callable[[], T], name: str) -> T:
        try:
            return make()
        except ValueError as error:
            self.guard.failed(f"make the family {name}", error)
            return cast(T, NO_INSTRUMENT)
