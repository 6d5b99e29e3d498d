"""What each function takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trackside.server.promql.syntax import ValueType

_SCALAR, _STRING, _VECTOR, _MATRIX = ValueType.SCALAR, ValueType.STRING, ValueType.VECTOR, ValueType.MATRIX


@dataclass(frozen=True, slots=True)
class Signature:
    args: tuple[ValueType, ...]
    """Of the arguments; the last one is the type of all that follow when there may be more."""
    optional: int = 0
    """How many of `args` may be left out, counted from the end."""
    variadic: bool = False
    """Whether the last argument may be repeated without end."""
    returns: ValueType = _VECTOR
    experimental: bool = False
    """Whether Prometheus has it only behind a feature flag, and may still change it."""


def _of(*args: ValueType, optional: int = 0, variadic: bool = False, returns: ValueType = _VECTOR) -> Signature:
    return Signature(args, optional, variadic, returns)


_VECTOR_ONLY = (
    "abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor histogram_avg histogram_count "
    "histogram_stddev histogram_stdvar histogram_sum ln log10 log2 rad sgn sin sinh sort sort_desc sqrt tan tanh "
    "timestamp"
)
_MATRIX_ONLY = (
    "absent_over_time avg_over_time changes count_over_time delta deriv first_over_time idelta increase irate "
    "last_over_time mad_over_time max_over_time min_over_time present_over_time rate resets stddev_over_time "
    "stdvar_over_time sum_over_time ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time ts_of_min_over_time"
)
_DATES = "day_of_month day_of_week day_of_year days_in_month hour minute month year"

_EXPERIMENTAL = (
    "double_exponential_smoothing end first_over_time histogram_quantiles mad_over_time max_of min_of range "
    "sort_by_label sort_by_label_desc start step ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time "
    "ts_of_min_over_time"
)

_ALL: dict[str, Signature] = {
    **dict.fromkeys(_VECTOR_ONLY.split(), _of(_VECTOR)),
    **dict.fromkeys(_MATRIX_ONLY.split(), _of(_MATRIX)),
    **dict.fromkeys(_DATES.split(), _of(_VECTOR, optional=1)),
    **dict.fromkeys(("start", "end", "step", "range"), _of(returns=_SCALAR)),
    **dict.fromkeys(("min_of", "max_of"), _of(_SCALAR, _SCALAR, returns=_SCALAR)),
    "clamp": _of(_VECTOR, _SCALAR, _SCALAR),
    "clamp_max": _of(_VECTOR, _SCALAR),
    "clamp_min": _of(_VECTOR, _SCALAR),
    "double_exponential_smoothing": _of(_MATRIX, _SCALAR, _SCALAR),
    "histogram_fraction": _of(_SCALAR, _SCALAR, _VECTOR),
    "histogram_quantile": _of(_SCALAR, _VECTOR),
    "histogram_quantiles": _of(_VECTOR, _STRING, _SCALAR, variadic=True),
    "label_join": _of(_VECTOR, _STRING, _STRING, _STRING, optional=1, variadic=True),
    "label_replace": _of(_VECTOR, _STRING, _STRING, _STRING, _STRING),
    "pi": _of(returns=_SCALAR),
    "predict_linear": _of(_MATRIX, _SCALAR),
    "quantile_over_time": _of(_SCALAR, _MATRIX),
    "round": _of(_VECTOR, _SCALAR, optional=1),
    "scalar": _of(_VECTOR, returns=_SCALAR),
    "sort_by_label": _of(_VECTOR, _STRING, optional=1, variadic=True),
    "sort_by_label_desc": _of(_VECTOR, _STRING, optional=1, variadic=True),
    "time": _of(returns=_SCALAR),
    "vector": _of(_SCALAR),
}

SIGNATURES: dict[str, Signature] = {
    name: replace(signature, experimental=name in _EXPERIMENTAL.split()) for name, signature in _ALL.items()
}

REPLACED = {
    "holt_winters": "since Prometheus 3.0 it is called double_exponential_smoothing",
    "info": "it is experimental in Prometheus; join with the info metric instead, as in x * on (instance) "
    "group_left (version) target_info",
    "start_timestamp": "it is experimental in Prometheus, and not supported",
}
"""Functions one may have read of, and what to do without them."""

AGGREGATIONS: dict[str, ValueType | None] = {
    "avg": None,
    "bottomk": _SCALAR,
    "count": None,
    "count_values": _STRING,
    "group": None,
    "limit_ratio": _SCALAR,
    "limitk": _SCALAR,
    "max": None,
    "min": None,
    "quantile": _SCALAR,
    "stddev": None,
    "stdvar": None,
    "sum": None,
    "topk": _SCALAR,
}
"""Aggregation operators, and the type of the parameter of those that take one."""

COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))
SET_OPERATORS = frozenset(("and", "or", "unless"))
