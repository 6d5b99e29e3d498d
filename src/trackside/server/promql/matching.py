"""Match groups: which series of two vectors belong to one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.promql.syntax import VectorMatching
from trackside.server.promql.vector import Vector
from trackside.server.series import Int64s

Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Signatures:
    """The match group of each series, numbered alike on both sides."""

    left: Int64s
    right: Int64s
    keys: tuple[Key, ...]
    """What the series of a group have in common."""

    @property
    def groups(self) -> int:
        return len(self.keys)

    def group_of(self, right_column: int) -> Labels:
        return Labels(self.keys[int(self.right[right_column])])


def signatures(left: Vector, right: Vector, matching: VectorMatching) -> Signatures:
    codes: dict[Key, int] = {}
    ours = [codes.setdefault(key, len(codes)) for key in _keys(left, matching)]
    theirs = [codes.setdefault(key, len(codes)) for key in _keys(right, matching)]
    return Signatures(np.array(ours, dtype=np.int64), np.array(theirs, dtype=np.int64), tuple(codes))


def _keys(vector: Vector, matching: VectorMatching) -> Iterator[Key]:
    if matching.on:
        kept = set(matching.labels)
        named = vector.labels if METRIC_NAME in kept else vector.named
        return (tuple([pair for pair in labels.pairs if pair[0] in kept]) for labels in named)
    dropped = {*matching.labels, METRIC_NAME}
    return (tuple([pair for pair in labels.pairs if pair[0] not in dropped]) for labels in vector.named)
