"""All functions by name."""

from __future__ import annotations

from trackside.server.promql.functions import (
    absence,
    date,
    histogram,
    label,
    math,
    over_time,
    rate,
    scalar,
    sort,
)
from trackside.server.promql.functions.signature import Function

FUNCTIONS: dict[str, Function] = {
    name: function
    for family in (absence, date, histogram, label, math, over_time, rate, scalar, sort)
    for name, function in family.FUNCTIONS.items()
}
