"""Metric families and their samples, as an exposition carries them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from trackside.model.cheap_typing import NamedTuple
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


# Named tuples, not dataclasses, which would take half of the time that an application takes to import all of us.
class Exemplar(NamedTuple):
    """One observed value with the trace it belongs to."""

    labels: Labels
    value: float
    timestamp_s: float | None = None


class Sample(NamedTuple):
    """One value of one series. Without a timestamp it is taken at the moment of the scrape."""

    name: str
    """Of the series, suffix included: `http_requests_total`, `latency_seconds_bucket`."""
    labels: Labels
    value: float
    timestamp_ms: int | None = None
    exemplar: Exemplar | None = None


class NativeBuckets(NamedTuple):
    """A native histogram at one moment, besides its sum: bucket i ends at 2**(i / 2**schema)."""

    schema: int
    zero_threshold: float
    zero_count: float
    positive: tuple[tuple[int, float], ...]
    """(index, count) of the buckets that are not empty, rising."""
    negative: tuple[tuple[int, float], ...]

    @property
    def observations(self) -> float:
        return self.zero_count + sum(count for _, count in (*self.positive, *self.negative))


class MetricFamily(NamedTuple):
    """All samples of one metric. `name` is as registered: a counter's ends in `_total`."""

    name: str
    type: MetricType
    help: str
    samples: Sequence[Sample]
    unit: str = ""
