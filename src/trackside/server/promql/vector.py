"""Values of expressions at all steps of a query at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trackside.exceptions import QueryError
from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.series import Bools, Float64s

SAME_LABELS = "vector cannot contain metrics with the same labelset"


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """A scalar at each step."""

    values: Float64s
    """Shape (t,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Vector:
    """An instant vector at each step. Time-major, unlike a result: windows and groups are rows and columns of it."""

    named: tuple[Labels, ...]
    """One per column, perhaps with a metric name that is dropped already: `labels` has the truth."""
    values: Float64s
    """Shape (t, s)."""
    present: Bools
    """Shape (t, s)."""
    nameless: bool = False
    """Whether the metric names in `named` are dropped. Making ten thousand label sets anew takes longer than the
    arithmetic, and an aggregation right after it would throw them away."""
    one_name: bool = False
    """Whether all series are known to share one metric name, so that dropping it cannot make two of them equal."""

    @property
    def labels(self) -> tuple[Labels, ...]:
        return tuple(map(unnamed, self.named)) if self.nameless else self.named

    def __len__(self) -> int:
        return len(self.named)

    def with_values(self, values: Float64s, present: Bools | None = None) -> Vector:
        return replace(self, values=values, present=self.present if present is None else present)

    def without_name(self) -> Vector:
        """
        Raises:
            QueryError: two series differ in their name only, and are there at the same time.
        """
        if self.nameless:
            return self
        if self.one_name:
            return replace(self, nameless=True)
        return united(replace(self, nameless=True))

    def columns(self, which: NDArray[np.intp] | Bools) -> Vector:
        """Only some of the series, in the order given."""
        index = np.flatnonzero(which) if which.dtype == bool else which
        named = tuple(self.named[i] for i in index.tolist())
        return replace(self, named=named, values=self.values[:, index], present=self.present[:, index])

    def pruned(self) -> Vector:
        """Without the series that are nowhere present."""
        somewhere: Bools = np.any(self.present, axis=0)
        return self if somewhere.all() else self.columns(somewhere)


Value = Numbers | Vector | str


def unnamed(labels: Labels) -> Labels:
    """Without the metric name, which nearly always sorts first."""
    pairs = labels.pairs
    if pairs and pairs[0][0] == METRIC_NAME:
        return Labels(pairs[1:])
    return labels.without(METRIC_NAME)


def empty(steps: int) -> Vector:
    return Vector((), np.empty((steps, 0)), np.empty((steps, 0), dtype=bool), one_name=True)


def joined(vectors: Sequence[Vector], steps: int) -> Vector:
    """All series side by side."""
    if not vectors:
        return empty(steps)
    if len(vectors) == 1:
        return vectors[0]
    same = all(vector.nameless == vectors[0].nameless for vector in vectors)
    return Vector(
        named=tuple(labels for vector in vectors for labels in (vector.named if same else vector.labels)),
        values=np.concatenate([vector.values for vector in vectors], axis=1),
        present=np.concatenate([vector.present for vector in vectors], axis=1),
        nameless=same and vectors[0].nameless,
    )


def united(vector: Vector, overlap: str = SAME_LABELS) -> Vector:
    """Series with equal labels put together into one.

    Raises:
        QueryError: two of them are there at the same step; its text is `overlap`.
    """
    codes: dict[Labels, int] = {}
    labels = vector.labels
    code_of = [codes.setdefault(each, len(codes)) for each in labels]
    if len(codes) == len(labels):
        return replace(vector, named=labels, nameless=False)
    values = np.zeros((len(vector.values), len(codes)))
    present = np.zeros(values.shape, dtype=bool)
    for column, code in enumerate(code_of):
        here = vector.present[:, column]
        if (present[:, code] & here).any():
            raise QueryError(overlap)
        values[here, code] = vector.values[here, column]
        present[:, code] |= here
    return Vector(tuple(codes), values, present)
