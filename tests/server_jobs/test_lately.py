"""How jobs fared lately, and what they cost today."""

import pytest

from trackside.jobs.ledger.figures import JobFilter
from trackside.jobs.ledger.tiers import DAY_MS, HOUR_MS, MINUTE_MS
from trackside.jobs.verdicts.facts import KindCost
from trackside.model.jobs import JobReport
from trackside.server.jobs.lately import spending


def test_the_day_begins_at_midnight_and_the_last_hour_before_it(ledger, at):
    midnight_ms = at - at % DAY_MS
    now_ms = midnight_ms + 10 * MINUTE_MS
    told = (("mail", -20, 6.0), ("mail", 5, 1.0), ("render", -30, 2.0), ("render", -120, 50.0), ("free", 5, None))
    ledger.take(
        [
            JobReport("q", f"{kind}{minute}", kind, finished_ms=midnight_ms + minute * MINUTE_MS, cost_usd=usd)
            for kind, minute, usd in told
        ],
        now_ms,
    )

    spent = spending(ledger, now_ms)
    assert spent.kinds == (KindCost("q", "mail", 1.0, 7.0), KindCost("q", "render", 0.0, 2.0))
    assert spent.today_usd == 1.0
    assert spent.projected_usd(now_ms) == pytest.approx(1 + 9 * (DAY_MS - 10 * MINUTE_MS) / HOUR_MS)
    assert spending(ledger, now_ms, JobFilter(kind="render")).kinds == (KindCost("q", "render", 0.0, 2.0),)


def test_nothing_was_spent(ledger, at):
    assert spending(ledger, at).projected_usd(at) == 0.0
