"""Aggregation operators: `sum by (…)`, `topk`, `quantile`, `count_values` and the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trackside.exceptions import QueryError
from trackside.model.labels import METRIC_NAME, Labels, quoted
from trackside.server.kernels import groups
from trackside.server.kernels.groups import Groups
from trackside.server.promql.context import Context
from trackside.server.promql.numbers import number_text, value_text
from trackside.server.promql.syntax import Aggregate
from trackside.server.promql.vector import Value, Vector, empty, united
from trackside.server.series import Bools, Float64s, Int64s

Reduction = Callable[[Float64s, Bools, Groups], Float64s]

_REDUCTIONS: dict[str, Reduction] = {
    "sum": groups.sums,
    "avg": groups.means,
    "min": groups.lowest,
    "max": groups.highest,
    "count": lambda _, present, of: groups.counts(present, of).astype(np.float64),
    "group": lambda values, _, of: np.ones((len(values), len(of.sizes))),
    "stdvar": groups.variances,
    "stddev": lambda values, present, of: np.sqrt(groups.variances(values, present, of)),
}


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    labels: tuple[Labels, ...]
    """One per group."""
    groups: Groups
    codes: Int64s
    """Shape (s,): the group of each series."""


def evaluate(expr: Aggregate, context: Context) -> Value:
    if expr.op in _REDUCTIONS:
        return _reduced(context.vector(expr.expr), expr, _REDUCTIONS[expr.op])
    special = _WITH_PARAMETER.get(expr.op)
    if special is None:
        raise QueryError(f"unknown aggregation operator {expr.op!r}")
    return special(expr, context)


def _reduced(vector: Vector, expr: Aggregate, reduction: Reduction) -> Vector:
    if not len(vector):
        return empty(len(vector.values))
    grouping = grouped(vector, expr.grouping, expr.without)
    values = reduction(vector.values, vector.present, grouping.groups)
    return _per_group(vector, grouping, values)


def _per_group(vector: Vector, grouping: Grouping, values: Float64s) -> Vector:
    if vector.present.all():
        return Vector(grouping.labels, values, np.ones(values.shape, dtype=bool))
    present = groups.counts(vector.present, grouping.groups) > 0
    return Vector(grouping.labels, values, present)


def grouped(vector: Vector, names: tuple[str, ...], without: bool) -> Grouping:
    """The groups of `by (names)` or `without (names)`, in the order of their first series."""
    if not names and not without:
        codes = np.zeros(len(vector), dtype=np.int64)
        return Grouping((Labels(),), Groups(np.arange(len(vector)), np.array([len(vector)])), codes)
    found: dict[tuple[tuple[str, str], ...], int] = {}
    if without:
        dropped = {*names, METRIC_NAME}
        keys = (tuple([pair for pair in labels.pairs if pair[0] not in dropped]) for labels in vector.named)
    else:
        kept = set(names)
        named = vector.labels if METRIC_NAME in kept else vector.named
        keys = (tuple([pair for pair in labels.pairs if pair[0] in kept]) for labels in named)
    codes = np.array([found.setdefault(key, len(found)) for key in keys], dtype=np.int64)
    return Grouping(tuple(map(Labels, found)), Groups.of(codes, len(found)), codes)


def _quantile(expr: Aggregate, context: Context) -> Value:
    assert expr.param is not None
    q = context.numbers(expr.param)
    vector = context.vector(expr.expr)
    for value in np.unique(q[~((q >= 0) & (q <= 1))]).tolist():
        text = f"quantile value should be between 0 and 1, got {number_text(value)}"
        context.query.annotations.warn(text, expr.param.span)
    return _reduced(vector, expr, lambda values, present, of: groups.quantiles(q, values, present, of))


def _top(expr: Aggregate, context: Context) -> Value:
    return _ranked(expr, context, sign=1.0)


def _bottom(expr: Aggregate, context: Context) -> Value:
    return _ranked(expr, context, sign=-1.0)


def _ranked(expr: Aggregate, context: Context, sign: float) -> Value:
    k = _whole_numbers(expr, context)
    vector = context.vector(expr.expr)
    if not len(vector):
        return vector
    grouping = grouped(vector, expr.grouping, expr.without)
    chosen = groups.k_largest(k, vector.values * sign, vector.present, grouping.groups)
    kept = vector.with_values(vector.values, chosen)
    if context.query.is_range or context.steps != 1:
        return kept.pruned()
    # An instant query shows the groups as they come, and within each the best first.
    key = -sign * kept.values[0]
    order = np.lexsort((key, np.isnan(key), grouping.codes))
    return kept.columns(order[chosen[0][order]])


def _whole_numbers(expr: Aggregate, context: Context) -> Int64s:
    assert expr.param is not None
    k = context.numbers(expr.param)
    if np.isnan(k).any():
        raise QueryError("Parameter value is NaN")
    if (np.abs(k) >= 2.0**63).any():
        raise QueryError(f"Scalar value {number_text(float(k[np.abs(k) >= 2.0**63][0]))} overflows int64")
    return k.astype(np.int64)


def _limit(expr: Aggregate, context: Context) -> Value:
    k = _whole_numbers(expr, context)
    vector = context.vector(expr.expr)
    if not len(vector):
        return vector
    grouping = grouped(vector, expr.grouping, expr.without)
    return vector.with_values(vector.values, groups.k_first(k, vector.present, grouping.groups)).pruned()


def _limit_ratio(expr: Aggregate, context: Context) -> Value:
    """A sample of the series that is the same every time, since it goes by their hash."""
    assert expr.param is not None
    ratio = context.numbers(expr.param)
    if np.isnan(ratio).any():
        raise QueryError("Ratio value is NaN")
    for value in np.unique(ratio[np.abs(ratio) > 1]).tolist():
        capped = f"ratio value should be between -1 and 1, got {number_text(value)}, capping to {value > 0 or -1:d}"
        context.query.annotations.warn(capped, expr.param.span)
    ratio = np.clip(ratio, -1, 1)[:, None]
    vector = context.vector(expr.expr)
    hashes = np.array([labels.stable_hash / 2.0**64 for labels in vector.labels])
    chosen = np.where(ratio >= 0, hashes < ratio, hashes >= 1.0 + ratio)
    return vector.with_values(vector.values, vector.present & chosen).pruned()


def _count_values(expr: Aggregate, context: Context) -> Value:
    assert expr.param is not None
    name = context.text(expr.param)
    check_label_name(name)
    vector = context.vector(expr.expr)
    named, values, present = [], [], []
    kept = (*expr.grouping, name) if not expr.without else tuple(n for n in expr.grouping if n != name)
    for value in np.unique(vector.values[vector.present]).tolist():
        text = value_text(value)
        named += [Labels.of({**labels.as_dict(), name: text}) for labels in vector.labels]
        values.append(vector.values)
        here = vector.values == value if value == value else np.isnan(vector.values)
        present.append(vector.present & here)
    if not named:
        return empty(context.steps)
    spread = Vector(tuple(named), np.concatenate(values, axis=1), np.concatenate(present, axis=1)).pruned()
    grouping = grouped(spread, kept, expr.without)
    counted = groups.counts(spread.present, grouping.groups).astype(np.float64)
    return united(_per_group(spread, grouping, counted))


def check_label_name(name: str) -> None:
    """
    Raises:
        QueryError: a label cannot be called so: it is empty or not UTF-8.
    """
    # The parser puts U+FFFD where an escape gives a byte that is no UTF-8.
    if not name or "\ufffd" in name:
        raise QueryError(f'invalid label name "{quoted(name)}"')


_WITH_PARAMETER: dict[str, Callable[[Aggregate, Context], Value]] = {
    "quantile": _quantile,
    "topk": _top,
    "bottomk": _bottom,
    "limitk": _limit,
    "limit_ratio": _limit_ratio,
    "count_values": _count_values,
}
