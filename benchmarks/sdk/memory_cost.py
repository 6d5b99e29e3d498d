"""What one combination of method, path and status costs in memory, beside a labelled histogram of prometheus_client.

    python benchmarks/sdk/memory_cost.py                 table
    python benchmarks/sdk/memory_cost.py --json F        and all rows as JSON
    python benchmarks/sdk/memory_cost.py --check         exit 1 when the promise does not hold

How it measures: tracemalloc around a thousand of each, with labels made at run time, as those of requests are. One of
our cells holds what is counted of a request: its duration, the count, the bytes in and out.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from promise import Promise, arguments, finished

from trackside.instruments.registry import Registry
from trackside.sdk.request_metrics import RequestMetrics

LIMIT_BYTES = 600.0
CELLS = 1_000
_CELL = "trackside: request cell"
_PLACED = "trackside: request cell, as a middleware keeps it"
_CHILD = "prometheus_client: Histogram child"


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    bytes: float


def bytes_of_each(make: Callable[[int], object]) -> float:
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    kept = [make(number) for number in range(CELLS)]
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The list that keeps them is the benchmark's.
    return (after - before - sys.getsizeof(kept)) / CELLS


def cell_bytes() -> float:
    metrics = RequestMetrics(Registry(max_series=2 * CELLS))

    def make(number: int) -> object:
        return filled(metrics, metrics.cell("GET", f"/items/{number}/{{id}}", 200))

    make(CELLS)
    return bytes_of_each(make)


def kept_cell_bytes() -> float:
    """With its entry in the look-up by the identity of the route."""
    from trackside.sdk.request_metrics import CellCache

    metrics = RequestMetrics(Registry(max_series=2 * CELLS))
    cache = CellCache(metrics)
    routes = [object() for _ in range(CELLS + 1)]

    def make(number: int) -> object:
        cell = filled(metrics, metrics.cell("GET", f"/items/{number}/{{id}}", 200))
        cache.keep((id(routes[number]), "GET", 200), cell, routes[number])
        return cell

    make(CELLS)
    return bytes_of_each(make)


def filled(metrics: RequestMetrics, cell: object) -> object:
    """As one looks that has counted: numbers of their own, which small ones would not be."""
    for took_s in (0.0031, 0.042, 0.31):
        for _ in range(400):
            metrics.count(cell, took_s, 1_234, 56_789)  # type: ignore[arg-type]
    return cell


def child_bytes() -> float:
    from prometheus_client import CollectorRegistry, Histogram

    histogram = Histogram(
        "http_request_duration_seconds", "", ("method", "path", "status"), registry=CollectorRegistry()
    )

    def make(number: int) -> object:
        child = histogram.labels("GET", f"/items/{number}/{{id}}", "200")
        for took_s in (0.0031, 0.042, 0.31):
            child.observe(took_s)
        return child

    make(CELLS)
    return bytes_of_each(make)


def table(rows: Iterable[Row]) -> Iterable[str]:
    yield f"{'':56}{'bytes':>8}"
    for row in rows:
        yield f"  {row.what:54}{row.bytes:8.0f}"


def main() -> int:
    args = arguments(__doc__, rounds=1).parse_args()
    rows = [Row(_CELL, cell_bytes()), Row(_PLACED, kept_cell_bytes()), Row(_CHILD, child_bytes())]
    return finished(args, table(rows), rows, [Promise("bytes of a request cell", LIMIT_BYTES, rows[0].bytes)])


if __name__ == "__main__":
    sys.exit(main())
