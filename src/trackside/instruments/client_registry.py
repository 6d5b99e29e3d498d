"""prometheus_client's registry: what is in it besides ours, and what stands in it for ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import local
from typing import Any
from weakref import ref

from trackside.instruments.registry import Registry
from trackside.model.labels import Labels
from trackside.model.metrics import Exemplar, MetricFamily, MetricType, Sample

_TYPES = {kind.value: kind for kind in MetricType}


class OurCollector:
    """All registries of ours that are joined to one of theirs."""

    def __init__(self, theirs: Any, client: Any) -> None:
        self._theirs = theirs
        self._client = client
        # A monitor that nobody has any more is shown no more.
        self._joined: list[ref[Registry]] = []
        # Each side asks the other: what is asked for on behalf of the other side does not ask back.
        self._asked = local()

    def add(self, registry: Registry) -> bool:
        """False where it is joined already."""
        alive = [known for known in self._joined if known() is not None]
        is_new = all(known() is not registry for known in alive)
        self._joined = [*alive, ref(registry)] if is_new else alive
        return is_new

    @contextmanager
    def asking(self) -> Iterator[bool]:
        """False where this thread asks already."""
        first = not getattr(self._asked, "busy", False)
        self._asked.busy = True
        try:
            yield first
        finally:
            self._asked.busy = not first

    def describe(self) -> Iterable[Any]:
        """No names: a name claimed here would make the app fail where it registers its own of that name."""
        return ()

    def collect(self) -> Iterable[Any]:
        """Ours as their objects, without those whose name they have: the process is shown by both."""
        with self.asking() as first:
            families = self._families() if first else []
        taken = self._their_names() if families else set()
        return [self._metric_from(family) for family in families if family.name not in taken]

    def _families(self) -> list[MetricFamily]:
        """One of each name, though several monitors may have it, such as those about the process."""
        found: dict[str, MetricFamily] = {}
        for registry in [known() for known in self._joined]:
            for family in registry.collect() if registry is not None else ():
                known = found.get(family.name)
                found[family.name] = family if known is None else _together(known, family)
        return list(found.values())

    def _their_names(self) -> set[str]:
        # Not public, but asking all their collectors anew would double the cost of each of their scrapes.
        names = getattr(self._theirs, "_names_to_collectors", None)
        return set(names) if isinstance(names, dict) else set()

    def _metric_from(self, family: MetricFamily) -> Any:
        name = family.name.removesuffix("_total") if family.type is MetricType.COUNTER else family.name
        unit = family.unit if name.endswith("_" + family.unit) else ""
        metric = self._client.Metric(name, family.help, family.type.value, unit)
        for sample in family.samples:
            timestamp = None if sample.timestamp_ms is None else sample.timestamp_ms / 1000
            metric.add_sample(sample.name, sample.labels.as_dict(), sample.value, timestamp)
        return metric


def joined(theirs: Any, client: Any) -> OurCollector:
    """The one in their registry, which is registered there if it is not."""
    for collector in _registered(theirs):
        if isinstance(collector, OurCollector):
            return collector
    made = OurCollector(theirs, client)
    theirs.register(made)
    return made


def collectors_of(theirs: Any) -> list[Any]:
    """All but ours, each by itself. Where they are not kept as expected, their registry as one."""
    found = [collector for collector in _registered(theirs) if not isinstance(collector, OurCollector)]
    if not found and not isinstance(getattr(theirs, "_collector_to_names", None), dict):
        return [theirs]
    return [_TargetInfo(theirs), *found] if getattr(theirs, "_target_info", None) else found


def beside_files(theirs: Any, client: Any) -> list[Any]:
    """The collectors of the application that keep nothing in files, where all else does: its own classes, Info and
    Enum. Not those about the process, which know this one only."""
    in_memory, in_files = (client.Info, client.Enum), client.metrics.MetricWrapperBase
    return [
        collector
        for collector in collectors_of(theirs)
        if isinstance(collector, in_memory)
        or not (isinstance(collector, in_files) or type(collector).__module__.startswith(f"{client.__name__}."))
    ]


class _TargetInfo:
    """What their registry says of the process itself."""

    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs

    def collect(self) -> Iterable[Any]:
        return [self._theirs._target_info_metric()]


def _registered(theirs: Any) -> list[Any]:
    known = getattr(theirs, "_collector_to_names", None)
    return list(known) if isinstance(known, dict) else []


def _together(family: MetricFamily, other: MetricFamily) -> MetricFamily:
    if family.type is not other.type:
        return family
    series = {(sample.name, sample.labels) for sample in family.samples}
    more = [sample for sample in other.samples if (sample.name, sample.labels) not in series]
    return family._replace(samples=[*family.samples, *more]) if more else family


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
