"""The cells of one process in its file, beside those of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trackside.instruments import merging
from trackside.instruments.layout import Cell, Layout
from trackside.instruments.measured import LabelValues, ReportError
from trackside.instruments.shared.cellfile import CellFile
from trackside.instruments.shared.layout_text import identity
from trackside.instruments.shared.siblings import Siblings

_MIN_DROPPED_BYTES = 262_144


class SharedCells:
    def __init__(
        self, file: CellFile, siblings: Siblings, report: ReportError, make_anew: Callable[[], SharedCells | None]
    ) -> None:
        """`make_anew` moves all cells to a file without those that are not shown any more; what stands for this from
        then on, or None when that was not possible."""
        self.file = file
        self._siblings = siblings
        self._report = report
        self._make_anew = make_anew
        self._identities: dict[int, tuple[str, Layout]] = {}
        self._is_failing = False
        self._is_partly_private = False
        """Whether there are cells that have found no room in the file."""

    def new(self, layout: Layout, key: LabelValues, values: Sequence[float] = ()) -> Cell:
        """In memory, seen by this process only, where the file has no room for it."""
        if self.file.dropped_bytes > max(_MIN_DROPPED_BYTES, self.file.used_bytes // 2):
            self.file.dropped_bytes = 0
            anew = self._make_anew()
            if anew is not None:
                return anew.new(layout, key, values)
        begin = values or (layout.blank() if layout.merge == "native" else ())
        try:
            return self.file.add(layout, key, begin)
        except (OSError, ValueError):
            # Reporting makes a cell, too, at the first time.
            if not self._is_failing:
                self._is_failing = True
                self._report("share")
                self._is_failing = False
        self._is_partly_private = True
        return list(begin) or layout.blank()

    def hide(self, cell: Cell) -> None:
        self.file.hide(cell)

    def totals(self, layout: Layout, own: Callable[[], merging.Together], *, ask: bool) -> merging.Together:
        identity = self._identity(layout)
        if ask or self._is_partly_private:
            return merging.together(layout, own(), self._siblings.without_own(identity), 0)
        return list(self._siblings.of(identity).items())

    def theirs(self, layout: Layout) -> merging.Theirs:
        return self._siblings.of(self._identity(layout))

    def _identity(self, layout: Layout) -> str:
        known = self._identities.get(id(layout))
        if known is None:
            # With the layout, so that its id stays its own.
            known = self._identities[id(layout)] = (identity(layout), layout)
        return known[0]
