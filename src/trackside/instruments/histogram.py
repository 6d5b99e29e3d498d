"""Histograms: how values spread over buckets, for quantiles and averages."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import wraps
from inspect import iscoroutinefunction
from itertools import pairwise
from math import isfinite, isinf
from threading import RLock
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar

from trackside.instruments.instrument import Instrument
from trackside.instruments.measured import Raw, ReportError

DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: from a cached answer to a request somebody gave up on."""

_INFINITE = float("inf")
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def bucket_bounds(name: str, buckets: Iterable[float]) -> tuple[float, ...]:
    """Checked bounds without +Inf, which every histogram has.

    Raises:
        ValueError: they do not rise, or there are none.
    """
    try:
        bounds = tuple(float(bound) for bound in buckets)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: buckets are numbers, such as (0.1, 0.5, 1); got {buckets!r}") from None
    if bounds and isinf(bounds[-1]) and bounds[-1] > 0:
        bounds = bounds[:-1]
    if not bounds:
        raise ValueError(f"{name}: a histogram needs at least one bucket below +Inf")
    if not all(map(isfinite, bounds)) or any(low >= high for low, high in pairwise(bounds)):
        raise ValueError(f"{name}: buckets must rise, each above the one before it; got {bounds}")
    return bounds


class HistogramChild:
    __slots__ = ("_bounds", "_cell", "_lock", "_report")

    def __init__(self, bounds: tuple[float, ...], lock: RLock, report: ReportError) -> None:
        # The sum, then the count of each bucket: flat, so that a reader copies it in one step.
        self._cell: list[float] = [0.0] + [0] * (len(bounds) + 1)
        self._bounds = bounds
        self._lock = lock
        self._report = report

    def observe(self, value: float) -> None:
        """A finite number; anything else changes nothing and counts as an internal error."""
        try:
            if -_INFINITE < value < _INFINITE:
                bucket = bisect_left(self._bounds, value) + 1
                cell = self._cell
                with self._lock:
                    cell[0] += value
                    cell[bucket] += 1
                return
        except Exception:  # noqa: BLE001 - no number at all: not worth failing a request
            pass
        self._report("value")

    def time(self) -> Timer:
        """Seconds that a `with` block or a decorated function (async too) takes, also when it raises."""
        return Timer(self.observe)

    def raw(self) -> Raw:
        with self._lock:
            return tuple(self._cell)


class Timer:
    __slots__ = ("_began", "_observe")

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe
        self._began = 0.0

    def __enter__(self) -> Timer:
        self._began = perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._observe(perf_counter() - self._began)

    def __call__(self, function: FunctionT) -> FunctionT:
        observe = self._observe

        @wraps(function)
        def timed(*args: Any, **named: Any) -> Any:
            with Timer(observe):
                return function(*args, **named)

        @wraps(function)
        async def timed_async(*args: Any, **named: Any) -> Any:
            with Timer(observe):
                return await function(*args, **named)

        return timed_async if iscoroutinefunction(function) else timed  # type: ignore[return-value]


class Histogram(Instrument[HistogramChild]):
    def observe(self, value: float) -> None:
        """Of a histogram without labels."""
        self.labels().observe(value)

    def time(self) -> Timer:
        """Of a histogram without labels."""
        return self.labels().time()

    def _new_child(self) -> HistogramChild:
        return HistogramChild(self.description.bounds, self._lock, self._report)
