"""Makes blocks of samples: in which order the columns stand, and how many rows one block takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from pyroaring import BitMap

from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.series import Float64s, Int64s, is_hole
from trackside.server.tsdb.blocks import Block
from trackside.server.tsdb.codec import EncodedBlock, encode_block

_MAX_CELLS = 1 << 21
_MAX_ROWS = 1 << 15

ColumnOrder = tuple[str, tuple[tuple[str, str], ...], float]


@dataclass(frozen=True, slots=True, eq=False)
class Sealed:
    """A block that is not stored yet."""

    start_ms: int
    end_ms: int
    rows: int
    samples: int
    bitmap: BitMap
    lags_ms: Int64s
    """How long before the end the last sample of each series is, in the order of the refs."""
    encoded: EncodedBlock

    def as_block(self, block_id: int, group_id: int, seniority: int) -> Block:
        return Block(
            block_id,
            group_id,
            seniority,
            self.start_ms,
            self.end_ms,
            self.rows,
            self.samples,
            self.encoded.nbytes,
            self.bitmap,
        )


def sealed(
    times_ms: Int64s, refs: Int64s, values: Float64s, labels_of: Callable[[int], Labels | None]
) -> Iterator[Sealed]:
    """`values` has shape (n, s). Mostly one block; several when that would be very large."""
    order = sorted(range(len(refs)), key=lambda at: _column_order(labels_of(int(refs[at]))))
    refs = refs[order]
    height = max(1, min(_MAX_ROWS, _MAX_CELLS // max(1, len(refs))))
    for start in range(0, len(times_ms), height):
        block = _sealed_rows(times_ms[start : start + height], refs, values[start : start + height, order])
        if block is not None:
            yield block


def _sealed_rows(times_ms: Int64s, refs: Int64s, values: Float64s) -> Sealed | None:
    filled = ~is_hole(values)
    if not filled.all():
        rows, columns = filled.any(axis=1), filled.any(axis=0)
        if not rows.any():
            return None
        cells = np.ix_(rows, columns)
        times_ms, refs, values, filled = times_ms[rows], refs[columns], values[cells], filled[cells]
    last_ms = times_ms[len(filled) - 1 - filled[::-1].argmax(axis=0)]
    return Sealed(
        start_ms=int(times_ms[0]),
        end_ms=int(times_ms[-1]),
        rows=len(times_ms),
        samples=int(np.count_nonzero(filled)),
        bitmap=BitMap(refs.tolist()),
        lags_ms=(times_ms[-1] - last_ms)[np.argsort(refs)],
        encoded=encode_block(times_ms, refs, np.ascontiguousarray(values)),
    )


def _column_order(labels: Labels | None) -> ColumnOrder:
    """By metric, so that a query finds its columns in few pages; the buckets of a histogram by their bounds, so that
    each predicts the next."""
    if labels is None:
        return "", (), 0.0
    bound = 0.0
    rest = []
    for name, value in labels.pairs:
        if name == "le":
            bound = _number(value)
        elif name != METRIC_NAME:
            rest.append((name, value))
    return labels.get(METRIC_NAME), tuple(rest), bound


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
