"""Metric families and their samples, as an exposition carries them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from trackside.model.labels import Labels


class MetricType(Enum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    GAUGE_HISTOGRAM = "gaugehistogram"
    SUMMARY = "summary"
    INFO = "info"
    STATESET = "stateset"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observed value with the trace it belongs to."""

    labels: Labels
    value: float
    timestamp_s: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one series. Without a timestamp it is taken at the moment of the scrape."""

    name: str
    """Of the series, suffix included: `http_requests_total`, `latency_seconds_bucket`."""
    labels: Labels
    value: float
    timestamp_ms: int | None = None
    exemplar: Exemplar | None = None


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """All samples of one metric. `name` is as registered: a counter's ends in `_total`."""

    name: str
    type: MetricType
    help: str
    samples: Sequence[Sample]
    unit: str = ""
