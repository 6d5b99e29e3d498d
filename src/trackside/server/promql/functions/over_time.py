"""`*_over_time`: one number from all samples of a window."""

from __future__ import annotations

from functools import partial

import numpy as np

from trackside.server.kernels import ranking, reductions
from trackside.server.promql.context import Context
from trackside.server.promql.functions.signature import Function
from trackside.server.promql.numbers import number_text
from trackside.server.promql.select import Kernel, over_windows
from trackside.server.promql.syntax import Call
from trackside.server.promql.vector import Value


def _nameless(kernel: Kernel) -> Function:
    def function(call: Call, context: Context) -> Value:
        return over_windows(call.args[0], context, kernel).without_name()

    return function


def _named(kernel: Kernel) -> Function:
    """The result is a sample of the series itself, so it keeps the series' name."""

    def function(call: Call, context: Context) -> Value:
        return over_windows(call.args[0], context, kernel)

    return function


def _quantile(call: Call, context: Context) -> Value:
    q = context.numbers(call.args[0])
    for value in np.unique(q[~((q >= 0) & (q <= 1))]).tolist():
        text = f"quantile value should be between 0 and 1, got {number_text(value)}"
        context.query.annotations.warn(text, call.args[0].span)
    return over_windows(call.args[1], context, partial(ranking.window_quantiles, q=q)).without_name()


FUNCTIONS: dict[str, Function] = {
    "sum_over_time": _nameless(reductions.total),
    "avg_over_time": _nameless(reductions.mean),
    "count_over_time": _nameless(reductions.count),
    "min_over_time": _nameless(reductions.lowest),
    "max_over_time": _nameless(reductions.highest),
    "stddev_over_time": _nameless(reductions.deviation),
    "stdvar_over_time": _nameless(reductions.variance),
    "present_over_time": _nameless(reductions.one),
    "mad_over_time": _nameless(ranking.window_deviations),
    "ts_of_min_over_time": _nameless(reductions.lowest_time_s),
    "ts_of_max_over_time": _nameless(reductions.highest_time_s),
    "ts_of_first_over_time": _nameless(reductions.first_time_s),
    "ts_of_last_over_time": _nameless(reductions.last_time_s),
    "last_over_time": _named(reductions.last),
    "first_over_time": _named(reductions.first),
    "quantile_over_time": _quantile,
}
