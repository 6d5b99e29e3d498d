"""How the cells of several processes become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import add
from time import time
from typing import Any

from trackside.instruments import native, window
from trackside.instruments.layout import ADDED, Layout
from trackside.instruments.measured import LabelValues

Numbers = Sequence[float]
Theirs = Mapping[LabelValues, Any]
"""Of one table and the other processes: the cell of all of them where cells are added up; else of each process its id
and its cell."""
Together = list[tuple[LabelValues, Numbers]]


def together(layout: Layout, own: Together, theirs: Theirs, process_id: int) -> Together:
    """The cells that the families of `layout` are made of."""
    if layout.merge == "live":
        live = {_with(key, process_id): cell for key, cell in own if cell[1]}
        for key, cells in theirs.items():
            for other, cell in cells:
                if cell[1]:
                    live.setdefault(_with(key, other), cell)
        return list(live.items())
    if layout.merge == "window":
        return _quantiles(layout, own, theirs)
    if not theirs:
        return own
    if layout.merge in ADDED:
        found = [(key, tuple(map(add, cell, theirs[key])) if key in theirs else cell) for key, cell in own]
        mine = dict(found)
        found.extend((key, cell) for key, cell in theirs.items() if key not in mine)
        return found
    return _one_by_one(layout, own, theirs)


def _one_by_one(layout: Layout, own: Together, theirs: Theirs) -> Together:
    found: Together = []
    seen = set()
    for key, cell in own:
        seen.add(key)
        others = theirs.get(key)
        found.append((key, one(layout, [cell, *(other for _, other in others)]) if others else cell))
    found.extend((key, one(layout, [cell for _, cell in cells])) for key, cells in theirs.items() if key not in seen)
    return found


def one(layout: Layout, cells: Sequence[Numbers]) -> Numbers:
    """Of the same key and at least one cell."""
    if len(cells) == 1:
        return cells[0]
    if layout.merge in ADDED:
        total = cells[0]
        for cell in cells[1:]:
            total = tuple(map(add, total, cell))
        return total
    if layout.merge == "native":
        return _natives(cells, int(layout.detail[0]))
    # A gauge that a process has never set says nothing.
    touched = [cell for cell in cells if cell[1]] or [cells[0]]
    if layout.merge == "max":
        return max(touched, key=_value)
    if layout.merge == "min":
        return min(touched, key=_value)
    return max(touched, key=_set_at)


def _value(cell: Numbers) -> float:
    return cell[0]


def _set_at(cell: Numbers) -> float:
    return cell[1]


def _natives(cells: Sequence[Numbers], base: int) -> Numbers:
    total = list(cells[0])
    for cell in cells[1:]:
        total[:base] = map(add, total[:base], cell[:base])
        native.add(total, cell, base)
    return total


def _quantiles(layout: Layout, own: Together, theirs: Theirs) -> Together:
    length_s, *shares = layout.detail
    since_s = time() - length_s
    by_key: dict[LabelValues, list[Numbers]] = {}
    for key, cell in own:
        by_key.setdefault(key, []).append(cell)
    for key, cells in theirs.items():
        by_key.setdefault(key, []).extend(cell for _, cell in cells)
    found: Together = []
    for key, cells_of_key in by_key.items():
        ordered = window.observed(cells_of_key, since_s)
        if ordered:
            found.extend(((*key, f"{share:g}"), (window.quantile(ordered, share),)) for share in shares)
    return found


def _with(key: LabelValues, process_id: int) -> LabelValues:
    return (*key, str(process_id))
