"""What the cells of a table hold, and which families are made of them: enough to show cells that another process
filled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from trackside.instruments.measured import Description, LabelValues, Raw, Row
from trackside.model.cheap_typing import NamedTuple

Cell = list[float]
"""The numbers of one label set, changed in place under the registry's lock: in memory, or in a file that other
processes read, when it is a memoryview that one number more is behind: whether it is shown."""

Merge = Literal["sum", "native", "total", "max", "min", "last", "live", "window"]
"""How the cells of several processes become one: added up, added up as native histograms, and of gauges the sum, the
highest, the lowest, the one set last, each by itself, or the quantiles of all that they observed."""

ADDED: frozenset[str] = frozenset(("sum", "total"))
"""What is added up number by number."""

SURVIVING: frozenset[str] = frozenset(("sum", "native", "last"))
"""What is still shown when the process that counted it is gone."""

NATIVE_SCHEMA = 1
"""Place of the resolution in the native part of a histogram's cell: the only number of one that begins above zero."""

WITH_A_LABEL: frozenset[str] = frozenset(("live", "window"))
"""What is shown with one label more than the cells have: the process, the quantile."""


# Named tuples, not dataclasses: what those generate costs the importing application half a millisecond each.
class Shown(NamedTuple):
    """One family made of the cells of a table: each of its numbers is the sum of some of theirs."""

    description: Description
    columns: tuple[tuple[int, int], ...]
    """Of each raw value the cell's numbers that are added up: (first, beyond the last)."""
    labels: tuple[int, ...] | None = None
    """Which of the key's values are its labels, in their order; what has the same is added up. None: all of them."""
    constant: tuple[str, ...] = ()
    """Values of the labels that come after those."""

    def rows(self, cells: Sequence[tuple[LabelValues, Sequence[float]]]) -> list[Row]:
        """Of cells that are all equally long."""
        pick, labels = self._picker(), self.labels
        if labels is None:
            constant = self.constant
            width = len(self.columns)
            if not constant and self.columns[-1] == (width - 1, width) and cells and len(cells[0][1]) == width:
                return list(cells)  # type: ignore[arg-type]
            return [(key + constant, pick(cell)) for key, cell in cells]
        sums: dict[LabelValues, Raw] = {}
        for key, cell in cells:
            shown = (*(key[at] for at in labels), *self.constant)
            known = sums.get(shown)
            raw = pick(cell)
            sums[shown] = raw if known is None else tuple(a + b for a, b in zip(known, raw, strict=True))
        return list(sums.items())

    def _picker(self) -> Callable[[Sequence[float]], Raw]:
        first, *rest = self.columns
        if not _is_slice(rest) or first[1] != first[0] + 1:
            return lambda cell: tuple([sum(cell[start:stop]) for start, stop in self.columns])
        # The usual case by far, and ten times as fast: a number, and those that stand in a row.
        at = first[0]
        start, stop = (rest[0][0], rest[-1][1]) if rest else (0, 0)
        if start == at + 1:
            return lambda cell: tuple(cell[at:stop])
        return lambda cell: (cell[at], *cell[start:stop])


def _is_slice(columns: Sequence[tuple[int, int]]) -> bool:
    return all(stop == start + 1 for start, stop in columns) and all(a[1] == b[0] for a, b in pairwise(columns))


class Layout(NamedTuple):
    """Of one table. Tables of equal layout are one table, in whatever process."""

    width: int
    """Numbers in a cell."""
    merge: Merge
    shown: tuple[Shown, ...]
    detail: tuple[float, ...] = ()
    """What the merging needs to know besides: where the native part of a histogram begins; of a window its seconds and
    its quantiles."""

    @property
    def added_up(self) -> int:
        """How many of a cell's numbers are, where that is its merge: of a gauge not whether it was ever set."""
        return 1 if self.merge == "total" else self.width

    def blank(self) -> list[float]:
        """A cell that has counted nothing. Whole numbers, until something else is added: they are written fastest."""
        cell: list[float] = [0] * self.width
        if self.merge == "native":
            base, schema = self.detail
            cell[int(base) + NATIVE_SCHEMA] = schema
        return cell

    def takes(self, key: LabelValues) -> bool:
        """Whether `key` has as many values as the families have labels."""
        added = self.merge in WITH_A_LABEL
        return all(
            len(one.description.label_names)
            == added + len(one.constant) + len(key if one.labels is None else one.labels)
            and (one.labels is None or max(one.labels, default=-1) < len(key))
            for one in self.shown
        )


def columns(start: int, stop: int) -> tuple[tuple[int, int], ...]:
    """Each number by itself."""
    return tuple((at, at + 1) for at in range(start, stop))
