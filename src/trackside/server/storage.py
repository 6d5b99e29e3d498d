"""The seam between those who write and read samples and the one who keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher
from trackside.server.series import Float64s, Frame, Int64s, Series


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of the samples of one call."""

    added: int
    out_of_order: int = 0
    """Older than the newest sample of their series by more than the window for late samples: dropped."""
    duplicate: int = 0
    """Same series and time as a sample that is there, with another value: dropped."""
    too_old: int = 0


class Appender(Protocol):
    """Called from the event loop only. Nothing here waits for the disk: the journal row is queued, and a crash loses
    what was queued in the last moment, never what was queued before it."""

    def refs(self, labels: Sequence[Labels]) -> Int64s:
        """Id of each series, made on first sight; shape (len(labels),). Valid as long as the process lives.

        Raises:
            LimitError: the store holds as many series as it may.
        """
        ...

    def append_row(self, group: str, time_ms: int, refs: Int64s, values: Float64s) -> Appended:
        """One sample for each series of `refs`, all at `time_ms`: a scrape, an evaluation of recording rules.

        `group` names the frame: series that are always sampled together share it ("shop/10.0.0.1:8000").
        Values may be `STALE`. `refs` has no duplicates; both arrays have shape (s,), and may be kept by the store.
        """
        ...

    def append_series(self, group: str, series: Sequence[Series]) -> Appended:
        """Samples with their own times: pushed ones, and expositions with timestamps."""
        ...


class Querier(Protocol):
    """Called from query threads."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterator[Frame]:
        """Samples in [start_ms, end_ms] of the series that match all `matchers`, frame by frame.

        Each series is in at most one frame, and has at least one sample or marker other than `HOLE` in it. A frame is
        read and decoded when it is asked for, so that a caller who reduces each before the next needs memory for one.
        """
        ...

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """Series that match and have a sample in about that time (whole blocks count), sorted."""
        ...

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Sorted."""
        ...

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Sorted."""
        ...
