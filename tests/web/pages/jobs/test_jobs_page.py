"""The page of all queues: what is wrong comes first, every number is that of the ledger, and every filter is a link."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from trackside.model.jobs import JobReport, JobState, QueueNow
from trackside.server.access.roles import Role

Visit = Callable[..., str]


def words(page: str) -> str:
    text = re.sub(r"<(script|svg).*?</\1>", " ", page, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).replace("\u202f", " ").split())


def section(page: str, name: str) -> str:
    found = re.search(rf'<section aria-labelledby="{name}".*?</section>', page, re.S)
    assert found is not None, name
    return found[0]


def row(page: str, table: str, name: str) -> str:
    rows = re.findall(r"<tr.*?</tr>", section(page, table), re.S)
    return next(words(one) for one in rows if f"> {name} " in f"> {words(one)} ")


def test_the_worst_comes_first_with_what_to_do(jobs_visit: Visit) -> None:
    page = words(jobs_visit("/jobs"))

    assert page.index("session-poller was never seen") < page.index("Nobody consumes the queue low")
    assert page.index("Nobody consumes the queue low") < page.index("The queue high has 1 of 2 workers")
    assert "Start a worker for low: rq worker low" in page
    assert "▲ session-poller was never seen" in page


def test_a_verdict_leads_to_its_queue_and_its_jobs(jobs_visit: Visit) -> None:
    page = html.unescape(jobs_visit("/jobs"))

    assert '/jobs?source=rq&queue=low&range=1h&refresh=10">low</a>' in page
    assert '/jobs/rq/c3d0?range=1h&refresh=10">c3d0</a>' in page


def test_a_lane_says_how_long_what_and_until_when(jobs_visit: Visit) -> None:
    page = jobs_visit("/jobs")

    assert row(page, "queues", "low").startswith("low rq 6.2 min 266 0 0 3")
    assert "never at this rate 0 exact" in row(page, "queues", "low")
    assert "paused" in row(page, "queues", "exports")
    assert "not while paused" in row(page, "queues", "exports")
    assert "keeps up" in row(page, "queues", "mail")
    assert re.findall(r'<b class="oldest (\w+)">', page)[:3] == ["bad", "warn", "ok"]


def test_a_queue_in_the_address_narrows_everything(jobs_visit: Visit) -> None:
    page = jobs_visit("/jobs?source=rq&queue=high")

    assert "low" not in words(section(page, "queues"))
    assert "images.enhance" in words(section(page, "kinds"))
    assert "images.thumbnail" not in words(section(page, "kinds"))
    assert "5 more verdicts on other queues" in words(page)
    assert 'aria-label="Without queue high"' in page


def test_the_old_dashboard_for_rq_shows_rq_and_stays_at_its_address(jobs_visit: Visit) -> None:
    page = jobs_visit("/admin/rq")

    assert "mail" not in words(section(page, "queues"))
    assert "/admin/rq?source=rq" in page
    assert "sources of rq" in words(page)
    assert "2 workers of the queue high" in words(page)
    assert "worker of the queue mail" not in words(page)
    assert words(section(jobs_visit("/admin/dashboard"), "queues")) == words(section(jobs_visit("/jobs"), "queues"))


def test_kinds_are_compared_with_the_same_hour_a_week_ago(jobs_visit: Visit) -> None:
    page = jobs_visit("/jobs")

    assert "times slower" in row(page, "kinds", "images.thumbnail")
    assert "points more fail" in row(page, "kinds", "images.enhance")
    assert "as last week" not in row(jobs_visit("/jobs?range=5m"), "kinds", "reports.nightly")


def test_costs_stand_beside_their_budget(jobs_visit: Visit, filled: SimpleNamespace) -> None:
    page = words(section(jobs_visit("/jobs"), "kinds"))
    day_ms = 86_400_000
    ledger, now_ms = filled.ledger, filled.clock.now_ms()
    spent = ledger.stats(now_ms % day_ms / 3_600_000, now_ms).cost_usd

    assert f"${spent:.2f} today (UTC) of $40.00" in page
    assert "over the budget of $40.00 a day ; at the rate of the last hour $" in page


def test_a_day_that_costs_too_much_is_a_verdict_by_kind(jobs_visit: Visit) -> None:
    page = words(jobs_visit("/jobs"))

    assert "more than the budget of $40.00: images.enhance $" in page
    assert "at midnight UTC" in page
    assert "Look what images.enhance did today" in page


def test_no_duration_in_a_verdict_breaks_at_its_spaces(jobs_visit: Visit) -> None:
    page = re.search(r'<section class="verdict.*?</section>', jobs_visit("/jobs"), re.S)
    assert page is not None

    assert re.findall(r"\d+ (?:s|m|h|d|%|ms|min)\b", page[0]) == []
    assert "6\u202fm\u202f12\u202fs" in page[0]


def test_failures_are_grouped_and_the_newest_is_open(jobs_visit: Visit) -> None:
    page = section(jobs_visit("/jobs"), "failures")

    assert page.count("<details open") == 1
    assert page.index("no answer from … within … s") < page.index("cannot identify image file")
    assert "raise Timeout(f&#34;no answer from {self.url} within {limit} s&#34;)" in page


@pytest.mark.parametrize(
    ("tab", "lines"),
    [
        ("flow", ["succeeded", "failed", "came in"]),
        ("wait", ["p50", "p95", "p99", "oldest waits"]),
        ("run", ["images.thumbnail", "images.enhance", "mail.receipt", "reports.nightly"]),
    ],
)
def test_each_tab_has_its_lines(jobs_visit: Visit, tab: str, lines: list[str]) -> None:
    page = jobs_visit(f"/jobs?tab={tab}")

    assert re.findall(r'<span class="name">(.*?)</span>', section(page, "picture")) == lines
    assert '"unfinished":' in page
    assert "deploys of 4f2c91d" in page


def test_the_flow_adds_up_to_what_the_ledger_counts(jobs_visit: Visit, filled: SimpleNamespace) -> None:
    page = jobs_visit("/jobs?tab=flow&queue=high")
    drawn = re.search(r'"name":"failed","hue":1,"values":\[(.*?)\]', page)
    assert drawn is not None
    total = sum(float(value) for value in drawn[1].split(","))
    groups = [words(one) for one in re.findall(r'<b class="times">.*?</b>', section(page, "failures"))]

    assert total == sum(int(one.rstrip("×")) for one in groups)


def test_running_jobs_come_from_samples_and_no_back_end_is_asked(jobs_visit: Visit, filled: SimpleNamespace) -> None:
    before = list(filled.rq.asked)
    page = jobs_visit("/jobs")

    assert "reports.nightly c3d0 running" in words(section(page, "jobs"))
    assert filled.rq.asked == before


def test_the_next_page_goes_on_where_this_one_ends(jobs_visit: Visit) -> None:
    first = section(jobs_visit("/jobs?kind=mail.receipt"), "jobs")
    older = html.unescape(re.search(r'<a href="([^"]*)#jobs" rel="next"', first)[1])  # type: ignore[index]
    second = section(jobs_visit(older), "jobs")

    def ids(page: str) -> list[str]:
        return re.findall(r'<small class="id">(.*?)</small>', page.rpartition("<h3")[2])

    assert len(ids(first)) == 15
    assert len(ids(second)) == 50
    assert not set(ids(first)) & set(ids(second))
    assert "Newest" in words(second)


def test_a_search_asks_the_back_ends(jobs_visit: Visit) -> None:
    page = section(jobs_visit("/jobs?q=state:queued+kind:images.sweep+queue:low"), "jobs")

    assert page.count('<small class="id">') == 50
    older = html.unescape(re.search(r'<a href="([^"]*)#jobs" rel="next"', page)[1])  # type: ignore[index]
    assert 'class="id">q050' in section(jobs_visit(older), "jobs")


def test_a_search_says_which_back_end_could_not_be_asked(jobs_visit: Visit) -> None:
    page = words(section(jobs_visit("/jobs?q=nobody"), "jobs"))

    assert "old: Redis at cache:6379 refuses the connection" in page


def test_a_mistake_in_a_search_is_shown_where_it_is(jobs_visit: Visit) -> None:
    page = jobs_visit("/jobs?q=state:filed")

    assert "<mark>" in page
    assert 'value="state:filed"' in page
    assert "failed" in words(re.search(r'<div class="mistake".*?</div>', page, re.S)[0])  # type: ignore[index]


def test_workers_say_when_they_are_next_heard(jobs_visit: Visit) -> None:
    page = jobs_visit("/jobs")

    assert "3 s ago, next within 6 min" in row(page, "workers", "w-1")
    assert "images.enhance for 4 s" in row(page, "workers", "w-1")
    assert "+7.4 s" in row(page, "workers", "w-2")
    assert "gone" in row(page, "workers", "w-3")
    assert "session-poller beats every 1 s: never seen" in words(page)
    assert "2 workers of the queue high: 1 there" in words(page)


def test_a_schedule_that_missed_its_time_comes_first(jobs_visit: Visit) -> None:
    page = section(jobs_visit("/jobs"), "schedules")

    assert words(page).index("sweep makes images.sweep in low of rq missed every 60 s") < words(page).index(
        "nightly makes reports.nightly in low of rq on time 0 3 * * *"
    )
    assert "1 time missed so far" in words(page)


def test_pollers_and_outboxes_tell_of_themselves(jobs_visit: Visit) -> None:
    page = jobs_visit("/jobs")

    assert row(page, "flow", "session-poller") == "session-poller shop 6.87 min 37 none – –"
    assert row(page, "flow", "outbox") == "outbox shop 1.2 s 3 2 dead 2.4/s – 6 400 ms"


def test_a_source_that_is_away_says_why_and_the_others_go_on(jobs_visit: Visit) -> None:
    page = section(jobs_visit("/jobs"), "sources")

    assert "old celery, cannot be read, every 5 s Redis at cache:6379 refuses the connection" in words(page)
    assert "traceback needs hook" in words(page)


def test_without_job_sources_there_are_the_lines_to_copy(visit: Visit) -> None:
    page = words(visit("/jobs"))

    assert "No job queue is watched yet." in page
    assert "- {name: rq, type: rq, url:" in page


def test_declared_sources_that_were_not_looked_at_yet_are_no_trouble(visit: Visit, world: SimpleNamespace) -> None:
    page = words(visit("/jobs", jobs=lambda: world.watch, clock=world.clock))

    assert "Looking… Awaited: the first look at rq, mail and old; the first beat of session-poller." in page
    assert "session-poller beats every 1 s: awaited" in page
    assert "2 workers of the queue high: awaited, none there" in page
    assert "never seen" not in page
    assert "All is well" not in page
    assert "No queue was seen yet" in page
    assert "rq rq, not looked at yet" in page


def test_hooks_alone_make_a_page(visit: Visit, world: SimpleNamespace) -> None:
    world.watch.samplers.clear()
    report = JobReport("shop", "1", "mail.send", "mail", 1, started_ms=1, finished_ms=world.clock.now_ms(), run_s=2.0)
    world.ledger.take([report], world.clock.now_ms())

    assert "mail.send" in words(section(visit("/jobs", jobs=lambda: world.watch, clock=world.clock), "kinds"))


def test_what_is_old_is_said_to_be_old(visit: Visit, world: SimpleNamespace) -> None:
    world.tick(5)
    world.clock.time_ms += 60_000

    assert "stale" in words(section(visit("/jobs", jobs=lambda: world.watch, clock=world.clock), "sources"))


def test_texts_of_jobs_are_only_texts(visit: Visit, world: SimpleNamespace) -> None:
    evil = '"><script>alert(1)</script>'
    world.tick(5)
    world.rq.says = {"queues": (QueueNow(evil, {JobState.QUEUED: 1}),)}
    world.clock.time_ms += 5_000
    world.watch.step("rq")
    now_ms = world.clock.now_ms()
    world.ledger.take([JobReport("rq", evil, evil, evil, 1, "failed", finished_ms=now_ms, error=evil)], now_ms)
    page = visit(f"/jobs?queue={evil}&kind={evil}&q={evil}", jobs=lambda: world.watch, clock=world.clock)
    page += visit("/jobs", jobs=lambda: world.watch, clock=world.clock)

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize("url", ["/jobs?tab=x&state=y&after=-&queue=%00&range=9000y", "/jobs?after=%F0%9F%98%80-1"])
def test_an_address_that_makes_no_sense_is_the_page_without_it(jobs_visit: Visit, url: str) -> None:
    assert "session-poller was never seen" in words(jobs_visit(url))


def test_fifty_thousand_jobs_in_a_queue_cost_a_page_nothing(
    jobs_visit: Visit, visit: Visit, world: SimpleNamespace
) -> None:
    world.tick(5, waiting=50_000)
    more = {"jobs": lambda: world.watch, "clock": world.clock}
    visit("/jobs", **more)
    before = len(world.rq.asked)
    took = []
    for _ in range(5):
        began = time.process_time()
        visit("/jobs", **more)
        took.append(time.process_time() - began)

    assert len(world.rq.asked) == before
    # Of the processor, whatever else the machine does. Rows for all of them take seconds.
    assert min(took) < 0.5


@pytest.mark.parametrize(("role", "is_there"), [(Role.VIEWER, False), (Role.OPERATOR, True)])
def test_only_operators_get_buttons(
    fetch: Callable,
    facts: dict,
    make_console: Callable,
    make_app: Callable,
    acting: Callable,
    role: Role,
    is_there: bool,
) -> None:
    door = acting(make_app(make_console(**facts, job_actions=acting.actions)), role)
    page, found = fetch(door, "/jobs"), fetch(door, "/jobs?source=rq&queue=low&state=queued")

    assert ('action="/jobs/actions"' in page) is is_there
    assert ("Pause" in row(page, "queues", "high")) is is_there
    assert ("Retry 8 jobs" in words(page)) is is_there
    assert ("Cancel all that match" in words(found)) is is_there
    assert "Resume …" not in words(page)
    assert ("Cancel …" in words(fetch(door, "/jobs/rq/a81f"))) is is_there
