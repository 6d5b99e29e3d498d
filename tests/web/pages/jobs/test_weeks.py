"""Day, week and month beside each other, from the ledger, and what each kind cost."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from trackside.jobs.ledger.figures import JobFilter
from trackside.model.jobs import JobReport
from trackside.server.web.pages.jobs.weeks import weeks

DAY_MS = 86_400_000
Visit = Callable[..., str]


def table(page: str) -> list[str]:
    found = re.search(r'<section aria-labelledby="weeks">.*?</section>', page, re.S)
    if found is None:
        return []
    rows = [re.sub(r"<[^>]+>", " ", row) for row in re.findall(r"<tr.*?</tr>", found[0], re.S)]
    return [" ".join(html.unescape(row).replace("\u202f", " ").split()) for row in rows]


def fill(world: SimpleNamespace, days: int, usd: Callable[[int], float], each: int = 12) -> int:
    """So many jobs a day, today's last; what each costs depends on its day."""
    now_ms: int = world.clock.now_ms()
    reports = [
        _report(kind, day, n, now_ms, usd(day) if kind == "render" else 0.01)
        for day in range(days)
        for n in range(each)
        for kind in ("render", "mail")
    ]
    world.ledger.take(reports, now_ms)
    return now_ms


def test_each_span_is_beside_as_long_a_time_before_it(visit: Visit, world: SimpleNamespace) -> None:
    fill(world, 70, lambda day: 0.2 if day < 7 else 0.1)
    rows = table(visit("/jobs", jobs=lambda: world.watch, clock=world.clock))

    assert rows[0] == "All kinds together Last day Last 7 days Last 30 days"
    assert rows[1] == "Jobs ended 24 as before 168 as before 720 as before"
    assert rows[2].startswith("Succeeded 100 % as before")
    assert rows[5] == "Cost $2.52 as before $17.64 ↑ 91 % $48.00 ↑ 21 %"
    assert rows[7:] == [
        "render rq $2.40 95 % $16.80 95 % $44.40 93 %",
        "mail rq $0.1200 4.8 % $0.8400 4.8 % $3.60 7.5 %",
    ]


def _report(kind: str, day: int, number: int, now_ms: int, usd: float) -> JobReport:
    # Hours after the beginning of any span: old hours are counted as a whole.
    ended_ms = now_ms - 3 * 3_600_000 - day * DAY_MS - number * 1_000
    return JobReport("rq", f"{kind}-{day}-{number}", kind, "high", 1, finished_ms=ended_ms, run_s=2.0, cost_usd=usd)


@pytest.mark.parametrize(
    ("days", "heads"),
    [
        pytest.param(1, [], id="the first day says nothing that the rest of the page does not"),
        pytest.param(4, ["Last day", "Last 7 days"], id="some days"),
        pytest.param(9, ["Last day", "Last 7 days", "Last 30 days"], id="more than a week"),
    ],
)
def test_as_far_as_anything_was_counted(world: SimpleNamespace, days: int, heads: list[str]) -> None:
    found = weeks(world.watch.spans.of(JobFilter(), fill(world, days, lambda day: 0.1)))

    assert list(found.heads if found is not None else ()) == heads


def test_a_span_that_was_not_counted_as_a_whole_is_compared_with_nothing(world: SimpleNamespace) -> None:
    now_ms = fill(world, 9, lambda day: 0.1)
    day, week, month = world.watch.spans.of(JobFilter(), now_ms)

    assert day.before is not None
    assert (week.before, month.before) == (None, None)


def test_what_is_chosen_counts(visit: Visit, world: SimpleNamespace) -> None:
    fill(world, 9, lambda day: 0.1)
    rows = table(visit("/jobs?kind=mail", jobs=lambda: world.watch, clock=world.clock))

    assert rows[1] == "Jobs ended 12 as before 84 108"
    assert [row for row in rows if row.startswith("render")] == []


def test_the_ledger_is_asked_for_a_day_once_a_minute_and_seldom_for_a_month(world: SimpleNamespace) -> None:
    now_ms = fill(world, 9, lambda day: 0.1)
    spans = world.watch.spans
    first = spans.of(JobFilter(), now_ms)

    assert [one is two for one, two in zip(spans.of(JobFilter(), now_ms + 59_000), first, strict=True)] == [True] * 3
    assert [one is two for one, two in zip(spans.of(JobFilter(), now_ms + 60_000), first, strict=True)] == [
        False,
        True,
        True,
    ]
    for n in range(100):
        spans.of(JobFilter(queue=str(n)), now_ms)
    assert len(spans._kept) <= 48


def test_costs_have_a_chart_with_the_budget_as_a_line(visit: Visit, world: SimpleNamespace) -> None:
    fill(world, 35, lambda day: 0.1)
    page = visit("/jobs?tab=cost&range=30d", jobs=lambda: world.watch, clock=world.clock)

    assert re.findall(r'<span class="name">(.*?)</span>', page) == ["mail", "render", "budget"]
    assert "Dollars that attempts cost, in 1d, by kind" in page
    # 40 dollars a day.
    assert '"name":"budget","hue":8,"values":[40.0' in page


def test_where_nothing_costs_anything_there_is_no_tab_for_it(visit: Visit, world: SimpleNamespace) -> None:
    limits = world.watch.expectations.limits
    world.watch.expectations = type(world.watch.expectations)(limits=type(limits)())
    world.tick(5)

    assert "tab=cost" not in visit("/jobs", jobs=lambda: world.watch, clock=world.clock)
