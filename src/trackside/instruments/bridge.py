"""To prometheus_client and back: its objects on our exposition, ours on its, each series once."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from threading import local
from typing import Any

from trackside.instruments.measured import family_of
from trackside.instruments.registry import Registry
from trackside.model.labels import Labels
from trackside.model.metrics import Exemplar, MetricFamily, MetricType, Sample

_CLIENT = "prometheus_client"
_TYPES = {kind.value: kind for kind in MetricType}


class Bridge:
    """Between one registry of ours and prometheus_client's default one."""

    def __init__(self, registry: Registry, multiprocess_dir: str = "") -> None:
        """`multiprocess_dir` is where prometheus_client's objects keep their values when several workers share them."""
        self._registry = registry
        self._multiprocess_dir = multiprocess_dir
        self._theirs: Any = None
        self._client: Any = None
        # Each side asks the other: what is asked for on behalf of the other side does not ask back.
        self._asking = local()

    def connect(self) -> bool:
        """Join the two if the app has imported prometheus_client, which is never done for it. Any number of times."""
        client = sys.modules.get(_CLIENT)
        theirs = getattr(client, "REGISTRY", None)
        if theirs is None:
            return False
        if theirs is not self._theirs:
            self._client, self._theirs = client, theirs
            theirs.register(_OurCollector(self))
            self._registry.add_collector(self.their_families)
        return True

    def their_families(self) -> list[MetricFamily]:
        if getattr(self._asking, "busy", False):
            return []
        self._asking.busy = True
        try:
            return [family_from(metric) for metric in self._source().collect()]
        finally:
            self._asking.busy = False

    def our_metrics(self) -> Iterator[Any]:
        """Ours as their objects, without those whose name they have: the process is shown by both."""
        if getattr(self._asking, "busy", False):
            return
        self._asking.busy = True
        try:
            families = [*self._registry.collected(), *map(family_of, self._registry.measured())]
        finally:
            self._asking.busy = False
        taken = self._their_names()
        for family in families:
            if family.name not in taken:
                yield self._metric_from(family)

    def _source(self) -> Any:
        if not self._multiprocess_dir:
            return self._theirs
        # In this mode the objects of this process hold nothing; the files of all workers do.
        from prometheus_client import CollectorRegistry, multiprocess  # noqa: PLC0415 - only where the app has it

        merged = CollectorRegistry()
        collector: Any = multiprocess.MultiProcessCollector
        collector(merged, path=self._multiprocess_dir)
        return merged

    def _their_names(self) -> set[str]:
        # Not public, but asking all their collectors anew would double the cost of each of their scrapes.
        names = getattr(self._theirs, "_names_to_collectors", None)
        if isinstance(names, dict):
            return set(names)
        return {family.name for family in self.their_families()}

    def _metric_from(self, family: MetricFamily) -> Any:
        name = family.name.removesuffix("_total") if family.type is MetricType.COUNTER else family.name
        unit = family.unit if name.endswith("_" + family.unit) else ""
        metric = self._client.Metric(name, family.help, family.type.value, unit)
        for sample in family.samples:
            timestamp = None if sample.timestamp_ms is None else sample.timestamp_ms / 1000
            metric.add_sample(sample.name, sample.labels.as_dict(), sample.value, timestamp)
        return metric


class _OurCollector:
    """What stands in their registry for all of ours."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def describe(self) -> Iterable[Any]:
        """No names: a name claimed here would make the app fail where it registers its own of that name."""
        return ()

    def collect(self) -> Iterable[Any]:
        return self._bridge.our_metrics()


def family_from(metric: Any) -> MetricFamily:
    """Of one of their metrics, as its public attributes say."""
    kind = _TYPES.get(metric.type, MetricType.UNKNOWN)
    name = f"{metric.name}_total" if kind is MetricType.COUNTER else metric.name
    samples = [found for sample in metric.samples if (found := _sample_from(sample)) is not None]
    return MetricFamily(name, kind, metric.documentation, samples, metric.unit or "")


def _sample_from(sample: Any) -> Sample | None:
    """None for what has no number: native histograms."""
    if not isinstance(sample.value, int | float):
        return None
    timestamp_ms = None if sample.timestamp is None else round(float(sample.timestamp) * 1000)
    exemplar = sample.exemplar and Exemplar(
        Labels.of(sample.exemplar.labels),
        float(sample.exemplar.value),
        None if sample.exemplar.timestamp is None else float(sample.exemplar.timestamp),
    )
    return Sample(sample.name, Labels.of(sample.labels), float(sample.value), timestamp_ms, exemplar or None)
