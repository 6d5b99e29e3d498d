"""Arithmetic and comparison: of scalars, of a vector with a scalar, and of two vectors matched by their labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackside.exceptions import QueryError
from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.promql import sets
from trackside.server.promql.context import Context
from trackside.server.promql.matching import Signatures, signatures
from trackside.server.promql.syntax import Binary, Card, VectorMatching
from trackside.server.promql.vector import Numbers, Value, Vector, empty, united
from trackside.server.series import Bools, Float64s

Operator = Callable[[Any, Any], NDArray[Any]]

ARITHMETIC: dict[str, Operator] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
COMPARISONS: dict[str, Operator] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def evaluate(expr: Binary, context: Context) -> Value:
    left, right = context.evaluate(expr.left), context.evaluate(expr.right)
    if isinstance(left, Numbers) and isinstance(right, Numbers):
        return Numbers(_operator(expr)(left.values, right.values).astype(np.float64))
    if isinstance(left, Vector) and isinstance(right, Numbers):
        return _with_scalar(expr, left, left.values, right.values[:, None])
    if isinstance(left, Numbers) and isinstance(right, Vector):
        return _with_scalar(expr, right, left.values[:, None], right.values)
    assert isinstance(left, Vector) and isinstance(right, Vector), "the checker lets no string into an operation"
    matching = expr.matching or VectorMatching()
    if expr.op in sets.OPERATIONS:
        return sets.OPERATIONS[expr.op](left, right, matching)
    return _matched(expr, left, right, matching)


def _operator(expr: Binary) -> Operator:
    operator = ARITHMETIC.get(expr.op) or COMPARISONS.get(expr.op)
    if operator is None:
        raise QueryError(f"unknown operator {expr.op!r}")
    return operator


def _filters(expr: Binary) -> bool:
    """Whether it keeps or drops samples as they are, instead of making new values."""
    return expr.op in COMPARISONS and not expr.returns_bool


def _with_scalar(expr: Binary, vector: Vector, left: Float64s, right: Float64s) -> Vector:
    result = _operator(expr)(left, right)
    if _filters(expr):
        return vector.with_values(vector.values, vector.present & result).pruned()
    return vector.with_values(result.astype(np.float64, copy=False)).without_name()


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Which columns meet. A column of the many side meets several of the one side if these are never there at once."""

    many: NDArray[np.intp]
    one: NDArray[np.intp]
    codes: NDArray[np.intp]
    """The match group of each pair."""


def _matched(expr: Binary, left: Vector, right: Vector, matching: VectorMatching) -> Vector:
    swapped = matching.card is Card.ONE_TO_MANY
    many, one = (right, left) if swapped else (left, right)
    if not len(many) or not len(one):
        return empty(len(left.values))
    keys = signatures(many, one, matching)
    _refuse_duplicates(many, one, keys, "left" if swapped else "right")
    pairs = _pairs(keys)
    many_values, one_values = many.values[:, pairs.many], one.values[:, pairs.one]
    present: Bools = many.present[:, pairs.many] & one.present[:, pairs.one]
    one_to_one = matching.card is Card.ONE_TO_ONE
    if one_to_one:
        _refuse_many_to_one(pairs, present)
    ours, theirs = (one_values, many_values) if swapped else (many_values, one_values)
    result = _operator(expr)(ours, theirs)
    labels = _result_labels(expr, matching, many, one, pairs)
    text = "multiple matches for labels: grouping labels must ensure unique matches"
    vector = Vector(labels, result.astype(np.float64, copy=False), present)
    if _filters(expr):
        if not one_to_one:
            # Uniqueness is asked of what was matched, not of what the comparison leaves.
            united(vector, text)
        vector = replace(vector, values=ours, present=present & result)
    return united(vector, text).pruned()


def _pairs(keys: Signatures) -> _Pairs:
    members: dict[int, list[int]] = {}
    for column, code in enumerate(keys.right.tolist()):
        members.setdefault(code, []).append(column)
    found = [(i, j, code) for i, code in enumerate(keys.left.tolist()) for j in members.get(code, ())]
    many, one, codes = np.array(found, dtype=np.intp).reshape(-1, 3).T
    return _Pairs(many, one, codes)


def _refuse_duplicates(many: Vector, one: Vector, keys: Signatures, side: str) -> None:
    """
    Raises:
        QueryError: at some step two series of the one side belong to one match group.
    """
    codes = keys.right
    if len(np.unique(codes)) == len(codes):
        return
    # Where one side is empty nothing is matched, and nothing can be wrong.
    matters = many.present.any(axis=1)
    order = np.argsort(codes, kind="stable")
    twice = np.flatnonzero(np.diff(codes[order]) == 0)
    for code in np.unique(codes[order[twice]]):
        columns = np.flatnonzero(codes == code)
        crowded = (one.present[:, columns].sum(axis=1) > 1) & matters
        if crowded.any():
            step = int(np.argmax(crowded))
            labels = sorted(one.labels[i] for i in columns[one.present[step, columns]])[:2]
            raise QueryError(
                f"found duplicate series for the match group {braced(keys.group_of(int(columns[0])))} on the {side} "
                f"hand-side of the operation: [{', '.join(braced(each) for each in labels)}];many-to-many matching "
                "not allowed: matching labels must be unique on one side"
            )


def _refuse_many_to_one(pairs: _Pairs, present: Bools) -> None:
    """
    Raises:
        QueryError: at some step two series of the left side belong to one match group.
    """
    if len(np.unique(pairs.codes)) == len(pairs.codes):
        return
    order = np.argsort(pairs.codes, kind="stable")
    starts = np.flatnonzero(np.diff(pairs.codes[order], prepend=-1))
    if (np.add.reduceat(present[:, order], starts, axis=1, dtype=np.int64) > 1).any():
        raise QueryError("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")


def _result_labels(
    expr: Binary, matching: VectorMatching, many: Vector, one: Vector, pairs: _Pairs
) -> tuple[Labels, ...]:
    drop = set() if _filters(expr) else {METRIC_NAME}
    keep = None
    if matching.card is Card.ONE_TO_ONE:
        if matching.on:
            keep = set(matching.labels) - drop
        else:
            drop |= set(matching.labels)
    many_labels = many.labels
    base = [
        tuple([p for p in many_labels[i].pairs if (p[0] in keep if keep is not None else p[0] not in drop)])
        for i in pairs.many.tolist()
    ]
    if not matching.include:
        return tuple(map(Labels, base))
    one_labels = one.labels
    included = [{name: one_labels[j].get(name) for name in matching.include} for j in pairs.one.tolist()]
    return tuple(Labels.of({**dict(pairs_), **more}) for pairs_, more in zip(base, included, strict=True))


def braced(labels: Labels) -> str:
    """As Prometheus' error messages show labels: all between braces, the name too."""
    whole = str(Labels(tuple((name if name != METRIC_NAME else "\0", value) for name, value in labels)))
    return whole.replace("\0", METRIC_NAME) or "{}"
