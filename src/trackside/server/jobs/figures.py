"""What rules compare jobs with: limits of the configuration, what is missing, and how it was a week ago."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trackside.jobs.ledger.tiers import DAY_MS, HOUR_MS
from trackside.jobs.verdicts.verdict import Verdict, VerdictKind
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample
from trackside.server.jobs.config import JobsConfig
from trackside.server.jobs.lately import WINDOW_MS, kinds_now
from trackside.server.jobs.ledger import JobsLedger, Range
from trackside.server.jobs.watch import JobsWatch

WEEK_MS = 7 * DAY_MS
_LEAST_RUNS = 20
"""In an hour; fewer have no percentile worth comparing."""
_LEAST_JOBS = 5

Values = Iterable[tuple[Labels, float]]


def limit_families(config: JobsConfig) -> Iterator[MetricFamily]:
    yield _gauge(
        "trackside_queue_oldest_limit_seconds",
        "How long a job that is due may wait.",
        [(Labels(), config.oldest / 1_000)],
    )
    if config.budget_usd_per_day is not None:
        yield _gauge(
            "trackside_job_budget_usd",
            "What jobs may cost on one day, UTC.",
            [(Labels(), config.budget_usd_per_day)],
        )


def missing_families(watch: JobsWatch, verdicts: Iterable[Verdict]) -> Iterator[MetricFamily]:
    """0 or 1 for everything that has to be there."""
    missing = {verdict.key for verdict in verdicts if verdict.kind is VerdictKind.MISSING}
    yield _gauge(
        "trackside_beat_overdue",
        "1 while a poller that has to beat was never heard, or not for three intervals.",
        [(Labels.of(beat=beat.name), float(f"beat/{beat.name}" in missing)) for beat in watch.expected_beats()],
    )
    yield _gauge(
        "trackside_workers_missing",
        "1 while a queue has fewer workers than declared.",
        [
            (Labels.of(source=one.source, queue=one.queue), float(f"workers/{one.source}/{one.queue}" in missing))
            for one in watch.expectations.workers
        ],
    )


def history_families(ledger: JobsLedger, now_ms: int) -> Iterator[MetricFamily]:
    """From the ledger, whose percentiles are finer than a histogram's buckets, and which counts the very first job of a
    kind: the increase of a counter that begins with it is 0."""
    yield _gauge(
        "trackside_job_failure_ratio",
        f"Share of the jobs that failed among those that ended in the last {WINDOW_MS // 60_000} minutes; of kinds of "
        f"which at least {_LEAST_JOBS} did.",
        [
            (Labels.of(source=kind.source, kind=kind.kind), kind.failed / kind.ended)
            for kind in kinds_now(ledger, now_ms)
            if kind.window_ms == WINDOW_MS and kind.ended >= _LEAST_JOBS
        ],
    )
    yield _gauge(
        "trackside_job_run_p95_seconds",
        "How long 95 of 100 attempts do not exceed, in the last hour and in the same hour a week ago.",
        [
            (Labels.of(source=kind.source, kind=kind.kind, hour=hour), kind.stats.run_s[0.95])
            for hour, end_ms in (("last", now_ms), ("week_ago", now_ms - WEEK_MS))
            for kind in ledger.kinds(Range(end_ms - HOUR_MS, end_ms), now_ms)
            if 0.95 in kind.stats.run_s and sum(kind.stats.counts.values()) >= _LEAST_RUNS
        ],
    )
    today_usd = sum(ledger.costs_usd(Range(now_ms - now_ms % DAY_MS, now_ms + 1), now_ms).values())
    yield _gauge(
        "trackside_job_cost_usd_today", "What jobs said they cost, since midnight UTC.", [(Labels(), today_usd)]
    )


def _gauge(name: str, help: str, values: Values) -> MetricFamily:
    return MetricFamily(name, MetricType.GAUGE, help, tuple(Sample(name, labels, value) for labels, value in values))
