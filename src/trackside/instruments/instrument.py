"""What counters, gauges and histograms share: children by label values, kept, capped, and never raising once made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import partial
from time import time
from typing import Any, Generic, TypeVar

from trackside.instruments.cells import Cells, Move, Unplaced
from trackside.instruments.layout import WITH_A_LABEL, Cell, Layout
from trackside.instruments.measured import OVERFLOW, Description, LabelValues, Observed, Raw, Row

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.instruments.merging import Together


class Child:
    """One label set of an instrument."""

    __slots__ = ("_cells", "_lock", "_report", "cell", "observed")

    def __init__(self, cells: Cells, cell: Cell) -> None:
        self.cell = cell
        """Read anew under the lock for each change: cells move."""
        self.observed: dict[int, Observed] | None = None
        """The last observation of each of its numbers that belonged to a trace."""
        self._cells = cells
        self._lock = cells.lock
        self._report = cells.report

    def raw(self) -> Raw | None:
        """The numbers of its cell; None when they cannot be had now."""
        with self._lock:
            return tuple(self.cell)

    def _refuse(self) -> None:
        """What it was given is no number, or none that it can count: not worth failing a request."""
        self._report("value")
        # Without the value, which may be anybody's; the stack says whose call it is.
        text = (
            "a metric was given what is no number, or a number that it cannot count: the call below had no effect;"
            " further ones of this kind are only counted (trackside_sdk_errors_total)"
        )
        self._cells.complaints.once(("value",), text, stack=True)

    def _remember(self, at: int, value: float) -> None:
        """For an exemplar, if this belongs to a trace."""
        trace = self._cells.trace and self._cells.trace()
        if trace:
            if self.observed is None:
                self.observed = {}
            self.observed[at] = Observed(*trace, float(value), time())


_AT_ONCE = 64

ChildT = TypeVar("ChildT", bound=Child)


class Instrument(ABC, Generic[ChildT]):
    """A family whose values the application sets. Made by a registry, which gives equal ones out once.

    Making one with bad names raises; using one never does: what cannot be counted is counted as an internal error.
    """

    def __init__(self, description: Description, layout: Layout, cells: Cells, max_series: int) -> None:
        # Re-entrant: a signal handler or finalizer that counts while its thread has the lock must not wait for itself.
        self._lock = cells.lock
        self._cells = cells
        self._report = cells.report
        self._children: dict[LabelValues, ChildT] = {}
        self._overflow: ChildT | None = None
        self.description = description
        self.layout = layout
        self.max_series = max_series
        """Label sets beyond it share one series, whose labels all say "(overflow)"."""
        # The last label of some gauges is ours: the process, the quantile.
        self.label_names = description.label_names[: -1 if layout.merge in WITH_A_LABEL else None]
        """Those that the application gives."""
        cells.hold(self)
        if not self.label_names:
            self.labels()

    @abstractmethod
    def _new_child(self, cell: Cell) -> ChildT: ...

    def labels(self, *values: object, **named: object) -> ChildT:
        """The child of these label values, by position or by name. A wrong number of values or a wrong name gives a
        child that is never shown."""
        if not named:
            try:
                # Only tuples of text are kept, so whatever is equal to one has the same text.
                child = self._children.get(values)  # type: ignore[arg-type]
            except Exception:  # noqa: BLE001 - values of a foreign type may refuse to be hashed or compared
                child = None
            if child is not None:
                return child
        try:
            return self._child(self._texts(values, named))
        except Exception:  # noqa: BLE001 - a wrong label must not fail the request that is being counted
            self._wrong_labels(values, named)
            return self._new_child(self.layout.blank())

    def preset(self, *label_sets: Iterable[object]) -> None:
        """Show these label sets from the start, with nothing counted, so that their first increase is seen."""
        for values in label_sets:
            self.labels(*values)

    def remove(self, *values: object) -> None:
        """Stop showing one label set. Who kept its child goes on counting unseen. Where several processes serve one
        application it is this one's share that is gone."""
        try:
            with self._lock:
                child = self._children.pop(self._texts(values, {}), None)
                if child is not None:
                    child.cell = self._cells.detached(child.cell)
        except Exception:  # noqa: BLE001 - see `labels`
            self._wrong_labels(values, {})

    def clear(self) -> None:
        with self._lock:
            for _, child in self._all():
                child.cell = self._cells.detached(child.cell)
            self._children.clear()
            self._overflow = None
        if not self.label_names:
            self.labels()

    def rows(self) -> list[Row]:
        return self.layout.shown[0].rows(self._cells.together(self.layout, self._own))

    def _own(self) -> Together:
        """What this process has."""
        with self._lock:
            children = self._all()
        width = self.layout.width
        found: Together = []
        # The lock not once for each, and never for long.
        for at in range(0, len(children), _AT_ONCE):
            with self._lock:
                found += [(values, _numbers(child.cell, width)) for values, child in children[at : at + _AT_ONCE]]
        return found

    def observed(self) -> Mapping[LabelValues, Mapping[int, Observed]]:
        """By label values and place in a raw value, what is known of this process' last traces."""
        with self._lock:
            return {values: dict(child.observed) for values, child in self._all() if child.observed}

    def move(self, move: Move) -> None:
        for values, child in self._all():
            child.cell = move(self.layout, values, child.cell)

    def restart(self) -> None:
        for values, child in self._all():
            child.cell = Unplaced(self.layout, partial(self._place, values, child))
            child.observed = None

    def _place(self, values: LabelValues, child: ChildT) -> Cell:
        child.cell = self._cells.new(self.layout, values)
        return child.cell

    def _all(self) -> list[tuple[LabelValues, ChildT]]:
        children = list(self._children.items())
        if self._overflow is not None:
            children.append(((OVERFLOW,) * len(self.label_names), self._overflow))
        return children

    def _texts(self, values: tuple[object, ...], named: dict[str, object]) -> LabelValues:
        names = self.label_names
        if named:
            if values or len(named) != len(names):
                raise ValueError
            values = tuple(named[name] for name in names)
        elif len(values) != len(names):
            raise ValueError
        return tuple(map(_text, values))

    def _wrong_labels(self, values: tuple[object, ...], named: dict[str, object]) -> None:
        self._report("labels")
        names = self.label_names
        if values and named:
            reason = "both positions and names were given"
        elif not values and not named:
            reason = "none was given"
        elif named and set(named) != set(names):
            reason = "other names were given"
        elif values and len(values) != len(names):
            reason = f"{'more' if len(values) > len(names) else 'fewer'} values were given"
        else:
            reason = "a value has no text"
        # Without the values and the names that were given: they may be anybody's.
        text = (
            "%s has the labels (%s), but %s: the call had no effect; further ones of this kind are only counted"
            " (trackside_sdk_errors_total)"
        )
        name = self.description.name
        self._cells.complaints.once(("labels", name, reason), text, name, ", ".join(names), reason)

    def _child(self, texts: LabelValues) -> ChildT:
        with self._lock:
            child = self._children.get(texts)
            if child is not None:
                return child
            if len(self._children) < self.max_series or not texts:
                return self._children.setdefault(texts, self._new_child(self._cells.new(self.layout, texts)))
            if self._overflow is None:
                self._overflow = self._new_child(self._cells.new(self.layout, (OVERFLOW,) * len(texts)))
            return self._overflow


def _numbers(cell: Any, width: int) -> Raw:
    # Item by item, a view of a file would take three times as long.
    return tuple(cell[:width]) if isinstance(cell, list) else tuple(cell.tolist()[:width])


def _text(value: object) -> str:
    # A str enumeration is equal to its text but prints otherwise: take the text, as a look-up does.
    text = str.__str__(value) if isinstance(value, str) else str(value)
    # Half a surrogate pair (undecodable bytes of a path) cannot be written as UTF-8.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
