"""What is counted of HTTP requests: flat cells by method, path template and status, and the families made of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from time import time

from trackside.instruments.cells import Move
from trackside.instruments.counter import Counter
from trackside.instruments.histogram import bucket_bounds
from trackside.instruments.layout import Cell, Shown
from trackside.instruments.measured import OVERFLOW, LabelValues, Observed, Row
from trackside.instruments.registry import Registry
from trackside.model.cheap_typing import Protocol
from trackside.sdk.request_families import BUCKETS, HELP, RECEIVED, SENT, SUM, Family, label_names, observed_of, tables
from trackside.sdk.request_options import ALL, UNMATCHED, RequestFamily, RequestMetricsOptions, Role, path_patterns

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.instruments.merging import Together

__all__ = [
    "BUCKETS",
    "CLIENT_GONE",
    "KNOWN_METHODS",
    "OTHER_METHOD",
    "RECEIVED",
    "SENT",
    "SUM",
    "UNMATCHED",
    "Cell",
    "CellCache",
    "InFlight",
    "RequestFamily",
    "RequestMetrics",
    "RequestMetricsOptions",
]

OTHER_METHOD = "_OTHER"
KNOWN_METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"),
)
CLIENT_GONE = 499
"""The status of a request whose client left before the end of the answer, as nginx has it."""

CellKey = LabelValues
"""Method, path, status, and what else the options tell requests apart by: as they stand in the labels."""

_SCHEMES = frozenset(("http", "https"))


class InFlight(Protocol):
    """A request that has begun and not ended."""

    def labels(self) -> tuple[str, ...]:
        """Its method and path template, as far as known at this moment, and perhaps its scheme."""


class RequestMetrics:
    """One for a process: every watched app counts into it."""

    def __init__(self, registry: Registry, options: RequestMetricsOptions | None = None) -> None:
        self.options = options or RequestMetricsOptions()
        path_patterns(self.options.excluded_paths)
        self.bounds = bucket_bounds("buckets", self.options.buckets)
        self.registry = registry
        self.lock = registry.lock
        self.count_error = registry.count_error
        self.in_flight: set[InFlight] = set()
        self.tables = tables(self.options)
        self.places = registry.cells
        """Where the cells are. They move: a cell is found and changed in one go, with the lock held."""
        self.caches: list[CellCache] = []
        self._more = self.options.roles[len(ALL) :]
        self.by_scheme = "scheme" in self._more
        """Whether requests are told apart by it."""
        self._cells: dict[CellKey, Cell] = {}
        self._running: dict[LabelValues, Cell] = {}
        self._observed: dict[int, dict[int, Observed]] = {}
        ended = iter(self.tables.ended.shown)
        running = iter(self.tables.in_progress.shown if self.tables.in_progress else ())
        self._exceptions: list[tuple[Counter, RequestFamily]] = []
        for family in self.options.shown:
            if family.measure == "exceptions":
                self._exceptions.append((self._counter(family), family))
                continue
            is_running = family.measure == "in_progress"
            registry.register(self._family_in_progress(next(running)) if is_running else self._family(next(ended)))
        self.places.hold(self)

    @property
    def counts_exceptions(self) -> bool:
        return bool(self._exceptions)

    @property
    def names(self) -> list[str]:
        """Of the families."""
        return [self.options.prefix + family.name for family in self.options.shown]

    def key(self, method: str, path: str, status: int | str, scheme: str = "http") -> CellKey:
        written = str(status)
        more = {"scheme": scheme if scheme in _SCHEMES else "other", "error": written if written > "499" else ""}
        if self.options.grouped_statuses:
            written = f"{written[:1]}xx"
        key = (method if method in KNOWN_METHODS else OTHER_METHOD, self._path(path), written)
        return key + tuple(more[role] for role in self._more)

    def cell(self, method: str, path: str, status: int | str, scheme: str = "http") -> Cell:
        """Where requests of these labels are counted."""
        key = self.key(method, path, status, scheme)
        with self.lock:
            cell = self._cells.get(key)
            if cell is None:
                if len(self._cells) >= self.options.max_series:
                    key = (OVERFLOW,) * len(key)
                cell = self._cells.get(key)
                if cell is None:
                    cell = self._cells[key] = self.places.new(self.tables.ended, key)
            return cell

    def count(
        self,
        cell: Cell,
        took_s: float,
        received: int,
        sent: int,
        first_s: float | None = None,
        trace: tuple[str, str] | None = None,
    ) -> None:
        """One request that ended. Called with the lock held since the cell was found. `trace`: what it belonged to,
        where the span has been left already."""
        bucket = bisect_left(self.bounds, took_s) + BUCKETS
        cell[SUM] += took_s
        cell[RECEIVED] += received
        cell[SENT] += sent
        cell[bucket] += 1
        first_byte_at = self.tables.first_byte_at
        if first_byte_at and first_s is not None:
            cell[first_byte_at] += first_s
            cell[first_byte_at + 1 + bisect_left(self.bounds, first_s)] += 1
        for sizes in self.tables.sizes:
            cell[sizes.at + bisect_left(sizes.bounds, received if sizes.total_at == RECEIVED else sent)] += 1
        if self.places.trace is not None:
            self.observe(cell, bucket, took_s, trace)

    def observe(self, cell: Cell, bucket: int, took_s: float, trace: tuple[str, str] | None = None) -> None:
        """For an exemplar, if the request belongs to a trace."""
        trace = trace or (self.places.trace and self.places.trace())
        if trace:
            self._observed.setdefault(id(cell), {})[bucket] = Observed(*trace, took_s, time())

    def raised(self, error: BaseException, method: str, path: str, scheme: str) -> None:
        """The application raised it while it handled a request, which may be answered all the same. Never raises."""
        values: dict[Role, str] = {
            "method": method if method in KNOWN_METHODS else OTHER_METHOD,
            "path": self._path(path),
            "status": "500",
            "scheme": scheme if scheme in _SCHEMES else "other",
            "error": "500",
            "exception": type(error).__name__,
        }
        constant = [value for _, value in self.options.constant_labels]
        for counter, family in self._exceptions:
            counter.labels(*(values[role] for role in family.labels), *constant).inc()

    def cells(self) -> list[tuple[CellKey, tuple[float, ...]]]:
        with self.lock:
            return [(key, tuple(cell)) for key, cell in self._cells.items()]

    def move(self, move: Move) -> None:
        for key, cell in self._cells.items():
            self._cells[key] = move(self.tables.ended, key, cell)
        self._forget_places()

    def restart(self) -> None:
        self._cells.clear()
        self.in_flight.clear()
        self._forget_places()

    def publish(self) -> None:
        """Let other processes know what is in progress here."""
        layout = self.tables.in_progress
        if layout is None:
            return
        running = self._counted_in_flight()
        with self.lock:
            for key in running.keys() - self._running.keys():
                self._running[key] = self.places.new(layout, key)
            for key, cell in self._running.items():
                cell[0], cell[1] = running.get(key, 0), 1.0

    def _forget_places(self) -> None:
        for cache in self.caches:
            cache.cells.clear()
        self._observed.clear()
        self._running.clear()

    def _counter(self, family: RequestFamily) -> Counter:
        names = label_names(family, self.options)
        return self.registry.counter(self.options.prefix + family.name, HELP[family.measure], names)

    def _family(self, shown: Shown) -> Family:
        def rows() -> list[Row]:
            return shown.rows(self.places.together(self.tables.ended, lambda: list(self.cells())))

        def observed() -> Mapping[LabelValues, Mapping[int, Observed]]:
            with self.lock:
                known = [(key, dict(self._observed.get(id(cell), ()))) for key, cell in self._cells.items()]
            return observed_of(shown, known)

        return Family(shown.description, rows, observed, lambda: None)

    def _family_in_progress(self, shown: Shown) -> Family:
        def rows() -> list[Row]:
            own: Together = [(key, (count, 1.0)) for key, count in self._counted_in_flight().items()]
            layout = self.tables.in_progress
            return shown.rows(own if layout is None else self.places.together(layout, lambda: own))

        return Family(shown.description, rows, dict, self.publish)

    def _counted_in_flight(self) -> dict[LabelValues, float]:
        """Every path that was ever answered is there, with 0 when nothing runs: a series that comes and goes has
        gaps. The status is not known yet."""
        running: dict[LabelValues, float] = dict.fromkeys((self._unanswered(key) for key, _ in self.cells()), 0.0)
        for request in tuple(self.in_flight):
            try:
                method, path, *scheme = request.labels()
            except Exception:  # noqa: BLE001 - it is being answered by another thread at this moment
                self.count_error("in_progress")
                continue
            key = self._unanswered(self.key(method, path, "", *scheme))
            if key not in running and len(running) >= self.options.max_series:
                key = self._unanswered((OVERFLOW,) * len(key))
            running[key] = running.get(key, 0.0) + 1
        return running

    def _unanswered(self, key: CellKey) -> CellKey:
        scheme = key[len(ALL) : len(ALL) + self.by_scheme]
        return (*key[:2], "", *scheme, *("" for _ in key[len(ALL) + len(scheme) :]))

    def _path(self, path: str) -> str:
        """Without what cannot be written as UTF-8."""
        if path == UNMATCHED:
            return self.options.unmatched
        return path if path.isascii() else path.encode("utf-8", "replace").decode()


class CellCache:
    """Straight from what a middleware has in its hands to the cell, without making labels. Bounded."""

    def __init__(self, metrics: RequestMetrics) -> None:
        self.cells: dict[object, Cell] = {}
        self._kept: dict[int, object] = {}
        # Statuses come in many texts for one label; beyond a few of them it is someone's random input.
        self._limit = 4 * metrics.options.max_series
        metrics.caches.append(self)

    def keep(self, key: object, cell: Cell, owner: object = None) -> None:
        """`owner` is what the key holds the id of: kept, so that the id stays its own."""
        if len(self.cells) < self._limit:
            self._kept[id(owner)] = owner
            self.cells[key] = cell
