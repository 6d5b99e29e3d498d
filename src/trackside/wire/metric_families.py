"""The protobuf exposition: one `io.prometheus.client.MetricFamily` after the other, each behind its length.

It is the only one that Prometheus reads native histograms from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

from trackside.model.labels import Labels
from trackside.model.metrics import Exemplar, MetricFamily, MetricType, NativeBuckets, Sample
from trackside.wire.names import underscored
from trackside.wire.native_histograms import Numbers, histogram_fields
from trackside.wire.numbers import parse_value
from trackside.wire.protobuf import bytes_field, double_field, integer_field, text_field, varint

CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

Natives = Mapping[str, Mapping[Labels, tuple[float, NativeBuckets]]]
"""By name and labels: the sums and buckets of native histograms."""

_COUNTER, _GAUGE, _SUMMARY, _UNTYPED, _HISTOGRAM, _GAUGE_HISTOGRAM = range(6)
_TYPES = {
    MetricType.COUNTER: _COUNTER,
    MetricType.GAUGE: _GAUGE,
    MetricType.INFO: _GAUGE,
    MetricType.STATESET: _GAUGE,
    MetricType.SUMMARY: _SUMMARY,
    MetricType.UNKNOWN: _UNTYPED,
    MetricType.HISTOGRAM: _HISTOGRAM,
    MetricType.GAUGE_HISTOGRAM: _GAUGE_HISTOGRAM,
}
# In a Metric, where the message of each kind stands.
_PLACES = {_COUNTER: 3, _GAUGE: 2, _SUMMARY: 4, _UNTYPED: 5, _HISTOGRAM: 7, _GAUGE_HISTOGRAM: 7}
_TIMESTAMP = 6
_NATIVE = Numbers(
    total_count=1,
    sum=2,
    schema=5,
    zero_threshold=6,
    zero_count=7,
    negative_spans=9,
    negative_deltas=10,
    positive_spans=12,
    positive_deltas=13,
)
_GROUPED = {_SUMMARY: "quantile", _HISTOGRAM: "le", _GAUGE_HISTOGRAM: "le"}


def render(families: Iterable[MetricFamily], natives: Natives) -> bytes:
    """Times of creation are left out, and names outside the old character set are written with underscores."""
    parts: list[bytes] = []
    for family in families:
        kind = _TYPES[family.type]
        if kind in _GROUPED:
            name, metrics = family.name, _grouped(family, kind, natives.get(family.name, {}))
        else:
            name, metrics = _plain(family, kind)
        if metrics:
            message = text_field(1, underscored(name)) + text_field(2, family.help) + integer_field(3, kind)
            message += b"".join(bytes_field(4, metric) for metric in metrics)
            if family.unit:
                message += text_field(5, family.unit)
            parts += varint(len(message)), message
    return b"".join(parts)


def _plain(family: MetricFamily, kind: int) -> tuple[str, list[bytes]]:
    """In this format a family is called as its samples are."""
    created = family.name.removesuffix("_total") + "_created"
    samples = [sample for sample in family.samples if kind != _COUNTER or sample.name != created]
    name = samples[0].name if samples else family.name
    metrics = []
    for sample in samples:
        value = double_field(1, sample.value)
        if kind == _COUNTER and sample.exemplar is not None:
            value += bytes_field(2, _exemplar(sample.exemplar))
        metrics.append(_metric(sample.labels, _PLACES[kind], value, sample.timestamp_ms))
    return name, metrics


def _grouped(family: MetricFamily, kind: int, natives: Mapping[Labels, tuple[float, NativeBuckets]]) -> list[bytes]:
    groups: dict[Labels, list[Sample]] = {}
    for sample in family.samples:
        labels = Labels(tuple(pair for pair in sample.labels.pairs if pair[0] != _GROUPED[kind]))
        groups.setdefault(labels, []).append(sample)
    metrics = []
    for labels, samples in groups.items():
        native = natives.get(labels)
        if kind == _SUMMARY:
            message = _totals(family.name, samples) + b"".join(_quantiles(family.name, samples))
        elif native is None:
            message = _totals(family.name, samples) + b"".join(_buckets(family.name, samples))
        else:
            classic = list(_buckets(family.name, samples))
            # Without given bounds there is the last bucket only, which says nothing that the count does not say.
            message = histogram_fields(_NATIVE, *native) + (b"".join(classic) if len(classic) > 1 else b"")
        metrics.append(_metric(labels, _PLACES[kind], message, samples[0].timestamp_ms))
    return metrics


def _totals(name: str, samples: Sequence[Sample]) -> bytes:
    message = b""
    for sample in samples:
        if sample.name in (f"{name}_count", f"{name}_gcount"):
            message += integer_field(1, _whole(sample.value))
        elif sample.name in (f"{name}_sum", f"{name}_gsum"):
            message += double_field(2, sample.value)
    return message


def _buckets(name: str, samples: Iterable[Sample]) -> Iterable[bytes]:
    for sample in samples:
        bound = _number(sample.labels.get("le")) if sample.name == f"{name}_bucket" else None
        if bound is not None:
            message = integer_field(1, _whole(sample.value)) + double_field(2, bound)
            if sample.exemplar is not None:
                message += bytes_field(3, _exemplar(sample.exemplar))
            yield bytes_field(3, message)


def _quantiles(name: str, samples: Iterable[Sample]) -> Iterable[bytes]:
    for sample in samples:
        share = _number(sample.labels.get("quantile")) if sample.name == name else None
        if share is not None:
            yield bytes_field(3, double_field(1, share) + double_field(2, sample.value))


def _metric(labels: Labels, place: int, message: bytes, timestamp_ms: int | None) -> bytes:
    metric = _labels(labels) + bytes_field(place, message)
    return metric if timestamp_ms is None else metric + integer_field(_TIMESTAMP, timestamp_ms)


def _labels(labels: Labels) -> bytes:
    pairs = ((underscored(name).replace(":", "_"), value) for name, value in labels.pairs)
    return b"".join(bytes_field(1, text_field(1, name) + text_field(2, value)) for name, value in pairs)


def _exemplar(exemplar: Exemplar) -> bytes:
    message = _labels(exemplar.labels) + double_field(2, exemplar.value)
    if exemplar.timestamp_s is None or not isfinite(exemplar.timestamp_s):
        return message
    seconds, rest = divmod(exemplar.timestamp_s, 1)
    return message + bytes_field(3, integer_field(1, int(seconds)) + integer_field(2, int(rest * 1e9)))


def _whole(count: float) -> int:
    """Of what cannot be counted so much as nothing."""
    return int(count) if 0 <= count < 2.0**64 else 0


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else parse_value(text)
    except ValueError:
        return None
