"""Gauges: numbers that go up and down, set by the application or asked of a function when scraped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from time import time

from trackside.instruments.instrument import Instrument
from trackside.instruments.measured import Raw, ReportError


class GaugeChild:
    __slots__ = ("_function", "_lock", "_report", "_value")

    def __init__(self, lock: RLock, report: ReportError) -> None:
        self._value = 0.0
        self._function: Callable[[], float] | None = None
        self._lock = lock
        self._report = report

    def inc(self, amount: float = 1.0) -> None:
        try:
            with self._lock:
                self._value += amount
        except Exception:  # noqa: BLE001 - no number: not worth failing a request
            self._report("value")

    def dec(self, amount: float = 1.0) -> None:
        try:
            with self._lock:
                self._value -= amount
        except Exception:  # noqa: BLE001 - see `inc`
            self._report("value")

    def set(self, value: float) -> None:
        try:
            self._value = float(value)
        except Exception:  # noqa: BLE001 - see `inc`
            self._report("value")

    def set_to_current_time(self) -> None:
        """Seconds since 1970: "when it last happened"."""
        self.set(time())

    def set_function(self, function: Callable[[], float]) -> None:
        """Ask `function` at each scrape. While it raises, the series is not shown."""
        self._function = function

    @contextmanager
    def track_inprogress(self) -> Iterator[None]:
        """One more while the block (or the decorated function) runs."""
        self.inc()
        try:
            yield
        finally:
            self.dec()

    def raw(self) -> Raw | None:
        # Adding zero makes one of the two zeros: they are equal, but are written differently.
        function = self._function
        if function is None:
            return (float(self._value) + 0.0,)
        try:
            return (float(function()) + 0.0,)
        except Exception:  # noqa: BLE001 - the application's code must not break the scrape
            self._report("set_function")
            return None


class Gauge(Instrument[GaugeChild]):
    """The methods are those of the only child, for a gauge without labels."""

    def inc(self, amount: float = 1.0) -> None:
        self.labels().inc(amount)

    def dec(self, amount: float = 1.0) -> None:
        self.labels().dec(amount)

    def set(self, value: float) -> None:
        self.labels().set(value)

    def set_to_current_time(self) -> None:
        self.labels().set_to_current_time()

    def set_function(self, function: Callable[[], float]) -> None:
        self.labels().set_function(function)

    @contextmanager
    def track_inprogress(self) -> Iterator[None]:
        with self.labels().track_inprogress():
            yield

    def _new_child(self) -> GaugeChild:
        return GaugeChild(self._lock, self._report)
