"""The registry as remote write messages, made fast: of a series that was sent before only the value is written anew."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping

from trackside.instruments.measured import Description, LabelValues, Measured
from trackside.instruments.registry import Registry
from trackside.model.labels import METRIC_NAME, Labels
from trackside.model.metrics import MetricFamily, NativeBuckets, Sample
from trackside.wire.remote_write import Metadata, SampleEncoder, encoded_labels, encoded_metadata
from trackside.wire.snappy import compress

MAX_SERIES = 2_000
"""In one message: what receivers take without complaint."""
METADATA_EVERY = 20
"""Messages carry types and help texts at the first time, and then once in a while: a receiver may have started anew."""

NativeRow = tuple[LabelValues, float, NativeBuckets]

_DOUBLE = struct.Struct("<d").pack


class Encoding:
    """Of one registry, for one thread."""

    def __init__(self, registry: Registry, labels: Mapping[str, str], *, native_histograms: bool = False) -> None:
        """`labels` are added to every series that has none of that name. `native_histograms`: their buckets too, which
        not every receiver takes."""
        self._registry = registry
        self._native_histograms = native_histograms
        self._labels = tuple(labels.items())
        self._rows: dict[Description, dict[LabelValues, list[bytes]]] = {}
        self._samples: dict[tuple[str, Labels], bytes] = {}
        self._round = 0

    def messages(self, now_ms: int) -> list[bytes]:
        """Everything the registry holds, as compressed bodies of requests."""
        collected, measured = self._registry.collected(), self._registry.measured()
        encoder = SampleEncoder(now_ms)
        series = [*self._of_samples(collected, encoder), *self._of_rows(measured, encoder)]
        if self._native_histograms:
            series += self._of_native(measured, encoder)
        messages = [series[at : at + MAX_SERIES] for at in range(0, len(series), MAX_SERIES)]
        if messages and self._round % METADATA_EVERY == 0:
            messages[0].append(_metadata(collected, measured))
        self._round += 1
        return [compress(b"".join(message)) for message in messages]

    def _of_rows(self, all_measured: Iterable[Measured], encoder: SampleEncoder) -> Iterator[bytes]:
        # Built anew each time, so that removed series are forgotten.
        known, now = self._rows, {}
        for measured in all_measured:
            about = measured.description
            series: list[bytes] = []
            try:
                now[about] = self._family(measured, known.get(about, {}), encoder, series)
            except Exception as error:  # noqa: BLE001 - see `leave_out`
                self._registry.leave_out(about.name, error)
            else:
                yield from series
        self._rows = now

    def _family(
        self, measured: Measured, known: Mapping[LabelValues, list[bytes]], encoder: SampleEncoder, series: list[bytes]
    ) -> dict[LabelValues, list[bytes]]:
        about, now = measured.description, {}
        for label_values, raw in measured.rows():
            values = about.values(raw)
            heads = now[label_values] = known.get(label_values) or self._heads(about, label_values, len(values))
            for head, value in zip(heads, values, strict=True):
                series.append(encoder.series(head, _DOUBLE(value)))
        return now

    def _of_native(self, all_measured: Iterable[Measured], encoder: SampleEncoder) -> Iterator[bytes]:
        for measured in all_measured:
            native_rows: Callable[[], list[NativeRow]] | None = getattr(measured, "native_rows", None)
            about = measured.description
            series: list[bytes] = []
            try:
                for label_values, total, buckets in native_rows() if native_rows is not None else ():
                    labels = Labels.of(zip(about.label_names, label_values, strict=True))
                    head = self._head(Sample(about.name, labels, 0.0))
                    series.append(encoder.native_histogram(head, total, buckets))
            except Exception as error:  # noqa: BLE001 - see `leave_out`
                self._registry.leave_out(about.name, error)
            else:
                yield from series

    def _of_samples(self, families: Iterable[MetricFamily], encoder: SampleEncoder) -> Iterator[bytes]:
        known, now = self._samples, {}
        for family in families:
            series: list[bytes] = []
            try:
                for sample in family.samples:
                    key = sample.name, sample.labels
                    head = now[key] = known.get(key) or self._head(sample)
                    at = encoder if sample.timestamp_ms is None else SampleEncoder(sample.timestamp_ms)
                    series.append(at.series(head, _DOUBLE(sample.value)))
            except Exception as error:  # noqa: BLE001 - see `leave_out`
                self._registry.leave_out(family.name, error)
            else:
                yield from series
        self._samples = now

    def _heads(self, about: Description, label_values: LabelValues, count: int) -> list[bytes]:
        return [self._head(sample) for sample in about.samples(label_values, [0.0] * count)]

    def _head(self, sample: Sample) -> bytes:
        return encoded_labels(Labels.of((*self._labels, *sample.labels), **{METRIC_NAME: sample.name}))


def _metadata(collected: Iterable[MetricFamily], measured: Iterable[Measured]) -> bytes:
    described = [Metadata(family.name, family.type, family.help, family.unit) for family in collected]
    for one in measured:
        about = one.description
        described.append(Metadata(about.name, about.kind, about.help, about.unit))
    return b"".join(map(encoded_metadata, described))
