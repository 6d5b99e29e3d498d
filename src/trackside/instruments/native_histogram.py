"""Histograms that find their buckets by themselves, beside given ones or instead of them.

The text formats have no place for such buckets: there a native histogram shows its given buckets, or else count and
sum only. Who can carry more, as protobuf and remote write can, reads `native_rows`.
"""

from __future__ import annotations

from bisect import bisect_left

from trackside.instruments import native
from trackside.instruments.cells import Cells
from trackside.instruments.histogram import Histogram, HistogramChild
from trackside.instruments.layout import Cell, Layout, Shown, columns
from trackside.instruments.measured import LARGEST, Description, LabelValues, Raw, plain
from trackside.model.metrics import NativeBuckets

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.instruments.merging import Together


class NativeHistogramChild(HistogramChild):
    """Its cell is that of an ordinary histogram, and behind it the native part."""

    __slots__ = ("_base",)

    def __init__(self, bounds: tuple[float, ...], cells: Cells, cell: Cell) -> None:
        super().__init__(bounds, cells, cell)
        self._base = len(bounds) + 2

    def observe(self, value: float) -> None:
        """A finite number; anything else changes nothing and counts as an internal error."""
        try:
            if type(value) is not float and type(value) is not int:
                value = plain(value)
            if -LARGEST <= value <= LARGEST:
                bucket = bisect_left(self._bounds, value) + 1
                with self._lock:
                    cell = self.cell
                    native.observe(cell, self._base, float(value))
                    cell[0] += value
                    cell[bucket] += 1
                if self._cells.trace is not None:
                    self._remember(bucket, value)
                return
        except Exception:  # noqa: BLE001 - no number at all: not worth failing a request
            pass
        self._refuse()

    def add(self, raw: Raw) -> None:
        """Everything that another child has observed, given as its whole cell."""
        with self._lock:
            super().add(raw[: self._base])
            native.add(self.cell, raw, self._base)


class NativeHistogram(Histogram):
    def __init__(self, description: Description, schema: int, cells: Cells, max_series: int) -> None:
        base = len(description.bounds) + 2
        layout = Layout(base + native.WIDTH, "native", (Shown(description, columns(0, base)),), (base, schema))
        super().__init__(description, cells, max_series, layout)
        self.schema = schema
        """The resolution it begins with."""

    def native_rows(self) -> list[tuple[LabelValues, float, NativeBuckets]]:
        """Label values, sum and buckets, of all processes."""
        return [(key, cell[0], native.snapshot(cell, self.base)) for key, cell in self.cells()]

    def cells(self) -> Together:
        return self._cells.together(self.layout, self._own)

    @property
    def base(self) -> int:
        """Where in a cell its native part begins."""
        return int(self.layout.detail[0])

    def _new_child(self, cell: Cell) -> NativeHistogramChild:
        return NativeHistogramChild(self.description.bounds, self._cells, cell)


def checked_schema(name: str, schema: int) -> int:
    """
    Raises:
        ValueError: there is no such resolution.
    """
    if type(schema) is not int or not native.MIN_SCHEMA <= schema <= native.MAX_SCHEMA:
        raise ValueError(
            f"{name}: schema is a whole number from {native.MIN_SCHEMA} to {native.MAX_SCHEMA}: {schema!r}"
        )
    return schema
