"""How counters and gauges move within a window: `rate`, `increase`, `delta`, `deriv`, `resets` and their kin."""

from __future__ import annotations

from functools import partial

import numpy as np

from trackside.exceptions import QueryError
from trackside.model.labels import METRIC_NAME
from trackside.server.kernels import extrapolation, reductions, regression
from trackside.server.promql.context import Context
from trackside.server.promql.functions.signature import Function
from trackside.server.promql.numbers import number_text
from trackside.server.promql.select import Kernel, over_windows
from trackside.server.promql.syntax import Call
from trackside.server.promql.vector import Value, Vector
from trackside.server.series import Float64s

COUNTER_SUFFIXES = ("_total", "_sum", "_count", "_bucket")


def _of_counter(kernel: Kernel) -> Function:
    def function(call: Call, context: Context) -> Value:
        vector = over_windows(call.args[0], context, kernel, least=2)
        _note_other_names(vector, call, context)
        return vector.without_name()

    return function


def _note_other_names(vector: Vector, call: Call, context: Context) -> None:
    names = {labels.get(METRIC_NAME) for labels in (vector.named[:1] if vector.one_name else vector.named)}
    for name in sorted(names):
        if name and not name.endswith(COUNTER_SUFFIXES):
            text = f'metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "{name}"'
            context.query.annotations.info(text, call.args[0].span)


def _of_samples(kernel: Kernel, least: int = 2) -> Function:
    def function(call: Call, context: Context) -> Value:
        return over_windows(call.args[0], context, kernel, least).without_name()

    return function


def _predict_linear(call: Call, context: Context) -> Value:
    after_s = context.numbers(call.args[1])
    now_ms = context.steps_ms.astype(np.float64)
    kernel = partial(regression.predictions, after_s=after_s, now_ms=now_ms)
    return over_windows(call.args[0], context, kernel, least=2).without_name()


def _double_exponential_smoothing(call: Call, context: Context) -> Value:
    level, trend = context.numbers(call.args[1]), context.numbers(call.args[2])
    _check_factor(level, "smoothing")
    _check_factor(trend, "trend")
    kernel = partial(regression.smoothed, level_factor=level, trend_factor=trend)
    return over_windows(call.args[0], context, kernel, least=2).without_name()


def _check_factor(factor: Float64s, name: str) -> None:
    outside = factor[~((factor > 0) & (factor < 1))]
    if outside.size:
        raise QueryError(f"invalid {name} factor. Expected: 0 < factor < 1, got: {number_text(float(outside[0]))}")


FUNCTIONS: dict[str, Function] = {
    "rate": _of_counter(partial(extrapolation.rates, counter=True, per_second=True)),
    "increase": _of_counter(partial(extrapolation.rates, counter=True, per_second=False)),
    "delta": _of_samples(partial(extrapolation.rates, counter=False, per_second=False)),
    "irate": _of_samples(partial(extrapolation.instant_rates, counter=True, per_second=True)),
    "idelta": _of_samples(partial(extrapolation.instant_rates, counter=False, per_second=False)),
    "deriv": _of_samples(regression.slopes),
    "changes": _of_samples(reductions.changes, least=1),
    "resets": _of_samples(reductions.resets, least=1),
    "predict_linear": _predict_linear,
    "double_exponential_smoothing": _double_exponential_smoothing,
}
