"""Between scalars and vectors, and what a query knows of itself: `scalar`, `vector`, `time`, `timestamp`, `step`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from trackside.model.labels import Labels
from trackside.server.promql.context import Context
from trackside.server.promql.functions.signature import Function
from trackside.server.promql.select import timestamps, unwrapped
from trackside.server.promql.syntax import Call, VectorSelector
from trackside.server.promql.vector import Numbers, Value, Vector


def _scalar(call: Call, context: Context) -> Value:
    """The value of the only series; NaN where there is none or more than one."""
    vector = context.vector(call.args[0])
    if not len(vector):
        return context.constant(np.nan)
    single = vector.present.sum(axis=1) == 1
    column = vector.present.argmax(axis=1)
    return Numbers(np.where(single, vector.values[np.arange(context.steps), column], np.nan))


def _vector(call: Call, context: Context) -> Value:
    values = context.numbers(call.args[0])[:, None]
    return Vector((Labels(),), values, np.ones(values.shape, dtype=bool), one_name=True)


def _time(call: Call, context: Context) -> Value:
    return Numbers(context.steps_ms / 1000.0)


def _timestamp(call: Call, context: Context) -> Value:
    """Of the sample, if a selector is asked directly; whatever is computed is as old as its step."""
    inner = unwrapped(call.args[0])
    if isinstance(inner, VectorSelector):
        return timestamps(inner, context).without_name()
    vector = context.vector(inner)
    values = np.broadcast_to(context.steps_ms[:, None] / 1000.0, vector.values.shape)
    return vector.with_values(values).without_name()


def _of_query(seconds: Callable[[Context], float]) -> Function:
    return lambda call, context: context.constant(seconds(context))


def _of_two(compute: Callable[[Any, Any], Any]) -> Function:
    def function(call: Call, context: Context) -> Value:
        return Numbers(compute(context.numbers(call.args[0]), context.numbers(call.args[1])))

    return function


FUNCTIONS: dict[str, Function] = {
    "scalar": _scalar,
    "vector": _vector,
    "time": _time,
    "timestamp": _timestamp,
    "pi": _of_query(lambda context: np.pi),
    "start": _of_query(lambda context: context.query.start_ms / 1000.0),
    "end": _of_query(lambda context: context.query.end_ms / 1000.0),
    "step": _of_query(lambda context: context.query.step_ms / 1000.0),
    "range": _of_query(lambda context: (context.query.end_ms - context.query.start_ms) / 1000.0),
    "min_of": _of_two(np.minimum),
    "max_of": _of_two(np.maximum),
}
