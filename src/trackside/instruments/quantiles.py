"""Quantiles of what was observed lately, as gauges: for people who look, where nobody will add up buckets."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from time import time

from trackside.instruments import window
from trackside.instruments.cells import Cells
from trackside.instruments.histogram import Timer
from trackside.instruments.instrument import Child, Instrument
from trackside.instruments.layout import Cell, Layout, Shown, columns
from trackside.instruments.measured import Description, plain


class QuantilesChild(Child):
    __slots__ = ()

    def observe(self, value: float) -> None:
        """A finite number; anything else changes nothing and counts as an internal error."""
        try:
            number = float(plain(value))
            if isfinite(number):
                now_s = time()
                with self._lock:
                    window.observe(self.cell, number, now_s)
                return
        except Exception:  # noqa: BLE001 - no number at all: not worth failing a request
            pass
        self._refuse()

    def time(self) -> Timer:
        """Seconds that a `with` block or a decorated function (async too) takes, also when it raises."""
        return Timer(self.observe)


class Quantiles(Instrument[QuantilesChild]):
    """Of all processes that serve the application together. While nothing was observed there is no series."""

    def __init__(
        self, description: Description, shares: tuple[float, ...], window_s: float, cells: Cells, max_series: int
    ) -> None:
        layout = Layout(window.WIDTH, "window", (Shown(description, columns(0, 1)),), (window_s, *shares))
        super().__init__(description, layout, cells, max_series)

    def observe(self, value: float) -> None:
        """Of quantiles without labels."""
        self.labels().observe(value)

    def time(self) -> Timer:
        """Of quantiles without labels."""
        return self.labels().time()

    def _new_child(self, cell: Cell) -> QuantilesChild:
        return QuantilesChild(self._cells, cell)


def checked_quantiles(name: str, quantiles: Iterable[float], window_s: float) -> tuple[float, ...]:
    """
    Raises:
        ValueError: they are no shares, or there are none, or the window is empty.
    """
    shares = tuple(quantiles)
    if not shares or not all(isinstance(share, int | float) and 0 <= share <= 1 for share in shares):
        raise ValueError(f"{name}: quantiles lie between 0 and 1, such as (0.5, 0.95); got {shares}")
    if not window_s > 0:
        raise ValueError(f"{name}: window_s must be above 0; got {window_s!r}")
    return tuple(sorted(map(float, shares)))
