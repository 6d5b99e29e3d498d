"""How jobs fared in the last day, week and month, beside the same time before each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from trackside.jobs.ledger.figures import JobFilter, JobStats, KindStats
from trackside.jobs.ledger.tiers import DAY_MS
from trackside.server.jobs.ledger import JobsLedger, Range

SPANS_MS = (DAY_MS, 7 * DAY_MS, 30 * DAY_MS)
KEPT_SHARE = 1 / 1_440
"""Of its length: a minute for a day, half an hour for a month, in which hardly anything of it can change."""
_KEPT = 48


@dataclass(frozen=True, slots=True)
class Span:
    long_ms: int
    stats: JobStats
    kinds: Sequence[KindStats]
    before: JobStats | None
    """Of as long a time just before. None: not all of it was counted."""


class Spans:
    """Any thread may ask."""

    def __init__(self, ledger: JobsLedger) -> None:
        self._ledger = ledger
        self._lock = Lock()
        self._kept: OrderedDict[tuple[JobFilter, int], tuple[int, Span]] = OrderedDict()

    def of(self, wanted: JobFilter, now_ms: int) -> list[Span]:
        """The shortest first; without those that hold nothing that the one before does not."""
        began_ms = self._ledger.began_ms()
        spans: list[Span] = []
        if began_ms is None:
            return spans
        for long_ms in SPANS_MS:
            if spans and began_ms > now_ms - spans[-1].long_ms:
                break
            spans.append(self._span(wanted, long_ms, began_ms, now_ms))
        return spans

    def _span(self, wanted: JobFilter, long_ms: int, began_ms: int, now_ms: int) -> Span:
        key = (wanted, long_ms)
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and 0 <= now_ms - kept[0] < long_ms * KEPT_SHARE:
            return kept[1]
        stats, kinds = self._ledger.fared(Range(now_ms - long_ms, now_ms + 1), now_ms, wanted)
        earlier = Range(now_ms - 2 * long_ms, now_ms - long_ms)
        before = self._ledger.stats_between(earlier, now_ms, wanted) if began_ms <= earlier.start_ms else None
        span = Span(long_ms, stats, kinds, before)
        with self._lock:
            self._kept[key] = (now_ms, span)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return span
