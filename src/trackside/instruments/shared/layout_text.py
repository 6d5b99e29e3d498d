"""Layouts as text, so that a process can show families that only another one has made."""

from __future__ import annotations

import json
from typing import Any, get_args

from trackside.instruments.layout import Layout, Merge, Shown
from trackside.instruments.measured import Description
from trackside.model.metrics import MetricType

_MERGES = frozenset(get_args(Merge))
_MAX_WIDTH = 1_000_000


def text_of(layout: Layout) -> str:
    return json.dumps([layout.width, layout.merge, [_plain(one) for one in layout.shown], layout.detail])


def identity(layout: Layout) -> str:
    """Equal for layouts of which the cells may be added up, whatever their help texts say."""
    shown = []
    for one in layout.shown:
        described, *rest = _plain(one)
        shown.append([described[:2] + described[3:], *rest])
    # As numbers that were read back: what was 1 may be 1.0 by then.
    return json.dumps([layout.width, layout.merge, shown, tuple(map(float, layout.detail))])


def layout_from(text: str) -> Layout:
    """
    Raises:
        ValueError: it is none.
    """
    try:
        width, merge, plain, detail = json.loads(text)
        shown = tuple(_shown_from(one) for one in plain)
        layout = Layout(width, merge, shown, tuple(map(float, detail)))
        if type(width) is not int or not 0 < width <= _MAX_WIDTH or merge not in _MERGES or not shown:
            raise ValueError(text[:80])
        if any(not 0 <= start < stop <= width for one in shown for start, stop in one.columns):
            raise ValueError(text[:80])
    except (TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise ValueError(f"no layout of a table: {text[:80]!r}") from error
    return layout


def _plain(shown: Shown) -> list[Any]:
    about = shown.description
    described = [
        about.name,
        about.kind.value,
        about.help,
        about.label_names,
        about.unit,
        tuple(map(float, about.bounds)),
    ]
    return [described, shown.columns, shown.labels, shown.constant]


def _shown_from(plain: Any) -> Shown:
    (name, kind, help, label_names, unit, bounds), columns, labels, constant = plain
    about = Description(
        str(name), MetricType(kind), str(help), tuple(map(str, label_names)), str(unit), tuple(map(float, bounds))
    )
    found = Shown(
        about,
        tuple((int(start), int(stop)) for start, stop in columns),
        None if labels is None else tuple(map(int, labels)),
        tuple(map(str, constant)),
    )
    if not found.columns or (labels and min(found.labels or ()) < 0):
        raise ValueError(name)
    return found
