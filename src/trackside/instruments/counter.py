"""Counters: numbers that only grow, and are read as rates."""

from __future__ import annotations

from trackside.instruments.cells import Cells
from trackside.instruments.instrument import Child, Instrument
from trackside.instruments.layout import Cell, Layout, Shown, columns
from trackside.instruments.measured import LARGEST, Description, plain


class CounterChild(Child):
    __slots__ = ()

    def inc(self, amount: float = 1.0) -> None:
        """Add a finite number that is not negative; anything else changes nothing and counts as an internal error."""
        try:
            if type(amount) is not float and type(amount) is not int:
                amount = plain(amount)
            if 0 <= amount <= LARGEST:
                with self._lock:
                    self.cell[0] += amount
                if self._cells.trace is not None:
                    self._remember(0, amount)
                return
        except Exception:  # noqa: BLE001 - no number at all: not worth failing a request
            pass
        self._refuse()


class Counter(Instrument[CounterChild]):
    def __init__(self, description: Description, cells: Cells, max_series: int) -> None:
        super().__init__(description, Layout(1, "sum", (Shown(description, columns(0, 1)),)), cells, max_series)

    def inc(self, amount: float = 1.0) -> None:
        """Of a counter without labels."""
        self.labels().inc(amount)

    def _new_child(self, cell: Cell) -> CounterChild:
        return CounterChild(self._cells, cell)
