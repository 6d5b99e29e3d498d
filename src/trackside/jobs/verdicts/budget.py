"""Money: more was spent today than may be, or more will be if it goes on as in the last hour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from trackside.jobs.ledger.tiers import DAY_MS
from trackside.jobs.verdicts.facts import Facts, KindCost, Limits, Spending
from trackside.jobs.verdicts.verdict import Finding, Severity, Verdict, VerdictKind
from trackside.jobs.verdicts.words import listed, share, usd

_LEAST_SHARE = 0.1
"""Of the budget: what is projected from less than this says nothing."""
_HOLD_MS = 300_000
"""One dear job is no trend."""
_KINDS = 3


def budget_findings(facts: Facts, limits: Limits, now_ms: int) -> Iterator[Finding]:
    spending, budget = facts.spending, limits.budget_usd
    if spending is None or not budget or not 0 <= now_ms - spending.day_ms < DAY_MS:
        return
    today, projected = spending.today_usd, spending.projected_usd(now_ms)
    if today > budget:
        over = f"Jobs have cost {usd(today)} today, {usd(today - budget)} more than the budget of {usd(budget)}"
        by_the_end = f"; at the rate of the last hour it will be {usd(projected)} at midnight UTC" if projected else ""
        said = f"{over}: {_kinds(spending.kinds, today)}{by_the_end}."
        yield Finding(_verdict(Severity.MEDIUM, said, spending, budget, projected))
    elif projected > budget and today >= _LEAST_SHARE * budget:
        spent_at = _spent_at(spending, budget, now_ms)
        said = (
            f"At the rate of the last hour jobs will cost {usd(projected)} today, more than the budget of "
            f"{usd(budget)}, which is spent at {spent_at}: {usd(today)} so far, {_kinds(spending.kinds, today)}."
        )
        yield Finding(_verdict(Severity.LOW, said, spending, budget, projected), _HOLD_MS)


def _verdict(severity: Severity, sentence: str, spending: Spending, budget: float, projected: float) -> Verdict:
    first = spending.kinds[0]
    name = first.kind or "jobs that are not seen one by one"
    return Verdict(
        VerdictKind.BUDGET,
        severity,
        "budget",
        sentence,
        f"Look what {name} did today, and whether it fails and is paid for again; raise jobs.budget_usd_per_day if it "
        "may cost so much.",
        figures={"today_usd": spending.today_usd, "projected_usd": projected, "budget_usd": budget},
    )


def _kinds(kinds: Sequence[KindCost], today: float) -> str:
    """ "render $48.00 (92 %), mail $4.10 (8 %) and 2 more"."""
    paid = [one for one in kinds if one.today_usd]
    return listed(
        [f"{one.kind or 'unseen jobs'} {usd(one.today_usd)} ({share(one.today_usd, today)})" for one in paid], _KINDS
    )


def _spent_at(spending: Spending, budget: float, now_ms: int) -> str:
    at_ms = now_ms + (budget - spending.today_usd) / spending.usd_per_ms
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M UTC")
