"""Scraping as metrics of our own."""

from __future__ import annotations

from trackside.instruments.registry import Registry
from trackside.server.storage import Appended


class ScrapeMetrics:
    def __init__(self, registry: Registry) -> None:
        job = ("scrape_job",)
        self._scrapes = registry.counter(
            "trackside_scrape_attempts_total",
            "Scrapes, by job and by whether they succeeded.",
            ("scrape_job", "outcome"),
        )
        self._samples = registry.counter("trackside_scrape_samples_total", "Samples stored by scraping.", job)
        self._dropped = registry.counter(
            "trackside_scrape_samples_dropped_total", "Scraped samples that were not stored, by reason.", ("reason",)
        )
        self._targets = registry.gauge("trackside_scrape_targets", "Targets that are scraped, by job.", job)
        self._invalid = registry.gauge(
            "trackside_scrape_invalid_targets", "Targets that cannot be scraped after relabeling, by job.", job
        )
        self._discovery_failures = registry.counter(
            "trackside_scrape_discovery_failures_total", "Failures to find out what the targets are, by job.", job
        )

    def scraped(self, job: str, *, failed: bool, duplicates: int) -> None:
        self._scrapes.labels(job, "failure" if failed else "success").inc()
        self._drop("duplicate_in_page", duplicates)

    def stored(self, job: str, appended: Appended) -> None:
        self._samples.labels(job).inc(appended.added)
        self._drop("out_of_order", appended.out_of_order)
        self._drop("duplicate", appended.duplicate)
        self._drop("too_old", appended.too_old)

    def targets(self, job: str, count: int, invalid: int) -> None:
        self._targets.labels(job).set(count)
        self._invalid.labels(job).set(invalid)

    def discovery_failed(self, job: str) -> None:
        self._discovery_failures.labels(job).inc()

    def _drop(self, reason: str, count: int) -> None:
        if count:
            self._dropped.labels(reason).inc(count)
