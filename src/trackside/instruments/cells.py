"""Where the values of a registry are: in memory, and once several processes serve one application, in files that all
of them read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import RLock, local
from typing import Any

from trackside.instruments.complaints import Complaints
from trackside.instruments.layout import ADDED, Cell, Layout
from trackside.instruments.measured import LabelValues, ReportError
from trackside.model.cheap_typing import Protocol

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.instruments.merging import Theirs, Together

Move = Callable[[Layout, LabelValues, Cell], Cell]
"""The new place of a cell, with its values."""


Trace = Callable[[], tuple[str, str] | None]
"""Trace and span id of what runs now."""


class Holder(Protocol):
    """Whoever has cells in its hands. Both are called with the registry's lock held."""

    def move(self, move: Move) -> None:
        """Exchange every cell for its new place."""

    def restart(self) -> None:
        """This process was forked: begin at zero, with cells that are new."""


class Sharing(Protocol):
    """The cells of one process among those of others."""

    def new(self, layout: Layout, key: LabelValues, values: Sequence[float] = ()) -> Cell: ...

    def hide(self, cell: Cell) -> None:
        """It is not shown any more."""

    def totals(self, layout: Layout, own: Callable[[], Together], *, ask: bool) -> Together:
        """What all processes held together when one looked last, for cells that are added up. `own` is asked for what
        is not shared, or for all of this process when `ask` is set."""

    def theirs(self, layout: Layout) -> Theirs:
        """What the others held when one looked last."""


class Cells:
    """The cells of one registry. A cell is read and changed under the lock only, and found anew each time: it may have
    moved meanwhile."""

    def __init__(self, lock: RLock, report: ReportError) -> None:
        self.lock = lock
        self.report = report
        self.complaints = Complaints()
        self.sharing: Sharing | None = None
        self.trace: Trace | None = None
        """Asked at each observation while somebody wants exemplars."""
        self.asks_functions = False
        """Whether any value is that of a function, which is called when it is read."""
        self._holders: list[Holder] = []
        self._alone = local()

    def new(self, layout: Layout, key: LabelValues) -> Cell:
        """Called with the lock held."""
        sharing = self.sharing
        return layout.blank() if sharing is None else sharing.new(layout, key)

    def hold(self, holder: Holder) -> None:
        with self.lock:
            self._holders.append(holder)

    def together(self, layout: Layout, own: Callable[[], Together], *, ask: bool = False) -> Together:
        """Cells of all processes, of which `own` are those of this one. `ask`: not all of its values are in cells."""
        from trackside.instruments.merging import together  # noqa: PLC0415 - an import cannot wait, a scrape can

        sharing = None if self.is_alone else self.sharing
        if sharing is None:
            return together(layout, own(), {}, os.getpid())
        if layout.merge in ADDED:
            # File by file, ours among them: to add ours one by one would take as long as all the rest.
            return sharing.totals(layout, own, ask=ask)
        return together(layout, own(), sharing.theirs(layout), os.getpid())

    @property
    def is_alone(self) -> bool:
        """Whether this thread wants to see the cells of this process only."""
        return getattr(self._alone, "is_on", False)

    @contextmanager
    def alone(self) -> Iterator[None]:
        before, self._alone.is_on = self.is_alone, True
        try:
            yield
        finally:
            self._alone.is_on = before

    def detached(self, cell: Any) -> Cell:
        """For who goes on counting into a cell that is not shown any more. Called with the lock held."""
        alone = list(cell)
        if not isinstance(cell, list) and self.sharing is not None:
            self.sharing.hide(cell)
        return alone

    def move_to(self, sharing: Sharing) -> None:
        """From now on cells are there, with the values they have."""
        with self.lock:
            self.sharing = sharing
            for holder in self._holders:
                holder.move(sharing.new)

    def restart_in(self, sharing: Sharing | None) -> None:
        """From now on cells are there, and count from zero."""
        with self.lock:
            self.sharing = sharing
            for holder in self._holders:
                holder.restart()


class Unplaced(list[float]):
    """A cell that finds its place when it is first counted into. Of thousands that a forked process inherits it may
    need three."""

    __slots__ = ("_place", "_placed")

    def __init__(self, layout: Layout, place: Callable[[], Cell]) -> None:
        super().__init__(layout.blank())
        self._place = place
        self._placed: Cell | None = None

    def __setitem__(self, at: Any, value: Any) -> None:
        # Who changes two numbers of a cell found it before the first.
        if self._placed is None:
            self._placed = self._place()
        self._placed[at] = value
        super().__setitem__(at, value)
