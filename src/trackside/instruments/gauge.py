"""Gauges: numbers that go up and down, set by the application or asked of a function when scraped."""

from __future__ import annotations

from collections.abc import Callable
from time import time
from types import TracebackType
from typing import Literal, get_args

from trackside.instruments.around import FunctionT, around
from trackside.instruments.cells import Cells
from trackside.instruments.instrument import Child, Instrument
from trackside.instruments.layout import Cell, Layout, Merge, Shown, columns
from trackside.instruments.measured import Description, Raw, Row, plain

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.instruments.merging import Together

Mode = Literal["sum", "max", "min", "last", "live"]
"""What a gauge shows where several processes serve one application: the sum of what the living ones say, the highest,
the lowest, what was set last by whichever, or each by itself in a label `pid`."""

_MODES: dict[Mode, Merge] = {"sum": "total", "max": "max", "min": "min", "last": "last", "live": "live"}
# A gauge is added up unless its name says that this makes no sense.
_NEVER_ADDED = ("_timestamp_seconds", "_timestamp", "_info", "_ratio", "_rate", "_percent", "_percentage")


def mode_of(name: str) -> Mode:
    """For a gauge whose maker has not said."""
    return "last" if name.endswith(_NEVER_ADDED) else "sum"


def checked_mode(name: str, mode: str) -> Mode:
    """
    Raises:
        ValueError: there is none of this name.
    """
    known: tuple[Mode, ...] = get_args(Mode)
    for one in known:
        if mode == one:
            return one
    raise ValueError(f"{name}: mode is one of {', '.join(known)}; got {mode!r}")


class InProgress:
    __slots__ = ("_begin", "_end")

    def __init__(self, begin: Callable[[], None], end: Callable[[], None]) -> None:
        self._begin = begin
        self._end = end

    def __enter__(self) -> None:
        self._begin()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def __call__(self, function: FunctionT) -> FunctionT:
        return around(function, lambda: self)


class GaugeChild(Child):
    """Its cell is the value, then whether it was ever set: in some modes, when."""

    __slots__ = ("_function", "_timed")

    def __init__(self, timed: bool, cells: Cells, cell: Cell) -> None:
        super().__init__(cells, cell)
        self._timed = timed
        self._function: Callable[[], float] | None = None

    def inc(self, amount: float = 1.0) -> None:
        try:
            if type(amount) is not float:
                amount = float(plain(amount))
            with self._lock:
                cell = self.cell
                cell[0] += amount
                cell[1] = time() if self._timed else 1.0
        except Exception:  # noqa: BLE001 - no number: not worth failing a request
            self._refuse()

    def dec(self, amount: float = 1.0) -> None:
        try:
            self.inc(-plain(amount))
        except Exception:  # noqa: BLE001 - see `inc`
            self._refuse()

    def set(self, value: float) -> None:
        try:
            if type(value) is not float:
                value = float(plain(value))
            with self._lock:
                cell = self.cell
                cell[0] = value
                cell[1] = time() if self._timed else 1.0
        except Exception:  # noqa: BLE001 - see `inc`
            self._refuse()

    def set_to_current_time(self) -> None:
        """Seconds since 1970: "when it last happened"."""
        self.set(time())

    def set_function(self, function: Callable[[], float]) -> None:
        """Ask `function` at each scrape. While it raises, the series is not shown."""
        self._function = function
        self._cells.asks_functions = True

    def track_inprogress(self) -> InProgress:
        """One more while a `with` block or a decorated function (async too) runs."""
        return InProgress(self.inc, self.dec)

    def raw(self) -> Raw | None:
        function = self._function
        if function is None:
            with self._lock:
                # Adding zero makes one of the two zeros: they are equal, but are written differently.
                return self.cell[0] + 0.0, self.cell[1]
        try:
            return float(plain(function())) + 0.0, time() if self._timed else 1.0
        except Exception:  # noqa: BLE001 - the application's code must not break the scrape
            self._report("set_function")
            return None

    def publish(self) -> None:
        """Let other processes know what the function says now."""
        raw = self.raw() if self._function is not None else None
        if raw is not None:
            with self._lock:
                self.cell[0], self.cell[1] = raw


class Gauge(Instrument[GaugeChild]):
    """The methods are those of the only child, for a gauge without labels."""

    def __init__(self, description: Description, mode: Mode, cells: Cells, max_series: int) -> None:
        self.mode = mode
        self._timed = mode == "last"
        layout = Layout(2, _MODES[mode], (Shown(description, columns(0, 1)),))
        super().__init__(description, layout, cells, max_series)

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

    def track_inprogress(self) -> InProgress:
        # Each time of the child that is shown then.
        return InProgress(self.inc, self.dec)

    def publish(self) -> None:
        """Let other processes know what functions say now."""
        with self._lock:
            children = self._all()
        for _, child in children:
            child.publish()

    def rows(self) -> list[Row]:
        with self._lock:
            asked = any(child._function is not None for _, child in self._all())
        return self.layout.shown[0].rows(self._cells.together(self.layout, self._own, ask=asked))

    def _own(self) -> Together:
        with self._lock:
            children = self._all()
        numbers = 1 if self.mode == "sum" else 2
        return [(values, raw[:numbers]) for values, child in children if (raw := child.raw()) is not None]

    def _new_child(self, cell: Cell) -> GaugeChild:
        return GaugeChild(self._timed, self._cells, cell)
