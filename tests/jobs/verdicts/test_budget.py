"""What jobs cost today, beside what they may."""

import pytest

from trackside.jobs.verdicts.facts import Facts, KindCost, Limits, Spending
from trackside.jobs.verdicts.judging import judge
from trackside.jobs.verdicts.memory import Memory

DAY = 1_799_971_200_000
NOON = DAY + 12 * 3_600_000


def spent(*kinds):
    return Spending(DAY, 3_600_000, tuple(KindCost("rq", *kind) for kind in kinds))


def judged(spending, budget=40.0, now=NOON, memory=None):
    return judge(Facts(DAY, spending=spending), memory or Memory(), now, Limits(budget_usd=budget))


def lasting(spending, **more):
    """As it is after a while."""
    return judged(spending, **more, now=NOON + 400_000, memory=judged(spending, **more).memory).verdicts[0]


def test_over_the_budget_is_said_at_once_by_kind_and_with_the_end_of_the_day():
    (verdict,) = judged(spent(("render", 48.0, 2.0), ("mail", 4.1, 0.0), ("a", 0.5, 0.0), ("b", 0.1, 0.0))).verdicts

    assert verdict.sentence.replace("\u202f", " ") == (
        "Jobs have cost $52.70 today, $12.70 more than the budget of $40.00: render $48.00 (91 %), mail $4.10 (7.8 %), "
        "a $0.50 (0.9 %) and 1 more; at the rate of the last hour it will be $76.70 at midnight UTC."
    )
    assert verdict.next_step.startswith("Look what render did today")
    assert verdict.severity.value == "medium"
    assert verdict.figures == {"today_usd": 52.7, "projected_usd": 76.7, "budget_usd": 40.0}


def test_what_will_be_over_is_said_when_it_lasts_with_the_time_when_it_is_spent():
    will_be = spent(("render", 20.0, 4.0))

    assert judged(will_be).verdicts[0].kind.value == "calm"
    assert lasting(will_be).sentence.replace("\u202f", " ") == (
        "At the rate of the last hour jobs will cost $67.56 today, more than the budget of $40.00, which is spent at "
        "17:06 UTC: $20.00 so far, render $20.00 (100 %)."
    )
    assert lasting(will_be).severity.value == "low"


@pytest.mark.parametrize(
    ("kinds", "budget"),
    [
        pytest.param((("render", 20.0, 1.0),), 40.0, id="within it, and it will be"),
        pytest.param((("render", 3.0, 3.0),), 40.0, id="hardly begun: nothing can be said of the evening"),
        pytest.param((("render", 500.0, 3.0),), None, id="no budget"),
        pytest.param((), 40.0, id="nothing was spent"),
    ],
)
def test_within_the_budget_nothing_is_said(kinds, budget):
    assert lasting(spent(*kinds), budget=budget).kind.value == "calm"


def test_yesterday_is_over():
    assert judged(spent(("render", 500.0, 3.0)), now=DAY + 86_400_000).verdicts[0].kind.value == "calm"
