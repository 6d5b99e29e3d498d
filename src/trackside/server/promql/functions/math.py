"""Functions of single values: rounding, clamping, logarithms, trigonometry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from trackside.server.promql.context import Context
from trackside.server.promql.functions.signature import Function
from trackside.server.promql.syntax import Call
from trackside.server.promql.vector import Value
from trackside.server.series import Float64s


def _each(compute: Callable[[Any], Any]) -> Function:
    def function(call: Call, context: Context) -> Value:
        vector = context.vector(call.args[0])
        return vector.with_values(compute(vector.values)).without_name()

    return function


def _round(call: Call, context: Context) -> Value:
    """To the nearest multiple; half is rounded up. Through the inverse, as Prometheus does, for the same last digit."""
    vector = context.vector(call.args[0])
    inverse = 1.0 / (context.numbers(call.args[1])[:, None] if len(call.args) > 1 else np.float64(1))
    return vector.with_values(np.floor(vector.values * inverse + 0.5) / inverse).without_name()


def _clamp(call: Call, context: Context) -> Value:
    return _clamped(call, context, context.numbers(call.args[1]), context.numbers(call.args[2]))


def _clamp_min(call: Call, context: Context) -> Value:
    return _clamped(call, context, context.numbers(call.args[1]), np.full(context.steps, np.inf))


def _clamp_max(call: Call, context: Context) -> Value:
    return _clamped(call, context, np.full(context.steps, -np.inf), context.numbers(call.args[1]))


def _clamped(call: Call, context: Context, lowest: Float64s, highest: Float64s) -> Value:
    vector = context.vector(call.args[0])
    values = np.maximum(lowest[:, None], np.minimum(highest[:, None], vector.values))
    impossible = (highest < lowest)[:, None]
    return vector.with_values(values, vector.present & ~impossible).without_name()


FUNCTIONS: dict[str, Function] = {
    "abs": _each(np.abs),
    "ceil": _each(np.ceil),
    "floor": _each(np.floor),
    "exp": _each(np.exp),
    "sqrt": _each(np.sqrt),
    "ln": _each(np.log),
    "log2": _each(np.log2),
    "log10": _each(np.log10),
    "sgn": _each(np.sign),
    "sin": _each(np.sin),
    "cos": _each(np.cos),
    "tan": _each(np.tan),
    "asin": _each(np.arcsin),
    "acos": _each(np.arccos),
    "atan": _each(np.arctan),
    "sinh": _each(np.sinh),
    "cosh": _each(np.cosh),
    "tanh": _each(np.tanh),
    "asinh": _each(np.arcsinh),
    "acosh": _each(np.arccosh),
    "atanh": _each(np.arctanh),
    "deg": _each(lambda values: values * 180 / np.pi),
    "rad": _each(lambda values: values * np.pi / 180),
    "round": _round,
    "clamp": _clamp,
    "clamp_min": _clamp_min,
    "clamp_max": _clamp_max,
}
