"""Histograms: how values spread over buckets, for quantiles and averages."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import pairwise
from math import isfinite, isinf
from time import perf_counter
from types import TracebackType

from trackside.instruments.around import FunctionT, around
from trackside.instruments.cells import Cells
from trackside.instruments.instrument import Child, Instrument
from trackside.instruments.layout import Cell, Layout, Shown, columns
from trackside.instruments.measured import LARGEST, Description, Raw, plain

DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: from a cached answer to a request somebody gave up on."""


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


class HistogramChild(Child):
    """Its cell is the sum, then the count of each bucket: flat, so that a reader copies it in one step."""

    __slots__ = ("_bounds",)

    def __init__(self, bounds: tuple[float, ...], cells: Cells, cell: Cell) -> None:
        super().__init__(cells, cell)
        self._bounds = bounds

    def observe(self, value: float) -> None:
        """A finite number; anything else changes nothing and counts as an internal error."""
        try:
            if type(value) is not float and type(value) is not int:
                value = plain(value)
            if -LARGEST <= value <= LARGEST:
                bucket = bisect_left(self._bounds, value) + 1
                with self._lock:
                    cell = self.cell
                    cell[0] += value
                    cell[bucket] += 1
                if self._cells.trace is not None:
                    self._remember(bucket, value)
                return
        except Exception:  # noqa: BLE001 - no number at all: not worth failing a request
            pass
        self._refuse()

    def add(self, raw: Raw) -> None:
        """Everything that another child of the same bounds has observed."""
        with self._lock:
            for at, number in enumerate(raw):
                self.cell[at] += number

    def time(self) -> Timer:
        """Seconds that a `with` block or a decorated function (async too) takes, also when it raises."""
        return Timer(self.observe)


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
        return around(function, lambda: Timer(observe))


class Histogram(Instrument[HistogramChild]):
    def __init__(self, description: Description, cells: Cells, max_series: int, layout: Layout | None = None) -> None:
        width = len(description.bounds) + 2
        own = layout or Layout(width, "sum", (Shown(description, columns(0, width)),))
        super().__init__(description, own, cells, max_series)

    def observe(self, value: float) -> None:
        """Of a histogram without labels."""
        self.labels().observe(value)

    def time(self) -> Timer:
        """Of a histogram without labels."""
        return self.labels().time()

    def _new_child(self, cell: Cell) -> HistogramChild:
        return HistogramChild(self.description.bounds, self._cells, cell)
