"""The `/metrics` page for a Prometheus that reads native histograms, which no text format carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from trackside.instruments.measured import Description, LabelValues, Measured, Observed
from trackside.instruments.registry import Registry
from trackside.model.labels import Labels
from trackside.model.metrics import Exemplar, MetricFamily, MetricType, NativeBuckets, Sample
from trackside.wire import metric_families

Natives = Mapping[Labels, tuple[float, NativeBuckets]]
Read = tuple[MetricFamily, Natives]


def native_page(registry: Registry, only: Callable[[str], bool] | None) -> tuple[str, bytes] | None:
    """Content type and body; None where there is nothing that the text formats, which are made faster, cannot show."""
    measured = [one for one in registry.measured() if only is None or only(one.description.name)]
    if not any(hasattr(one, "native_rows") for one in measured):
        return None
    families: list[tuple[str, Callable[[], Read]]] = [
        (family.name, partial(_collected, family))
        for family in registry.collected()
        if only is None or only(family.name)
    ]
    families += [(one.description.name, partial(_measured, one)) for one in measured]
    return metric_families.CONTENT_TYPE, b"".join(_written(registry, name, read) for name, read in families)


def _written(registry: Registry, name: str, read: Callable[[], Read]) -> bytes:
    try:
        family, natives = read()
        return metric_families.render([family], {name: natives})
    except Exception as error:  # noqa: BLE001 - see `leave_out`
        registry.leave_out(name, error)
        return b""


def _collected(family: MetricFamily) -> Read:
    return family, {}


def _measured(measured: Measured) -> Read:
    natives = _natives(measured)
    return _family(measured), natives


def _natives(measured: Measured) -> Natives:
    read: Any = getattr(measured, "native_rows", None)
    if read is None:
        return {}
    return {_labels(measured.description, values): (total, buckets) for values, total, buckets in read()}


def _family(measured: Measured) -> MetricFamily:
    about = measured.description
    read: Any = getattr(measured, "observed", None)
    observed: Mapping[LabelValues, Mapping[int, Observed]] = read() if read is not None else {}
    # Of a histogram the sum stands first in a raw value, and behind the buckets among the samples.
    first = 1 if about.kind is MetricType.HISTOGRAM else 0
    samples: list[Sample] = []
    for labels, raw in measured.rows():
        row = about.samples(labels, tuple(map(float, about.values(raw))))
        for at, one in observed.get(labels, {}).items():
            if first <= at < len(row) + first:
                row[at - first] = row[at - first]._replace(exemplar=_exemplar(one))
        samples += row
    return MetricFamily(about.name, about.kind, about.help, samples, about.unit)


def _labels(about: Description, values: LabelValues) -> Labels:
    return Labels.of(zip(about.label_names, values, strict=True))


def _exemplar(observed: Observed) -> Exemplar:
    labels = Labels.of(trace_id=observed.trace_id, span_id=observed.span_id)
    return Exemplar(labels, observed.value, observed.at_s)
