"""A row for each kind of job, beside what it was a week ago."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trackside.jobs.ledger.cells import OTHER, UNSEEN
from trackside.jobs.ledger.figures import KindStats
from trackside.jobs.ledger.runs import Outcome
from trackside.server.web.verdict import Level

WEEK_MS = 7 * 86_400_000
FAILING_BAD, FAILING_WORTH_SAYING = 0.1, 0.01
_SAME = 1.25
"""Durations that differ by less are the same: a quantile of few runs says no more."""
_LEAST_RUNS = 10


@dataclass(frozen=True, slots=True)
class Trend:
    arrow: str
    text: str
    level: Level


@dataclass(frozen=True, slots=True)
class KindRow:
    source: str
    kind: str
    name: str
    """What to call it where it has none."""
    level: Level
    ended: int
    per_s: float
    success: float | None
    run_p50_s: float | None
    run_p95_s: float | None
    wait_p95_s: float | None
    attempts: float | None
    """For one that succeeded."""
    cost_usd: float
    cost_each_usd: float | None
    """For one that succeeded."""
    share: float
    """Of what all kinds cost together."""
    trend: Trend | None


def kind_name(kind: str) -> str:
    return {UNSEEN: "not seen one by one", OTHER: "other kinds"}.get(kind, kind)


def kind_rows(now: Sequence[KindStats], week_ago: Sequence[KindStats], span_s: float) -> list[KindRow]:
    """The busiest first."""
    before = {(one.source, one.kind): one for one in week_ago}
    total_usd = sum(one.stats.cost_usd for one in now)
    return [_row(one, before.get((one.source, one.kind)), span_s, total_usd) for one in now]


def _row(one: KindStats, before: KindStats | None, span_s: float, total_usd: float) -> KindRow:
    stats = one.stats
    failing = 0.0 if stats.success_rate is None else 1 - stats.success_rate
    level = Level.BAD if failing >= FAILING_BAD else Level.WARN if failing >= FAILING_WORTH_SAYING else Level.OK
    ended = jobs_ended(stats.counts)
    return KindRow(
        one.source,
        one.kind,
        kind_name(one.kind),
        level,
        ended,
        ended / span_s,
        stats.success_rate,
        stats.run_s.get(0.5),
        stats.run_s.get(0.95),
        stats.wait_s.get(0.95),
        one.attempts_per_success,
        stats.cost_usd,
        one.cost_per_success,
        stats.cost_usd / total_usd if total_usd else 0.0,
        _trend(one, before),
    )


def jobs_ended(counts: Mapping[Outcome, int]) -> int:
    """Attempts that were retried are no jobs that ended."""
    return sum(count for outcome, count in counts.items() if outcome is not Outcome.RETRIED)


def _trend(now: KindStats, before: KindStats | None) -> Trend | None:
    """None: too few to compare."""
    if before is None or min(jobs_ended(now.stats.counts), jobs_ended(before.stats.counts)) < _LEAST_RUNS:
        return None
    if now.stats.success_rate is not None and before.stats.success_rate is not None:
        worse = before.stats.success_rate - now.stats.success_rate
        if abs(worse) >= FAILING_BAD / 2:
            word = "more" if worse > 0 else "less"
            text = f"{abs(worse) * 100:.0f} points {word} fail"
            return Trend("↑" if worse > 0 else "↓", text, Level.BAD if worse > 0 else Level.OK)
    was, takes = before.stats.run_s.get(0.95), now.stats.run_s.get(0.95)
    if not was or not takes:
        return None
    if takes / was >= _SAME:
        return Trend("↑", f"{takes / was:.1f} times slower", Level.WARN)
    if was / takes >= _SAME:
        return Trend("↓", f"{was / takes:.1f} times faster", Level.OK)
    return Trend("→", "as last week", Level.OK)
