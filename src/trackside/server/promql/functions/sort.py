"""The order of an instant vector. A range result is always sorted by its labels."""

from __future__ import annotations

import re

import numpy as np

from trackside.server.promql.context import Context
from trackside.server.promql.functions.signature import Function
from trackside.server.promql.syntax import Call
from trackside.server.promql.vector import Value, Vector

_DIGITS = re.compile(r"(\d+)", re.ASCII)


def _by_value(sign: float) -> Function:
    def function(call: Call, context: Context) -> Value:
        vector = _unsorted(call, context)
        if context.steps != 1 or not len(vector):
            return vector
        key = sign * vector.values[0]
        # NaN comes last in both directions.
        return vector.columns(np.lexsort((key, np.isnan(key))))

    return function


def _by_label(descending: bool) -> Function:
    def function(call: Call, context: Context) -> Value:
        vector = _unsorted(call, context)
        names = [context.text(arg) for arg in call.args[1:]]
        labels = vector.labels
        keys = [([_natural(each.get(name)) for name in names], each.pairs) for each in labels]
        order = sorted(range(len(labels)), key=keys.__getitem__, reverse=descending)
        return vector.columns(np.array(order, dtype=np.intp))

    return function


def _unsorted(call: Call, context: Context) -> Vector:
    if context.query.is_range:
        text = "sort is ineffective for range queries since results are always ordered by labels"
        context.query.annotations.warn(text, call.span)
    return context.vector(call.args[0])


def _natural(text: str) -> list[tuple[int, str]]:
    """Sorts "web10" behind "web9"."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _DIGITS.split(text) if part]


FUNCTIONS: dict[str, Function] = {
    "sort": _by_value(1.0),
    "sort_desc": _by_value(-1.0),
    "sort_by_label": _by_label(descending=False),
    "sort_by_label_desc": _by_label(descending=True),
}
