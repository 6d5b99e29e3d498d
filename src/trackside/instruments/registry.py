"""All instruments of a process: makes them, gives equal ones out once, and reads them together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from threading import RLock
from typing import Literal, TypeVar

from trackside.instruments import forks
from trackside.instruments.cells import Cells
from trackside.instruments.counter import Counter
from trackside.instruments.gauge import Gauge, Mode, checked_mode, mode_of
from trackside.instruments.histogram import DEFAULT_BUCKETS, Histogram, bucket_bounds
from trackside.instruments.instrument import Instrument
from trackside.instruments.measured import Description, Measured, family_of
from trackside.model.cheap_typing import Protocol
from trackside.model.metrics import MetricFamily, MetricType

Collector = Callable[[], Iterable[MetricFamily]]

TYPE_CHECKING = False  # type checkers take it for True

# What few applications have is imported by those that have it: the others do not pay for it at each start.
if TYPE_CHECKING:
    from trackside.instruments.info import Info
    from trackside.instruments.native_histogram import NativeHistogram
    from trackside.instruments.quantiles import Quantiles

DEFAULT_SCHEMA = 3
"""Of native histograms: neighbouring bounds lie 9 % apart."""
DEFAULT_QUANTILES = (0.5, 0.95, 0.99)
DEFAULT_WINDOW_S = 300.0
MAX_SERIES = 2_000
ERRORS = "trackside_sdk_errors_total"
SHARED_PREFIXES = ("process_", "python_")
"""Of families about the process itself, which other clients may show too."""

InstrumentT = TypeVar("InstrumentT", bound=Instrument)  # type: ignore[type-arg]
Across = Literal["own", "pid", "sum"]
"""What of a collector's families is shown where several processes serve one application: those of the process that is
scraped, those of each in a label `pid`, or counters and gauges added up."""


class Membership(Protocol):
    """How a registry stands to those of the other processes of its application."""

    @property
    def is_joined(self) -> bool:
        """Whether there may be others by now."""

    @property
    def process_id(self) -> int:
        """Of the process that all of them come from; 0 when there is none."""

    def before_scrape(self) -> None:
        """Join the others if there are any by now, and read what they have counted."""

    def look(self) -> None:
        """See what the others hold now."""

    def leads(self) -> bool: ...

    def foreign(self, known: Sequence[Measured]) -> list[Measured]:
        """Families that only others have."""

    def across(self, families: Sequence[tuple[MetricFamily, Across]]) -> list[MetricFamily]:
        """What the collectors of all processes say, of which `families` are those of this one."""


class Registry:
    def __init__(self, max_series: int = MAX_SERIES) -> None:
        """`max_series` is the most label sets one instrument may have."""
        self.lock = RLock()
        """Guards all values: held for the two or three additions of one update, never longer."""
        self.cells = Cells(self.lock, self.count_error)
        """Where the values are."""
        self.membership: Membership | None = None
        """Set where other processes may serve the same application."""
        self._max_series = max_series
        self._measured: dict[str, Measured] = {}
        self._collectors: list[tuple[Collector, Across]] = []
        about = Description(
            ERRORS, MetricType.COUNTER, "Errors inside the monitoring, by place. The app saw none.", ("where",)
        )
        self._errors = Counter(about, self.cells, max_series)
        forks.follow(self)

    def counter(self, name: str, help: str = "", labels: Sequence[str] = (), unit: str = "") -> Counter:
        """The counter of this name, made at the first call. `_total` is added to the name if it is missing.

        Raises:
            ValueError: a bad name, or the name is taken by an instrument of another shape.
        """
        full_name = _with_unit(name.removesuffix("_total"), unit) + "_total"
        about = Description(full_name, MetricType.COUNTER, help, _names(name, labels), unit)
        return self._get(about, lambda: Counter(about, self.cells, self._max_series), Counter)

    def gauge(
        self, name: str, help: str = "", labels: Sequence[str] = (), unit: str = "", mode: Mode | None = None
    ) -> Gauge:
        """As `counter`, with the name as it is given. Unless `mode` is given, the name's ending decides."""
        full_name, names = _with_unit(name, unit), _names(name, labels)
        chosen = mode_of(full_name) if mode is None else checked_mode(name, mode)
        about = Description(full_name, MetricType.GAUGE, help, (*names, "pid") if chosen == "live" else names, unit)
        found = self._get(about, lambda: Gauge(about, chosen, self.cells, self._max_series), Gauge)
        if mode is not None and found.mode != mode:
            raise ValueError(f"name is taken: there is already {about.shape} with mode {found.mode}; wanted {mode}")
        return found

    def histogram(
        self,
        name: str,
        help: str = "",
        labels: Sequence[str] = (),
        unit: str = "",
        buckets: Iterable[float] = DEFAULT_BUCKETS,
    ) -> Histogram:
        """As `gauge`; `buckets` are upper bounds and rise. +Inf may be left out."""
        bounds = bucket_bounds(name, buckets)
        about = Description(_with_unit(name, unit), MetricType.HISTOGRAM, help, _names(name, labels), unit, bounds)
        return self._get(about, lambda: Histogram(about, self.cells, self._max_series), Histogram)

    def native_histogram(
        self,
        name: str,
        help: str = "",
        labels: Sequence[str] = (),
        unit: str = "",
        buckets: Iterable[float] = (),
        schema: int = DEFAULT_SCHEMA,
    ) -> NativeHistogram:
        """As `histogram`, with buckets that find their range themselves. `schema`: 2**schema of them for each power of
        two, to begin with. `buckets` are for readers that know no others."""
        from trackside.instruments.native_histogram import NativeHistogram, checked_schema  # noqa: PLC0415 - see above

        given = tuple(buckets)
        bounds = bucket_bounds(name, given) if given else ()
        about = Description(_with_unit(name, unit), MetricType.HISTOGRAM, help, _names(name, labels), unit, bounds)
        checked = checked_schema(name, schema)
        return self._get(about, lambda: NativeHistogram(about, checked, self.cells, self._max_series), NativeHistogram)

    def quantiles(
        self,
        name: str,
        help: str = "",
        labels: Sequence[str] = (),
        unit: str = "",
        quantiles: Iterable[float] = DEFAULT_QUANTILES,
        window_s: float = DEFAULT_WINDOW_S,
    ) -> Quantiles:
        """Gauges with a label `quantile`, of what was observed in the last `window_s` seconds."""
        from trackside.instruments.quantiles import Quantiles, checked_quantiles  # noqa: PLC0415 - see above

        shares = checked_quantiles(name, quantiles, window_s)
        about = Description(_with_unit(name, unit), MetricType.GAUGE, help, (*_names(name, labels), "quantile"), unit)
        return self._get(about, lambda: Quantiles(about, shares, window_s, self.cells, self._max_series), Quantiles)

    def info(self, name: str, labels: Mapping[str, object], help: str = "") -> Info:
        """A series that is always 1, whose labels say something. Called again it says it anew."""
        from trackside.instruments.info import Info  # noqa: PLC0415 - see above

        made = Info(name, help, labels)
        with self.lock:
            found = self._measured.get(made.description.name)
            if found is None:
                self.register(made)
                return made
        if type(found) is not Info or set(found.labels) != set(labels):
            raise ValueError(f"name is taken: there is already {found.description.shape}")
        found.set(labels)
        return found

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

    def add_collector(self, collector: Collector, across: Across = "own") -> None:
        """Show the families that `collector` gives at each scrape. While it raises, they are left out."""
        with self.lock:
            if all(known != collector for known, _ in self._collectors):
                self._collectors.append((collector, across))

    @property
    def asks_others(self) -> bool:
        """Whether code of the application runs when this is read: functions of gauges, collectors that it has added."""
        return self.cells.asks_functions or not all(_is_ours(collector) for collector, _ in self._collectors)

    def count_error(self, where: str) -> None:
        """An error inside the monitoring that the application must not notice."""
        self._errors.labels(where).inc()

    def leave_out(self, name: str, error: Exception) -> None:
        """A family that cannot be read: it must not take all the others with it."""
        self.count_error("family")
        text = "%s is left out where metrics are read: %r; further failures of this kind are only counted (%s)"
        self.cells.complaints.once(("family", name), text, name, error, ERRORS, error=error)

    def look(self) -> None:
        """See what other processes have counted by now: rows that are read next are of this moment."""
        if self.membership is not None and not self.cells.is_alone:
            self.membership.look()

    def measured(self) -> list[Measured]:
        """Families with values of their own, in order of registration; the errors last, since reading makes some."""
        membership = None if self.cells.is_alone else self.membership
        if membership is not None:
            membership.before_scrape()
        with self.lock:
            own = list(self._measured.values())
        foreign = [] if membership is None else membership.foreign((*own, self._errors))
        return [*own, *foreign, self._errors]

    def collected(self) -> list[MetricFamily]:
        """Families of the collectors, one of each name: of those about the process the last collector's, else the
        first's; a name of `measured` is not taken again."""
        with self.lock:
            collectors = list(self._collectors)
            taken = {*self._measured, ERRORS}
        found: dict[str, tuple[MetricFamily, Across]] = {}
        for families, across in self._asked(collectors):
            for family in families:
                shared = family.name.startswith(SHARED_PREFIXES)
                if family.name in taken or (family.name in found and not shared):
                    continue
                # Of several processes the one who knows them all.
                if family.name in found and across == "own" and self.is_shared:
                    continue
                found[family.name] = family, across
        if self.membership is not None and not self.cells.is_alone:
            return self.membership.across(list(found.values()))
        return [family for family, _ in found.values()]

    @property
    def is_shared(self) -> bool:
        """Whether other processes may serve the same application, and are shown here."""
        return self.membership is not None and self.membership.is_joined

    def publish(self) -> list[tuple[MetricFamily, Across]]:
        """Let other processes know what only this one can ask: functions of gauges are written into their cells, and
        the families of collectors that are shown for all processes are returned."""
        with self.lock:
            measured = list(self._measured.values())
        for one in measured:
            publish = getattr(one, "publish", None)
            if publish is not None:
                publish()
        with self.lock:
            collectors = [known for known in self._collectors if known[1] != "own"]
        return [(family, across) for families, across in self._asked(collectors) for family in families]

    def _asked(self, collectors: Sequence[tuple[Collector, Across]]) -> Iterator[tuple[list[MetricFamily], Across]]:
        for collector, across in collectors:
            try:
                families = list(collector())
                if not all(isinstance(family, MetricFamily) for family in families):
                    raise TypeError("expected metric families")
                yield families, across
            except Exception:  # noqa: BLE001 - one broken collector must not hide all other metrics
                self.count_error("collector")

    def leads(self) -> bool:
        """Whether this process is the one that sends the application's numbers somewhere: of several exactly one."""
        return self.membership is None or self.membership.leads()

    @property
    def process_id(self) -> int:
        """Of the process in whose name the numbers are told: always the same, whichever of several processes tells
        them. 0 when they have none in common."""
        return self.membership.process_id if self.membership is not None and self.is_shared else os.getpid()

    def alone(self) -> AbstractContextManager[None]:
        """Within it this thread reads what this process has counted, without the others of the application: for who
        sends the numbers of each process somewhere under its own name."""
        return self.cells.alone()

    def collect(self) -> list[MetricFamily]:
        families = self.collected()
        for one in self.measured():
            try:
                families.append(family_of(one))
            except Exception as error:  # noqa: BLE001 - see `leave_out`
                self.leave_out(one.description.name, error)
        return families

    def _get(self, about: Description, make: Callable[[], InstrumentT], kind: type[InstrumentT]) -> InstrumentT:
        with self.lock:
            found = self._measured.get(about.name)
            if found is None:
                made = make()
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


def _is_ours(collector: object) -> bool:
    """Ours are quick. One of no known module is somebody's."""
    module = getattr(getattr(collector, "func", collector), "__module__", None)
    return str(module).startswith("trackside.")
