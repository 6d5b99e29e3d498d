"""Rows to metric families."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample


@dataclass(slots=True)
class Families:
    """Collects samples under their families, in the order in which they come."""

    common: Mapping[str, str] = field(default_factory=dict)
    """Labels that all of them have."""
    _found: dict[str, tuple[MetricType, str, dict[tuple[str, Labels], float]]] = field(default_factory=dict)

    def gauge(self, name: str, text: str, value: float | None, **labels: str) -> None:
        self.add(name, MetricType.GAUGE, text, value, labels)

    def counter(self, name: str, text: str, value: float | None, **labels: str) -> None:
        self.add(name, MetricType.COUNTER, text, value, labels)

    def add(self, name: str, kind: MetricType, text: str, value: float | None, labels: Mapping[str, str]) -> None:
        """None: the database has no value, which is shown as NaN."""
        self._add(name, (name, kind, text), value, labels)

    def summary(
        self, name: str, text: str, quantiles: Mapping[str, float | None], total: tuple[float, float], **labels: str
    ) -> None:
        """`total`: sum and count."""
        about = (name, MetricType.SUMMARY, text)
        for quantile, value in quantiles.items():
            self._add(name, about, value, {**labels, "quantile": quantile})
        self._add(f"{name}_sum", about, total[0], labels)
        self._add(f"{name}_count", about, total[1], labels)

    def _add(
        self, sample: str, about: tuple[str, MetricType, str], value: float | None, labels: Mapping[str, str]
    ) -> None:
        name, kind, text = about
        _, _, samples = self._found.setdefault(name, (kind, text, {}))
        samples[sample, Labels.of({**self.common, **labels})] = math.nan if value is None else float(value)

    def all(self) -> Iterable[MetricFamily]:
        for name, (kind, text, samples) in self._found.items():
            yield MetricFamily(
                name, kind, text, tuple(Sample(sample, labels, value) for (sample, labels), value in samples.items())
            )
