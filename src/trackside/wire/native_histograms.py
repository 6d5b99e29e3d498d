"""The buckets of native histograms as protobuf has them: runs of neighbours, and differences from one to the next."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from trackside.model.cheap_typing import NamedTuple
from trackside.model.metrics import NativeBuckets
from trackside.wire.protobuf import bytes_field, double_field, integer_field, varint, zigzag


class Numbers(NamedTuple):
    """Under which numbers a message has its fields."""

    total_count: int
    sum: int
    schema: int
    zero_threshold: int
    zero_count: int
    negative_spans: int
    negative_deltas: int
    positive_spans: int
    positive_deltas: int


def histogram_fields(numbers: Numbers, total: float, buckets: NativeBuckets) -> bytes:
    """Of a message in which each side of zero has spans, and the difference of each count to the one before it."""
    negative, positive = _spans(buckets.negative), _spans(buckets.positive)
    # A histogram of which nothing was observed yet is told from a classic one by a span without buckets.
    if not negative and not positive:
        positive = [(0, 0)]
    return b"".join(
        (
            integer_field(numbers.total_count, int(buckets.observations)),
            double_field(numbers.sum, total),
            integer_field(numbers.schema, zigzag(buckets.schema)),
            double_field(numbers.zero_threshold, buckets.zero_threshold),
            integer_field(numbers.zero_count, int(buckets.zero_count)),
            *(_span(numbers.negative_spans, *span) for span in negative),
            _deltas(numbers.negative_deltas, buckets.negative),
            *(_span(numbers.positive_spans, *span) for span in positive),
            _deltas(numbers.positive_deltas, buckets.positive),
        )
    )


def _spans(buckets: Sequence[tuple[int, float]]) -> list[tuple[int, int]]:
    """(offset, length) of each run; the first offset is an index, the others are gaps."""
    spans: list[tuple[int, int]] = []
    behind = 0
    for index, _ in buckets:
        if spans and index == behind:
            spans[-1] = spans[-1][0], spans[-1][1] + 1
        else:
            spans.append((index - behind, 1))
        behind = index + 1
    return spans


def _span(number: int, offset: int, length: int) -> bytes:
    return bytes_field(number, integer_field(1, zigzag(offset)) + integer_field(2, length))


def _deltas(number: int, buckets: Sequence[tuple[int, float]]) -> bytes:
    counts = [int(count) for _, count in buckets]
    deltas = (count - before for before, count in zip(chain((0,), counts), counts, strict=False))
    packed = b"".join(varint(zigzag(delta)) for delta in deltas)
    return bytes_field(number, packed) if packed else b""
