"""What is counted of HTTP requests: flat cells by method, path template and status, and the families made of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from trackside.instruments.histogram import DEFAULT_BUCKETS, bucket_bounds
from trackside.instruments.measured import OVERFLOW, Description, Row
from trackside.instruments.registry import MAX_SERIES, Registry
from trackside.model.metrics import MetricType

UNMATCHED = "(unmatched)"
"""The path of requests that no route took: scanners ask for thousands."""
OTHER_METHOD = "_OTHER"
KNOWN_METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"),
)
CLIENT_GONE = 499
"""The status of a request whose client left before the end of the answer, as nginx has it."""

Cell = list[float]
"""Sum of the durations, bytes received, bytes sent, then the number of requests in each bucket."""
CellKey = tuple[str, str, str]
"""Method, path, status: as they stand in the labels."""
SUM, RECEIVED, SENT, BUCKETS = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class RequestMetricsOptions:
    """How the families are named and what is left out.

    Raises:
        ValueError: from the registry, for names that are none, and for buckets that do not rise.
    """

    prefix: str = ""
    """Before each name: "railgun_" gives `railgun_http_requests_total`."""
    method_label: str = "method"
    path_label: str = "path"
    status_label: str = "status"
    buckets: tuple[float, ...] = DEFAULT_BUCKETS
    """Upper bounds of the durations in seconds."""
    excluded_paths: tuple[str, ...] = ()
    """Not counted. A path, or everything that begins so: "/static/*"."""
    sizes: bool = True
    """Whether to show the bytes of bodies."""
    max_series: int = MAX_SERIES
    """Combinations of method, path and status; those beyond share one whose labels say "(overflow)"."""
    path_template: Callable[[Mapping[str, Any]], str | None] | None = None
    """Asked first for the template of an ASGI scope, at the end of its request. None: ask the framework's router."""


class InFlight(Protocol):
    """A request that has begun and not ended."""

    def labels(self) -> tuple[str, str]:
        """Its method and path template, as far as known at this moment."""
        ...


class RequestMetrics:
    """One for a process: every watched app counts into it."""

    def __init__(self, registry: Registry, options: RequestMetricsOptions | None = None) -> None:
        self.options = options or RequestMetricsOptions()
        self.bounds = bucket_bounds("buckets", self.options.buckets)
        self.lock = registry.lock
        self.count_error = registry.count_error
        self.in_flight: set[InFlight] = set()
        self._cells: dict[CellKey, Cell] = {}
        for family in _families(self):
            registry.register(family)

    def cell(self, method: str, path: str, status: int | str) -> Cell:
        """Where requests of these labels are counted."""
        key = (method if method in KNOWN_METHODS else OTHER_METHOD, _written(path), str(status))
        with self.lock:
            cell = self._cells.get(key)
            if cell is None:
                if len(self._cells) >= self.options.max_series:
                    key = (OVERFLOW, OVERFLOW, OVERFLOW)
                cell = self._cells.setdefault(key, [0.0, 0, 0] + [0] * (len(self.bounds) + 1))
            return cell

    def count(self, cell: Cell, took_s: float, received: int, sent: int) -> None:
        """One request that ended."""
        bucket = bisect_left(self.bounds, took_s) + BUCKETS
        with self.lock:
            cell[SUM] += took_s
            cell[RECEIVED] += received
            cell[SENT] += sent
            cell[bucket] += 1

    def cells(self) -> list[tuple[CellKey, tuple[float, ...]]]:
        with self.lock:
            return [(key, tuple(cell)) for key, cell in self._cells.items()]


class CellCache:
    """Straight from what a middleware has in its hands to the cell, without making labels. Bounded."""

    def __init__(self, metrics: RequestMetrics) -> None:
        self.cells: dict[object, Cell] = {}
        self._kept: dict[int, object] = {}
        # Statuses come in many texts for one label; beyond a few of them it is someone's random input.
        self._limit = 4 * metrics.options.max_series

    def keep(self, key: object, cell: Cell, owner: object = None) -> None:
        """`owner` is what the key holds the id of: kept, so that the id stays its own."""
        if len(self.cells) < self._limit:
            self._kept[id(owner)] = owner
            self.cells[key] = cell


@dataclass(frozen=True, slots=True, eq=False)
class _Family:
    description: Description
    read: Callable[[], Iterable[Row]]

    def rows(self) -> Iterable[Row]:
        return self.read()


def _families(metrics: RequestMetrics) -> list[_Family]:
    options = metrics.options
    by_path = (options.method_label, options.path_label)
    by_status = (*by_path, options.status_label)

    def about(name: str, kind: MetricType, help: str, labels: tuple[str, ...]) -> Description:
        bounds = metrics.bounds if kind is MetricType.HISTOGRAM else ()
        return Description(f"{options.prefix}http_{name}", kind, help, labels, bounds=bounds)

    counter, gauge, histogram = MetricType.COUNTER, MetricType.GAUGE, MetricType.HISTOGRAM
    families = [
        _Family(about("requests_total", counter, "HTTP requests answered.", by_status), lambda: _counts(metrics)),
        _Family(
            about("request_duration_seconds", histogram, "Time until the last byte of an answer.", by_status),
            lambda: _durations(metrics),
        ),
        _Family(
            about("requests_in_progress", gauge, "HTTP requests being answered.", by_path),
            lambda: _in_progress(metrics),
        ),
    ]
    if options.sizes:
        families += [
            _Family(
                about("request_size_bytes_total", counter, "Bytes of request bodies.", by_path),
                lambda: _sizes(metrics, RECEIVED),
            ),
            _Family(
                about("response_size_bytes_total", counter, "Bytes of response bodies.", by_path),
                lambda: _sizes(metrics, SENT),
            ),
        ]
    return families


def _counts(metrics: RequestMetrics) -> Iterable[Row]:
    return [(key, (sum(cell[BUCKETS:]),)) for key, cell in metrics.cells()]


def _durations(metrics: RequestMetrics) -> Iterable[Row]:
    return [(key, (cell[SUM], *cell[BUCKETS:])) for key, cell in metrics.cells()]


def _sizes(metrics: RequestMetrics, at: int) -> Iterable[Row]:
    sums: dict[tuple[str, ...], float] = {}
    for (method, path, _), cell in metrics.cells():
        sums[method, path] = sums.get((method, path), 0) + cell[at]
    return [(key, (value,)) for key, value in sums.items()]


def _in_progress(metrics: RequestMetrics) -> Iterable[Row]:
    """Every path that was ever answered is shown, with 0 when nothing runs: a series that comes and goes has gaps."""
    running: dict[tuple[str, ...], int] = {(method, path): 0 for (method, path, _), _ in metrics.cells()}
    for request in tuple(metrics.in_flight):
        try:
            method, path = request.labels()
        except Exception:  # noqa: BLE001 - it is being answered by another thread at this moment
            metrics.count_error("in_progress")
            continue
        key = (method if method in KNOWN_METHODS else OTHER_METHOD, _written(path))
        if key not in running and len(running) >= metrics.options.max_series:
            key = (OVERFLOW, OVERFLOW)
        running[key] = running.get(key, 0) + 1
    return [(key, (float(count),)) for key, count in running.items()]


def _written(path: str) -> str:
    """Without what cannot be written as UTF-8."""
    return path if path.isascii() else path.encode("utf-8", "replace").decode()
