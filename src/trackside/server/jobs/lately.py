"""How the kinds of jobs fared lately, from the ledger, as verdicts need it."""

from __future__ import annotations

from collections.abc import Sequence

from trackside.jobs.ledger.figures import FailureGroup, JobFilter, KindStats
from trackside.jobs.ledger.runs import Outcome
from trackside.jobs.ledger.tiers import DAY_MS, HOUR_MS
from trackside.jobs.verdicts.facts import KindCost, KindNow, Spending
from trackside.server.jobs.ledger import ANY, JobsLedger, Range

WINDOW_MS = 300_000
_LEAST_JOBS = 5
_LEAST_RUNS = 20
"""Of which a usual duration can be told."""


def kinds_now(ledger: JobsLedger, now_ms: int) -> tuple[KindNow, ...]:
    """In the last five minutes; in the last hour for those of which that is too little to say anything."""
    found: dict[tuple[str, str], KindNow] = {}
    for window_ms in (HOUR_MS, WINDOW_MS):
        range = _until(now_ms, window_ms)
        groups = ledger.failures(range)
        for kind in ledger.kinds(range, now_ms):
            now = _kind_now(kind, window_ms, groups)
            key = (kind.source, kind.kind)
            if window_ms == HOUR_MS or now.ended >= _LEAST_JOBS or now.attempts >= _LEAST_JOBS:
                found[key] = now
    return tuple(found.values())


def usual_run_s(ledger: JobsLedger, now_ms: int) -> dict[tuple[str, str], float]:
    """What 99 of 100 runs of the last day do not exceed."""
    return {
        (kind.source, kind.kind): kind.stats.run_s[0.99]
        for kind in ledger.kinds(_until(now_ms, DAY_MS), now_ms)
        if 0.99 in kind.stats.run_s and sum(kind.stats.counts.values()) >= _LEAST_RUNS
    }


def spending(ledger: JobsLedger, now_ms: int, of: JobFilter = ANY) -> Spending:
    """Of the day so far, UTC, and how much of it lately."""
    day_ms = now_ms - now_ms % DAY_MS
    today = ledger.costs_usd(Range(day_ms, now_ms + 1), now_ms, of)
    of_hour = ledger.costs_usd(_until(now_ms, HOUR_MS), now_ms, of)
    kinds = [KindCost(*key, today.get(key, 0.0), of_hour.get(key, 0.0)) for key in today | of_hour]
    kinds.sort(key=lambda one: (-one.today_usd, one.source, one.kind))
    return Spending(day_ms, HOUR_MS, tuple(kinds))


def _until(now_ms: int, long_ms: int) -> Range:
    return Range(now_ms - long_ms, now_ms + 1)


def _kind_now(kind: KindStats, window_ms: int, groups: Sequence[FailureGroup]) -> KindNow:
    counts = kind.stats.counts
    failed = counts.get(Outcome.FAILED, 0) + counts.get(Outcome.LOST, 0)
    succeeded, retried = counts.get(Outcome.SUCCEEDED, 0), counts.get(Outcome.RETRIED, 0)
    return KindNow(
        kind.source,
        kind.kind,
        succeeded + failed,
        failed,
        succeeded + failed + retried,
        failed + retried,
        window_ms,
        tuple(group for group in groups if (group.source, group.kind) == (kind.source, kind.kind)),
    )
