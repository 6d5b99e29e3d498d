"""Parts of dates, in UTC; of the current step's time without an argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from trackside.model.labels import Labels
from trackside.server.promql.context import Context
from trackside.server.promql.functions.signature import Function
from trackside.server.promql.syntax import Call
from trackside.server.promql.vector import Value, Vector
from trackside.server.series import Float64s

# Beyond this many seconds numpy's calendar overflows; nobody's clock goes there.
LONGEST_S = 1e14


def _part(compute: Callable[[Any], Any]) -> Function:
    """`compute` gets whole seconds as datetime64."""

    def function(call: Call, context: Context) -> Value:
        vector = context.vector(call.args[0]) if call.args else _now(context)
        return vector.with_values(_computed(vector.values, compute)).without_name()

    return function


def _now(context: Context) -> Vector:
    seconds = context.steps_ms[:, None] / 1000.0
    return Vector((Labels(),), seconds, np.ones(seconds.shape, dtype=bool), one_name=True)


def _computed(seconds: Float64s, compute: Callable[[Any], Any]) -> Float64s:
    valid = np.abs(seconds) <= LONGEST_S
    whole = np.where(valid, seconds, 0.0).astype(np.int64).astype("datetime64[s]")
    return np.where(valid, compute(whole).astype(np.float64), np.nan)


def _since(unit: str, start: str) -> Callable[[Any], Any]:
    """Whole `unit`s since the last whole `start`."""
    return lambda at: (at.astype(f"datetime64[{unit}]") - at.astype(f"datetime64[{start}]")).astype(np.int64)


def _days_in_month(at: Any) -> Any:
    month = at.astype("datetime64[M]")
    return ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)


FUNCTIONS: dict[str, Function] = {
    "minute": _part(_since("m", "h")),
    "hour": _part(_since("h", "D")),
    "day_of_week": _part(lambda at: (at.astype("datetime64[D]").astype(np.int64) + 4) % 7),
    "day_of_month": _part(lambda at: _since("D", "M")(at) + 1),
    "day_of_year": _part(lambda at: _since("D", "Y")(at) + 1),
    "days_in_month": _part(_days_in_month),
    "month": _part(lambda at: at.astype("datetime64[M]").astype(np.int64) % 12 + 1),
    "year": _part(lambda at: at.astype("datetime64[Y]").astype(np.int64) + 1970),
}
