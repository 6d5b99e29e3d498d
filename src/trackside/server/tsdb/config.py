"""How long samples are kept, how many, and how late they may come."""

from __future__ import annotations

from trackside.server.schema import DurationMs, Section, SizeBytes

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS


class StorageConfig(Section):
    """The section `storage` of the configuration."""

    retention: DurationMs = 15 * 24 * _HOUR_MS
    retention_size: SizeBytes = 0
    """Bytes of sealed samples to keep at most; 0: as many as `retention` needs."""
    out_of_order_window: DurationMs = 5 * _MINUTE_MS
    """How much older than the newest sample of its series a sample may be."""
    max_series: int = 1_000_000
    block_duration: DurationMs = 2 * _HOUR_MS
    """Time that one block holds: until then samples stay in memory."""
