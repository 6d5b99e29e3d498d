"""One target, scraped: pull, store what it said beside the facts of the scrape itself, mark what vanished."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from trackside.exceptions import ParseError, TracksideError
from trackside.model.labels import METRIC_NAME, Labels
from trackside.model.targets import TargetHealth, TargetStatus
from trackside.server.clock import Clock
from trackside.server.scrape.cache import DROPPED, Described, Reading, Samples, SeriesCache
from trackside.server.scrape.collector import ScrapeMetrics
from trackside.server.scrape.config import ScrapeConfig
from trackside.server.scrape.labeling import Labeling
from trackside.server.scrape.protocols import ScrapeError, dialect_of
from trackside.server.scrape.sources import Page, Source
from trackside.server.scrape.staleness import NO_REFS, NO_VALUES, appeared, stale, vanished, without
from trackside.server.scrape.targets import Target
from trackside.server.series import Float64s, Int64s
from trackside.server.storage import Appender

# Reading a new page of this size takes some 50 ms, which others on the event loop would have to wait for.
READ_ON_THREAD_BYTES = 256 << 10
# Series that are registered before others get their turn.
LEARN_AT_ONCE = 2_000

REPORT = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)


@dataclass(frozen=True, slots=True)
class Ports:
    """What every loop needs of the server."""

    appender: Appender
    clock: Clock
    metrics: ScrapeMetrics


@dataclass(slots=True)
class _Outcome:
    samples: Samples | None = None
    error: str = ""
    problem: str = ""
    """The target is down, and its page is kept."""
    body_bytes: int = 0
    scraped: int = 0
    kept: int = 0


class TargetLoop:
    """Called by one caller at a time."""

    def __init__(self, target: Target, config: ScrapeConfig, source: Source, ports: Ports) -> None:
        self.target, self.config = target, config
        self.refusal = ""
        """Why the target may not be scraped now; every scrape then fails with it."""
        self._source, self._ports = source, ports
        self._cache = SeriesCache(Labeling(config, target.labels))
        self._seen = NO_REFS
        self._row: Int64s | None = None
        """Series of the row before, report included, while they stay the same."""
        self._report = NO_REFS
        self.status = TargetStatus(
            target.pool,
            target.url,
            target.labels,
            target.discovered,
            interval_ms=target.interval_ms,
            timeout_ms=target.timeout_ms,
        )

    def metadata(self) -> Mapping[str, Described]:
        """Type, help and unit of each family the target described."""
        return self._cache.described()

    def take_over(self, other: TargetLoop) -> None:
        """Go on where `other`, the loop of the same target by an older configuration, stops."""
        self._seen = np.union1d(other._seen, other._report)
        self.status = replace(other.status, interval_ms=self.target.interval_ms, timeout_ms=self.target.timeout_ms)

    async def scrape(self, now_ms: int) -> None:
        """Pull once. Whatever the target does, the outcome is samples at `now_ms`, `up` among them."""
        started_s = self._ports.clock.monotonic_s()
        outcome = await self._pulled(now_ms)
        seconds = self._ports.clock.monotonic_s() - started_s
        try:
            self._store(outcome, now_ms, seconds)
        except TracksideError as error:
            outcome.error = outcome.error or str(error)
        duplicates = outcome.samples.duplicates if outcome.samples is not None else 0
        reason = outcome.error or outcome.problem
        self._ports.metrics.scraped(self.target.pool, failed=bool(reason), duplicates=duplicates)
        self.status = replace(
            self.status,
            health=TargetHealth.DOWN if reason else TargetHealth.UP,
            last_error=reason,
            last_scrape_ms=now_ms,
            last_scrape_s=seconds,
            samples=outcome.scraped,
        )

    def end(self, now_ms: int) -> None:
        """The target is no more: all its series end here."""
        refs = np.union1d(self._seen, self._report)
        # A marker at the time of the last sample would be a duplicate of it.
        time_ms = max(now_ms, (self.status.last_scrape_ms or 0) + 1)
        if len(refs):
            self._ports.appender.append_row(self.target.group, time_ms, refs, stale(len(refs)))
        self._seen, self._row = NO_REFS, None

    async def _pulled(self, now_ms: int) -> _Outcome:
        outcome = _Outcome()
        try:
            if self.refusal:
                raise ScrapeError(self.refusal)
            page = await self._source.pull(now_ms)
            outcome.body_bytes, outcome.problem = len(page.body), page.problem
            reading = await self._reading(page)
            outcome.scraped, outcome.kept = self._cache.counts(reading)
            # Before the store has heard of any new series: the limit is there to protect it.
            if 0 < self.config.sample_limit < outcome.kept:
                raise ScrapeError(f"{outcome.kept:,} samples are more than sample_limit = {self.config.sample_limit:,}")
            await self._learn(reading)
            outcome.samples = self._cache.samples(reading)
        except ParseError as error:
            outcome.error = f"the page cannot be read: {error}"
        except TracksideError as error:
            outcome.error = str(error)
        except Exception as error:  # noqa: BLE001 - a target may break anything, but only its own scrape
            outcome.error = f"the scrape failed: {type(error).__name__}: {error}"
        return outcome

    async def _reading(self, page: Page) -> Reading:
        dialect = dialect_of(page.content_type, self.config.fallback_scrape_protocol)
        if len(page.body) < READ_ON_THREAD_BYTES:
            return self._cache.read(page.body, dialect)
        return await asyncio.to_thread(self._cache.read, page.body, dialect)

    async def _learn(self, reading: Reading) -> None:
        """Register what was never seen.

        Raises:
            LimitError: the store holds as many series as it may.
        """
        self._cache.learn({key: DROPPED for key, labels in reading.new.items() if labels is None})
        new = [(key, labels) for key, labels in reading.new.items() if labels is not None]
        for start in range(0, len(new), LEARN_AT_ONCE):
            batch = new[start : start + LEARN_AT_ONCE]
            ids = self._ports.appender.refs([labels for _, labels in batch]).tolist()
            self._cache.learn(dict(zip((key for key, _ in batch), ids, strict=True)))
            if start + LEARN_AT_ONCE < len(new):
                await asyncio.sleep(0)

    def _store(self, outcome: _Outcome, now_ms: int, seconds: float) -> None:
        """
        Raises:
            LimitError: the store holds as many series as it may.
        """
        ports, target = self._ports, self.target
        if not len(self._report):
            self._report = self._report_refs()
        samples = outcome.samples if not outcome.error else None
        if samples is not None and samples.same_series and self._row is not None:
            values = np.concatenate((samples.values, self._report_values(outcome, seconds, 0)))
            ports.metrics.stored(target.pool, ports.appender.append_row(target.group, now_ms, self._row, values))
            return
        # Forgotten before anything can fail: it may be used only for the page that follows one that was stored whole.
        self._row = None
        refs, values = (samples.refs, samples.values) if samples is not None else (NO_REFS, NO_VALUES)
        # A page may hold an `up` of its own.
        refs_kept, values = without(refs, values, self._report)
        timed = samples.timed_refs if samples is not None else NO_REFS
        gone = vanished(self._seen, refs_kept, timed, self._report)
        seen = np.union1d(refs_kept, timed) if self.config.track_timestamps_staleness else refs_kept
        report = self._report_values(outcome, seconds, appeared(self._seen, seen))
        row = np.concatenate((refs_kept, self._report))
        self._append(now_ms, (row, np.concatenate((values, report))), gone)
        if samples is not None and samples.timed:
            ports.metrics.stored(target.pool, ports.appender.append_series(target.group, samples.timed))
        self._seen = seen
        if samples is not None and refs_kept is refs and not samples.timed:
            self._row = row

    def _append(self, now_ms: int, row: tuple[Int64s, Float64s], gone: Int64s) -> None:
        refs, values = row
        if len(gone):
            refs, values = np.concatenate((refs, gone)), np.concatenate((values, stale(len(gone))))
        appended = self._ports.appender.append_row(self.target.group, now_ms, refs, values)
        self._ports.metrics.stored(self.target.pool, appended)

    def _report_refs(self) -> Int64s:
        names = [*REPORT, *self._extra(0)]
        return self._ports.appender.refs([self.target.labels.merged(Labels.of({METRIC_NAME: name})) for name in names])

    def _report_values(self, outcome: _Outcome, seconds: float, added: int) -> Float64s:
        counts = (outcome.scraped, outcome.kept)
        up = 0.0 if outcome.error or outcome.problem else 1.0
        return np.array((up, seconds, *counts, added, *self._extra(outcome.body_bytes).values()), dtype=np.float64)

    def _extra(self, body_bytes: int) -> dict[str, float]:
        """Name and value of the facts that are reported on request."""
        extra: dict[str, float] = {}
        if self.config.sample_limit or self.config.extra_scrape_metrics:
            extra["scrape_sample_limit"] = self.config.sample_limit
        if self.config.extra_scrape_metrics:
            extra["scrape_timeout_seconds"] = self.target.timeout_ms / 1000
            extra["scrape_body_size_bytes"] = body_bytes
        return extra
