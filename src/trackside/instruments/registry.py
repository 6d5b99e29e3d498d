"""All instruments of a process: makes them, gives equal ones out once, and reads them together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from threading import RLock
from typing import TypeVar

from trackside.instruments.counter import Counter
from trackside.instruments.gauge import Gauge
from trackside.instruments.histogram import DEFAULT_BUCKETS, Histogram, bucket_bounds
from trackside.instruments.instrument import Instrument
from trackside.instruments.measured import Description, Measured, family_of
from trackside.model.metrics import MetricFamily, MetricType

Collector = Callable[[], Iterable[MetricFamily]]

MAX_SERIES = 2_000
ERRORS = "trackside_sdk_errors_total"
# Families about the process itself, which other clients may show too.
_SHARED_PREFIXES = ("process_", "python_")

InstrumentT = TypeVar("InstrumentT", bound=Instrument)  # type: ignore[type-arg]


class Registry:
    def __init__(self, max_series: int = MAX_SERIES) -> None:
        """`max_series` is the most label sets one instrument may have."""
        self.lock = RLock()
        """Guards all values: held for the two or three additions of one update, never longer."""
        self._max_series = max_series
        self._measured: dict[str, Measured] = {}
        self._collectors: list[Collector] = []
        self._errors = Counter(
            Description(
                ERRORS, MetricType.COUNTER, "Errors inside the monitoring, by place. The app saw none.", ("where",)
            ),
            self.lock,
            lambda where: None,
            max_series,
        )

    def counter(self, name: str, help: str = "", labels: Sequence[str] = (), unit: str = "") -> Counter:
        """The counter of this name, made at the first call. `_total` is added to the name if it is missing.

        Raises:
            ValueError: a bad name, or the name is taken by an instrument of another shape.
        """
        full_name = _with_unit(name.removesuffix("_total"), unit) + "_total"
        return self._get(Counter, Description(full_name, MetricType.COUNTER, help, _names(name, labels), unit))

    def gauge(self, name: str, help: str = "", labels: Sequence[str] = (), unit: str = "") -> Gauge:
        """As `counter`, with the name as it is given."""
        about = Description(_with_unit(name, unit), MetricType.GAUGE, help, _names(name, labels), unit)
        return self._get(Gauge, about)

    def histogram(
        self,
        name: str,
        help: str = "",
        labels: Sequence[str] = (),
        unit: str = "",
        buckets: Iterable[float] = DEFAULT_BUCKETS,
    ) -> Histogram:
        """As `gauge`; `buckets` are upper bounds and rise. +Inf may be left out."""
        about = Description(
            _with_unit(name, unit),
            MetricType.HISTOGRAM,
            help,
            _names(name, labels),
            unit,
            bucket_bounds(name, buckets),
        )
        return self._get(Histogram, about)

    def register(self, measured: Measured) -> None:
        """Show a family that keeps its values itself.

        Raises:
            ValueError: its name, or that of one of its series, is taken.
        """
        about = measured.description
        with self.lock:
            for other in (self._errors, *self._measured.values()):
                taken = {other.description.name, *other.description.series_names}
                if not taken.isdisjoint((about.name, *about.series_names)):
                    raise ValueError(f"name is taken: there is already {other.description.shape}; wanted {about.shape}")
            self._measured[about.name] = measured

    def add_collector(self, collector: Collector) -> None:
        """Show the families that `collector` gives at each scrape. While it raises, they are left out."""
        with self.lock:
            if collector not in self._collectors:
                self._collectors.append(collector)

    def count_error(self, where: str) -> None:
        """An error inside the monitoring that the application must not notice."""
        self._errors.labels(where).inc()

    def measured(self) -> list[Measured]:
        """Families with values of their own, in order of registration; the errors last, since reading makes some."""
        with self.lock:
            return [*self._measured.values(), self._errors]

    def collected(self) -> list[MetricFamily]:
        """Families of the collectors, one of each name: of those about the process the last collector's, else the
        first's; a name of `measured` is not taken again."""
        with self.lock:
            collectors = list(self._collectors)
            taken = {*self._measured, ERRORS}
        found: dict[str, MetricFamily] = {}
        for collector in collectors:
            try:
                families = list(collector())
            except Exception:  # noqa: BLE001 - one broken collector must not hide all other metrics
                self.count_error("collector")
                continue
            for family in families:
                shared = family.name.startswith(_SHARED_PREFIXES)
                if family.name not in taken and (shared or family.name not in found):
                    found[family.name] = family
        return list(found.values())

    def collect(self) -> list[MetricFamily]:
        collected = self.collected()
        return [*collected, *map(family_of, self.measured())]

    def _get(self, kind: type[InstrumentT], about: Description) -> InstrumentT:
        with self.lock:
            found = self._measured.get(about.name)
            if found is None:
                made = kind(about, self.lock, self.count_error, self._max_series)
                self.register(made)
                return made
        if type(found) is not kind or found.description.shape != about.shape:
            raise ValueError(f"name is taken: there is already {found.description.shape}; wanted {about.shape}")
        return found


def _names(name: str, labels: Sequence[str]) -> tuple[str, ...]:
    if isinstance(labels, str):
        raise ValueError(
            f'{name}: labels is a sequence of names, such as labels=("{labels}",); got the text {labels!r}'
        )
    return tuple(labels)


def _with_unit(name: str, unit: str) -> str:
    return name if not unit or name.endswith("_" + unit) else f"{name}_{unit}"
