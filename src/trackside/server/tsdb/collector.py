"""The store as metrics of our own."""

from __future__ import annotations

from dataclasses import dataclass

from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample
from trackside.server.tsdb.store import StorageStats


@dataclass(frozen=True, slots=True)
class _Described:
    field: str
    name: str
    help: str
    type: MetricType = MetricType.GAUGE


_FAMILIES = (
    _Described("series", "trackside_storage_series", "Series with samples in the store."),
    _Described("head_samples", "trackside_storage_head_samples", "Samples in memory, not yet in a block."),
    _Described("head_bytes", "trackside_storage_head_bytes", "Memory of the samples that are not yet in a block."),
    _Described("blocks", "trackside_storage_blocks", "Blocks on disk."),
    _Described("block_samples", "trackside_storage_block_samples", "Samples in blocks."),
    _Described("block_bytes", "trackside_storage_block_bytes", "Size of all blocks."),
    _Described("journal_waiting_rows", "trackside_storage_journal_waiting_rows", "Appended rows not yet on disk."),
    _Described("appended_total", "trackside_storage_samples_appended_total", "Samples taken.", MetricType.COUNTER),
    _Described(
        "out_of_order_total",
        "trackside_storage_out_of_order_samples_total",
        "Samples refused: too late.",
        MetricType.COUNTER,
    ),
    _Described(
        "duplicate_total",
        "trackside_storage_duplicate_samples_total",
        "Samples refused: another value at that time.",
        MetricType.COUNTER,
    ),
    _Described("errors_total", "trackside_storage_errors_total", "Writes and reads that failed.", MetricType.COUNTER),
)


def storage_families(stats: StorageStats) -> list[MetricFamily]:
    return [
        MetricFamily(
            about.name, about.type, about.help, (Sample(about.name, Labels(()), float(getattr(stats, about.field))),)
        )
        for about in _FAMILIES
    ]
