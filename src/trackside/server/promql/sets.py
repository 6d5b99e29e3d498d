"""The set operators `and`, `or` and `unless`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trackside.server.promql.matching import signatures
from trackside.server.promql.syntax import VectorMatching
from trackside.server.promql.vector import Vector, joined, united
from trackside.server.series import Bools, Int64s


def _and(left: Vector, right: Vector, matching: VectorMatching) -> Vector:
    keys = signatures(left, right, matching)
    inhabited = _inhabited(right.present, keys.right, keys.groups)
    return left.with_values(left.values, left.present & inhabited[:, keys.left]).pruned()


def _unless(left: Vector, right: Vector, matching: VectorMatching) -> Vector:
    keys = signatures(left, right, matching)
    inhabited = _inhabited(right.present, keys.right, keys.groups)
    return left.with_values(left.values, left.present & ~inhabited[:, keys.left]).pruned()


def _or(left: Vector, right: Vector, matching: VectorMatching) -> Vector:
    keys = signatures(left, right, matching)
    inhabited = _inhabited(left.present, keys.left, keys.groups)
    added = right.with_values(right.values, right.present & ~inhabited[:, keys.right]).pruned()
    if not len(added):
        return left
    return united(joined([left, added], len(left.values)))


def _inhabited(present: Bools, codes: Int64s, groups: int) -> Bools:
    """Shape (t, groups): where a match group has any series."""
    result = np.zeros((len(present), groups), dtype=bool)
    if codes.size:
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        result[:, codes[order][starts]] = np.logical_or.reduceat(present[:, order], starts, axis=1)
    return result


OPERATIONS: dict[str, Callable[[Vector, Vector, VectorMatching], Vector]] = {"and": _and, "or": _or, "unless": _unless}
