"""Prometheus' remote write protocol 1.0: samples of many series in one protobuf message, compressed with snappy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trackside.exceptions import ParseError
from trackside.model.labels import METRIC_NAME, Labels
from trackside.model.metrics import Exemplar, MetricType, NativeBuckets
from trackside.wire.native_histograms import Numbers, histogram_fields
from trackside.wire.protobuf import (
    Field,
    bytes_field,
    double_field,
    fields,
    integer_field,
    text_field,
    varint,
)
from trackside.wire.snappy import MAX_BYTES, compress, decompress

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
"""Of a request that carries a message."""

# By their numbers in the protocol.
_TYPES = (
    MetricType.UNKNOWN,
    MetricType.COUNTER,
    MetricType.GAUGE,
    MetricType.HISTOGRAM,
    MetricType.GAUGE_HISTOGRAM,
    MetricType.SUMMARY,
    MetricType.INFO,
    MetricType.STATESET,
)

_HISTOGRAM = Numbers(
    total_count=1,
    sum=3,
    schema=4,
    zero_threshold=5,
    zero_count=6,
    negative_spans=8,
    negative_deltas=9,
    positive_spans=11,
    positive_deltas=12,
)
_HISTOGRAM_TIME = 15


@dataclass(frozen=True, slots=True)
class WrittenSample:
    timestamp_ms: int
    value: float


@dataclass(frozen=True, slots=True)
class WrittenSeries:
    labels: Labels
    """With `__name__`."""
    samples: tuple[WrittenSample, ...] = ()
    """In order of time."""
    exemplars: tuple[Exemplar, ...] = ()
    native_histograms: int = 0
    """How many were there: they are counted, and not read."""


@dataclass(frozen=True, slots=True)
class Metadata:
    family: str
    type: MetricType
    help: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class WriteRequest:
    series: Sequence[WrittenSeries] = ()
    metadata: Sequence[Metadata] = ()


def encode(request: WriteRequest) -> bytes:
    """The body of a request, compressed."""
    written = [encoded_series(series) for series in request.series]
    return compress(b"".join((*written, *map(encoded_metadata, request.metadata))))


def decode(body: bytes, max_bytes: int = MAX_BYTES) -> WriteRequest:
    """
    Raises:
        ParseError: no such message; or a series without a name, or with the same label twice.
        LimitError: it is larger than `max_bytes` when it is decompressed.
    """
    series: list[WrittenSeries] = []
    metadata: list[Metadata] = []
    for field in fields(decompress(body, max_bytes)):
        if field.number == 1:
            series.append(_series(field.bytes()))
        elif field.number == 3:
            metadata.append(_metadata(field.bytes()))
    return WriteRequest(series, metadata)


def encoded_labels(labels: Iterable[tuple[str, str]]) -> bytes:
    """The labels of a series, which must come in order of their names: what its message begins with."""
    return b"".join(bytes_field(1, text_field(1, name) + text_field(2, value)) for name, value in labels)


def encoded_series(series: WrittenSeries) -> bytes:
    parts = [encoded_labels(series.labels)]
    parts += [
        bytes_field(2, double_field(1, sample.value) + integer_field(2, sample.timestamp_ms))
        for sample in series.samples
    ]
    parts += [
        bytes_field(
            3,
            encoded_labels(exemplar.labels)
            + double_field(2, exemplar.value)
            + integer_field(3, round((exemplar.timestamp_s or 0) * 1000)),
        )
        for exemplar in series.exemplars
    ]
    return bytes_field(1, b"".join(parts))


def encoded_metadata(metadata: Metadata) -> bytes:
    about = integer_field(1, _TYPES.index(metadata.type)) + text_field(2, metadata.family)
    return bytes_field(3, about + text_field(4, metadata.help) + text_field(5, metadata.unit))


class SampleEncoder:
    """For one moment, the series of many samples, whose labels were encoded before."""

    def __init__(self, timestamp_ms: int) -> None:
        self._timestamp_ms = timestamp_ms
        # Tag and length of the sample, tag of its value; the eight bytes of the value; then the time.
        self._after = integer_field(2, timestamp_ms)
        self._before = varint(2 << 3 | 2) + varint(9 + len(self._after)) + varint(1 << 3 | 1)
        self._size = len(self._before) + 8 + len(self._after)

    def series(self, labels: bytes, value: bytes) -> bytes:
        """`labels` from `encoded_labels`; `value` as the eight bytes of a double, the lowest first."""
        size = len(labels) + self._size
        return b"".join((b"\x0a", varint(size), labels, self._before, value, self._after))

    def native_histogram(self, labels: bytes, total: float, buckets: NativeBuckets) -> bytes:
        """A series of its own, under the name of the family. Receivers must be told to expect such: others may refuse
        the whole request."""
        written = histogram_fields(_HISTOGRAM, total, buckets) + integer_field(_HISTOGRAM_TIME, self._timestamp_ms)
        return bytes_field(1, labels + bytes_field(4, written))


def _series(message: memoryview) -> WrittenSeries:
    pairs: list[tuple[str, str]] = []
    samples: list[WrittenSample] = []
    exemplars: list[Exemplar] = []
    native_histograms = 0
    for field in fields(message):
        if field.number == 1:
            pairs.append(_pair(field))
        elif field.number == 2:
            samples.append(_sample(field))
        elif field.number == 3:
            exemplars.append(_exemplar(field))
        elif field.number == 4:
            native_histograms += 1
    labels = _labels(pairs)
    if METRIC_NAME not in labels:
        raise ParseError("a series without a name", text=str(labels))
    return WrittenSeries(labels, tuple(samples), tuple(exemplars), native_histograms)


def _labels(pairs: list[tuple[str, str]]) -> Labels:
    names = {name for name, _ in pairs}
    if len(names) < len(pairs):
        raise ParseError("a series with the same label twice", text=str(pairs))
    if "" in names:
        raise ParseError("a label without a name", text=str(pairs))
    return Labels.of(pairs)


def _pair(field: Field) -> tuple[str, str]:
    name = value = ""
    for part in fields(field.bytes()):
        if part.number == 1:
            name = part.text()
        elif part.number == 2:
            value = part.text()
    return name, value


def _sample(field: Field) -> WrittenSample:
    value, timestamp_ms = 0.0, 0
    for part in fields(field.bytes()):
        if part.number == 1:
            value = part.double()
        elif part.number == 2:
            timestamp_ms = part.integer()
    return WrittenSample(timestamp_ms, value)


def _exemplar(field: Field) -> Exemplar:
    pairs: list[tuple[str, str]] = []
    value, timestamp_ms = 0.0, 0
    for part in fields(field.bytes()):
        if part.number == 1:
            pairs.append(_pair(part))
        elif part.number == 2:
            value = part.double()
        elif part.number == 3:
            timestamp_ms = part.integer()
    return Exemplar(_labels(pairs), value, timestamp_ms / 1000 if timestamp_ms else None)


def _metadata(message: memoryview) -> Metadata:
    kind, texts = 0, {2: "", 4: "", 5: ""}
    for field in fields(message):
        if field.number == 1:
            kind = field.integer()
        elif field.number in texts:
            texts[field.number] = field.text()
    known = _TYPES[kind] if 0 <= kind < len(_TYPES) else MetricType.UNKNOWN
    return Metadata(texts[2], known, texts[4], texts[5])
