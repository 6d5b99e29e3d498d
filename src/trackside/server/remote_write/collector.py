"""What was sent to us, as metrics."""

from __future__ import annotations

from trackside.instruments.registry import Registry


class RemoteWriteMetrics:
    def __init__(self, registry: Registry) -> None:
        self.stored = registry.counter(
            "trackside_remote_write_samples_total", "Samples that were sent by remote write and stored"
        )
        self.refused = registry.counter(
            "trackside_remote_write_samples_refused_total",
            "Samples that were sent by remote write and not stored",
            ("reason",),
        )
