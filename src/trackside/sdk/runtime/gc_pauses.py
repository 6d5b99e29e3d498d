"""How long Python stood still to collect garbage, by generation."""

from __future__ import annotations

import gc
import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

from trackside.instruments.measured import Description
from trackside.instruments.registry import Registry
from trackside.model.metrics import MetricFamily, MetricType
from trackside.sdk.watch.context import WatchContext

BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
GENERATIONS = 3

Callback = Callable[[str, dict[str, int]], None]


class GcPauses:
    """One for a monitor. Listens as long as the monitor lives."""

    def __init__(self, registry: Registry) -> None:
        self._about = Description(
            "python_gc_pause_seconds",
            MetricType.HISTOGRAM,
            "Time the garbage collector stopped the program.",
            ("generation",),
            bounds=BOUNDS,
        )
        # The sum, then the count of each bucket; made now, since in the callback nothing may be.
        self._cells = [[0.0] + [0] * (len(BOUNDS) + 1) for _ in range(GENERATIONS)]
        callback = _callback(self._cells)
        gc.callbacks.append(callback)
        weakref.finalize(self, _forget, callback)
        registry.add_collector(self.collect, "pid")

    @classmethod
    def of(cls, context: WatchContext) -> GcPauses:
        return context.shared.the(cls, lambda: cls(context.registry))

    def collect(self) -> Iterator[MetricFamily]:
        samples = []
        for generation, cell in enumerate(self._cells):
            raw = tuple(cell)
            samples += self._about.samples((str(generation),), tuple(map(float, self._about.values(raw))))
        yield MetricFamily(self._about.name, self._about.kind, self._about.help, samples)


def _callback(cells: list[list[float]]) -> Callback:
    """It runs in the middle of whatever made the last object: so it makes none that the collector counts, and takes no
    lock, which that code may hold. It needs none either, since there is one collection at a time."""
    began_s = 0.0

    def listen(phase: str, info: dict[str, Any]) -> None:
        nonlocal began_s
        if phase == "start":
            began_s = perf_counter()
            return
        took_s = perf_counter() - began_s
        generation = info["generation"]
        if generation < GENERATIONS:
            cell = cells[generation]
            cell[0] += took_s
            cell[bisect_left(BOUNDS, took_s) + 1] += 1

    return listen


def _forget(callback: Callback) -> None:
    if callback in gc.callbacks:
        gc.callbacks.remove(callback)
