"""Classic histograms: `histogram_quantile` and `histogram_fraction` over series with `le`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trackside.exceptions import QueryError
from trackside.model.labels import METRIC_NAME, Labels, quoted
from trackside.server.kernels import buckets, groups
from trackside.server.kernels.groups import Groups
from trackside.server.promql.aggregate import Grouping, check_label_name, grouped
from trackside.server.promql.context import Context
from trackside.server.promql.functions.signature import Function
from trackside.server.promql.numbers import bucket_bound, number_text
from trackside.server.promql.syntax import Call, Expr
from trackside.server.promql.vector import Value, Vector, empty, joined, united, unnamed
from trackside.server.series import Bools, Float64s

BUCKET_LABEL = "le"
Compute = Callable[[Float64s, Float64s, NDArray[np.intp]], Float64s]
"""From the upper bounds (b,), the counts (r, b) and the step of each row (r,)."""


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """Histograms with the same bounds."""

    bounds: Float64s
    """Shape (b,), rising."""
    which: NDArray[np.intp]
    """Shape (k,): the histograms."""
    columns: NDArray[np.intp]
    """Shape (k, b): the column of each bucket."""


@dataclass(frozen=True, slots=True, eq=False)
class _Histograms:
    labels: tuple[Labels, ...]
    """One per histogram, without `le` and name."""
    name: str
    """Of the series, for messages; "" if dropped."""
    layouts: tuple[_Layout, ...]
    values: Float64s
    present: Bools
    """Shape (t, buckets)."""


def _quantile(call: Call, context: Context) -> Value:
    q = _checked_quantile(call.args[0], context)
    vector = context.vector(call.args[1])
    return _quantiles_of(_histograms(vector, call.args[1], context), q, call.args[1], context)


def _quantiles(call: Call, context: Context) -> Value:
    """Several quantiles at once, told apart by a label."""
    histograms = _histograms(context.vector(call.args[0]), call.args[0], context)
    name = context.text(call.args[1])
    check_label_name(name)
    found = []
    for arg in call.args[2:]:
        q = _checked_quantile(arg, context)
        vector = _quantiles_of(histograms, q, call.args[0], context)
        text = number_text(float(q[0]))
        found.append(replace(vector, named=tuple(each.merged(Labels.of({name: text})) for each in vector.named)))
    return united(joined(found, context.steps))


def _checked_quantile(arg: Expr, context: Context) -> Float64s:
    q = context.numbers(arg)
    for value in np.unique(q[~((q >= 0) & (q <= 1))]).tolist():
        context.query.annotations.warn(f"quantile value should be between 0 and 1, got {number_text(value)}", arg.span)
    return q


def _quantiles_of(histograms: _Histograms, q: Float64s, arg: Expr, context: Context) -> Vector:
    forced = False

    def compute(bounds: Float64s, counts: Float64s, steps: NDArray[np.intp]) -> Float64s:
        nonlocal forced
        fixed = buckets.monotonic(counts)
        forced = forced or bool(fixed.forced.any())
        return buckets.quantiles(q[steps], bounds, fixed.counts)

    vector = _computed(histograms, context.steps, compute)
    if forced:
        named = f' for metric name "{quoted(histograms.name)}"' if histograms.name else ""
        context.query.annotations.info(
            "input to histogram_quantile needed to be fixed for monotonicity (see "
            f"https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){named}",
            arg.span,
        )
    return vector


def _fraction(call: Call, context: Context) -> Value:
    lower, upper = context.numbers(call.args[0]), context.numbers(call.args[1])

    def compute(bounds: Float64s, counts: Float64s, steps: NDArray[np.intp]) -> Float64s:
        return buckets.fractions(lower[steps], upper[steps], bounds, counts)

    histograms = _histograms(context.vector(call.args[2]), call.args[2], context)
    return _computed(histograms, context.steps, compute)


def _histograms(vector: Vector, arg: Expr, context: Context) -> _Histograms:
    bounds = [bucket_bound(labels.get(BUCKET_LABEL)) for labels in vector.named]
    for labels, bound in zip(vector.named, bounds, strict=True):
        if bound is None:
            name = "" if vector.nameless else labels.get(METRIC_NAME)
            named = f' for metric name "{quoted(name)}"' if name else ""
            value = quoted(labels.get(BUCKET_LABEL))
            text = f'bucket label "le" is missing or has a malformed value of "{value}"{named}'
            context.query.annotations.warn(text, arg.span)
    if any(bound is None for bound in bounds):
        vector = vector.columns(np.array([bound is not None for bound in bounds], dtype=bool))
    numbers = np.array([bound for bound in bounds if bound is not None])
    if not len(vector):
        return _Histograms((), "", (), vector.values, vector.present)
    grouping = _by_histogram(vector)
    # Buckets in the order of their bounds within each histogram; equal bounds, however written, are one bucket.
    order = np.lexsort((numbers, grouping.codes))
    codes, numbers = grouping.codes[order], numbers[order]
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (codes[1:] != codes[:-1]) | (numbers[1:] != numbers[:-1])
    values, present = vector.values[:, order], vector.present[:, order]
    if not fresh.all():
        same = Groups(np.arange(len(order)), np.diff(np.flatnonzero(fresh), append=len(order)))
        values, present = groups.sums(values, present, same), groups.counts(present, same) > 0
    name = "" if vector.nameless else vector.named[0].get(METRIC_NAME)
    layouts = tuple(_layouts(codes[fresh], numbers[fresh]))
    return _Histograms(grouping.labels, name, layouts, values, present)


def _by_histogram(vector: Vector) -> Grouping:
    """Buckets of metrics with different names are different histograms, even if nothing else tells them apart."""
    if vector.one_name or vector.nameless:
        return grouped(vector, (BUCKET_LABEL,), without=True)
    found: dict[Labels, int] = {}
    codes = np.array([found.setdefault(each.without(BUCKET_LABEL), len(found)) for each in vector.named])
    return Grouping(tuple(map(unnamed, found)), Groups.of(codes, len(found)), codes)


def _layouts(codes: NDArray[np.int64], bounds: Float64s) -> Iterator[_Layout]:
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    ends = np.append(starts[1:], len(codes))
    alike: dict[bytes, list[int]] = {}
    for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        alike.setdefault(bounds[start:end].tobytes(), []).append(number)
    for members in alike.values():
        which = np.array(members, dtype=np.intp)
        size = int(ends[which[0]] - starts[which[0]])
        yield _Layout(
            bounds=bounds[starts[which[0]] : ends[which[0]]],
            which=which,
            columns=starts[which][:, None] + np.arange(size),
        )


def _computed(histograms: _Histograms, steps: int, compute: Compute) -> Vector:
    if not histograms.labels:
        return empty(steps)
    shape = (steps, len(histograms.labels))
    values, present = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    for layout in histograms.layouts:
        size = len(layout.bounds)
        counts = histograms.values[:, layout.columns].reshape(-1, size)
        there = histograms.present[:, layout.columns].reshape(-1, size)
        step_of = np.repeat(np.arange(steps), len(layout.which))
        found = np.full(len(counts), np.nan)
        for buckets_there, rows in _patterns(there):
            kept = counts[rows][:, buckets_there]
            found[rows] = compute(layout.bounds[buckets_there], kept, step_of[rows])
        values[:, layout.which] = found.reshape(steps, -1)
        present[:, layout.which] = there.any(axis=1).reshape(steps, -1)
    return united(Vector(histograms.labels, values, present)).pruned()


def _patterns(there: Bools) -> Iterator[tuple[Bools | slice, NDArray[np.intp] | slice]]:
    """Rows with the same buckets: a bucket that is not there is not an empty one."""
    if there.all():
        yield slice(None), slice(None)
        return
    patterns, members = np.unique(there, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        if pattern.any():
            yield pattern, np.flatnonzero(members.ravel() == number)


def _native(call: Call, context: Context) -> Value:
    raise QueryError(
        f"{call.function}() is about native histograms, which are not stored here: samples are floats. "
        "Use the _count and _sum series of a classic histogram"
    )


FUNCTIONS: dict[str, Function] = {
    "histogram_quantile": _quantile,
    "histogram_quantiles": _quantiles,
    "histogram_fraction": _fraction,
    "histogram_count": _native,
    "histogram_sum": _native,
    "histogram_avg": _native,
    "histogram_stddev": _native,
    "histogram_stdvar": _native,
}
