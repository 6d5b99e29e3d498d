"""Counters: numbers that only grow, and are read as rates."""

from __future__ import annotations

from threading import RLock

from trackside.instruments.instrument import Instrument
from trackside.instruments.measured import Raw, ReportError

_INFINITE = float("inf")


class CounterChild:
    __slots__ = ("_lock", "_report", "_value")

    def __init__(self, lock: RLock, report: ReportError) -> None:
        self._value = 0.0
        self._lock = lock
        self._report = report

    def inc(self, amount: float = 1.0) -> None:
        """Add a finite number that is not negative; anything else changes nothing and counts as an internal error."""
        try:
            if 0 <= amount < _INFINITE:
                with self._lock:
                    self._value += amount
                return
        except Exception:  # noqa: BLE001 - no number at all: not worth failing a request
            pass
        self._report("value")

    def raw(self) -> Raw:
        return (float(self._value),)


class Counter(Instrument[CounterChild]):
    def inc(self, amount: float = 1.0) -> None:
        """Of a counter without labels."""
        self.labels().inc(amount)

    def _new_child(self) -> CounterChild:
        return CounterChild(self._lock, self._report)
