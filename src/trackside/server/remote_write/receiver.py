"""What a sender writes, into the store: all that can be kept is, and the rest is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trackside.exceptions import LimitError
from trackside.instruments.registry import Registry
from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.clock import Clock
from trackside.server.remote_write.collector import RemoteWriteMetrics
from trackside.server.series import Series
from trackside.server.storage import Appender
from trackside.wire.remote_write import Metadata, WriteRequest, WrittenSeries

AHEAD_MS = 10 * 60_000
"""A sample that is further ahead would make all true ones after it too late."""
MAX_LABELS = 100
MAX_LABEL_BYTES = 4_096
"""Of the name and the value of one label together."""
MAX_FAMILIES = 10_000
MAX_HELP = 1_000

Described = tuple[str, str, str]
"""Type, help and unit of a family."""


@dataclass(frozen=True, slots=True)
class Outcome:
    stored: int
    """Samples."""
    refused: Mapping[str, int]
    """Reason to the number of samples that were not stored for it; none of 0."""


class RemoteWriteReceiver:
    """To be called on the event loop, as the store is."""

    def __init__(self, store: Appender, clock: Clock, registry: Registry) -> None:
        self._store, self._clock = store, clock
        self._metrics = RemoteWriteMetrics(registry)
        self._metadata: dict[str, Described] = {}

    def take(self, request: WriteRequest) -> Outcome:
        self._describe(request.metadata)
        refused: Counter[str] = Counter()
        groups: dict[str, list[Series]] = {}
        latest_ms = self._clock.now_ms() + AHEAD_MS
        for written in request.series:
            fitting = _fitting(written, latest_ms, refused)
            if fitting is not None:
                groups.setdefault(_group(written.labels), []).append(fitting)
        stored = sum(self._append(group, series, refused) for group, series in groups.items())
        self._metrics.stored.inc(stored)
        for reason, count in refused.items():
            self._metrics.refused.labels(reason).inc(count)
        return Outcome(stored, +refused)

    def metadata(self) -> Mapping[str, Described]:
        """Of the families that senders have described."""
        return self._metadata

    def _append(self, group: str, series: Sequence[Series], refused: Counter[str]) -> int:
        try:
            appended = self._store.append_series(group, series)
        except LimitError:
            if len(series) == 1:
                refused["the store holds as many series as it may"] += len(series[0].times_ms)
                return 0
            # Those that are known already have their place.
            return sum(self._append(group, [each], refused) for each in series)
        refused["out of order"] += appended.out_of_order
        refused["another value at the same time"] += appended.duplicate
        refused["older than what is kept"] += appended.too_old
        return appended.added

    def _describe(self, metadata: Iterable[Metadata]) -> None:
        for about in metadata:
            if about.family in self._metadata or len(self._metadata) < MAX_FAMILIES:
                self._metadata[about.family] = (about.type.value, about.help[:MAX_HELP], about.unit[:MAX_HELP])


def _fitting(written: WrittenSeries, latest_ms: int, refused: Counter[str]) -> Series | None:
    """What of it may be stored."""
    if written.native_histograms:
        refused["a native histogram"] += written.native_histograms
    if _is_too_large(written.labels):
        refused[f"more than {MAX_LABELS} labels, or one of more than {MAX_LABEL_BYTES} bytes"] += len(written.samples)
        return None
    samples = [sample for sample in written.samples if sample.timestamp_ms <= latest_ms]
    refused["from the future"] += len(written.samples) - len(samples)
    if not samples:
        return None
    times_ms = np.array([sample.timestamp_ms for sample in samples], np.int64)
    return Series(written.labels, times_ms, np.array([sample.value for sample in samples], np.float64))


def _is_too_large(labels: Labels) -> bool:
    return len(labels.pairs) > MAX_LABELS or any(
        len(name.encode()) + len(value.encode()) > MAX_LABEL_BYTES for name, value in labels
    )


def _group(labels: Labels) -> str:
    """What one process sends is sampled together; of what names none, each family is."""
    job, instance = labels.get("job"), labels.get("instance")
    return f"write/{job}/{instance}" if job or instance else f"write/{labels.get(METRIC_NAME)}"
