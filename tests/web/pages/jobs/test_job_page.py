"""The page of one job, from its back-end, from the ledger, or from both."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from trackside.jobs.ledger.runs import Outcome, Run
from trackside.model.jobs import Attempt, Job, JobReport, JobState
from trackside.server.jobs.watch import Elsewhere
from trackside.server.web.pages.jobs.choice import job_path
from trackside.server.web.pages.jobs.life import attempts_of, bars, moments
from trackside.server.web.verdict import Level

Visit = Callable[..., str]
AT = 1_764_079_000_000


def words(page: str) -> str:
    text = re.sub(r"<(script|svg).*?</\1>", " ", page, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).replace("\u202f", " ").split())


def job(state: JobState, **more: int) -> Job:
    return Job("7", "render", "high", state, state.value, enqueued_ms=AT, **more)


def test_a_life_says_what_lay_between_its_moments() -> None:
    ended = job(JobState.SUCCEEDED, due_ms=AT + 60_000, started_ms=AT + 74_000, finished_ms=AT + 77_200)

    assert [(one.name, one.gap.replace("\u202f", " "), one.is_run) for one in moments(ended, AT + 80_000)] == [
        ("enqueued", "", False),
        ("due", "put off for 60 s", False),
        ("started", "waited 14 s", False),
        ("succeeded", "ran 3.2 s", True),
    ]


@pytest.mark.parametrize(
    ("one", "last"),
    [
        (job(JobState.RUNNING, started_ms=AT + 1_000), ("finished", "running for 9 s")),
        (job(JobState.QUEUED), ("started", "waiting for 10 s")),
        (job(JobState.SCHEDULED, due_ms=AT + 40_000), ("started", "due in 30 s")),
    ],
    ids=["running", "waiting", "not due"],
)
def test_what_is_to_come_is_there_without_its_time(one: Job, last: tuple[str, str]) -> None:
    found = moments(one, AT + 10_000)[-1]

    assert (found.name, found.gap.replace("\u202f", " ")) == last
    assert found.at_ms is None


def test_clocks_that_differ_make_no_negative_time() -> None:
    odd = job(JobState.SUCCEEDED, started_ms=AT - 5_000, finished_ms=AT - 6_000)

    assert [one.gap.replace("\u202f", " ") for one in moments(odd, AT)] == ["", "waited 0 s", "ran 0 s"]


def test_a_job_without_times_has_no_life() -> None:
    assert moments(Job("7", "", "", JobState.QUEUED, ""), AT) == []


def test_hooks_complete_what_the_back_end_remembers() -> None:
    told = [Attempt(1, "retried", AT, AT + 1_000), Attempt(2, "running", AT + 61_000)]
    run = Run("rq", "7", "render", "high", Outcome.RETRIED, AT + 1_000, 1, traceback="Traceback", cost_usd=0.5)
    found = attempts_of(told, [run])

    assert [(one.number, one.outcome, one.traceback, one.cost_usd) for one in found] == [
        (1, "retried", "Traceback", 0.5),
        (2, "running", None, None),
    ]


def test_attempts_that_only_the_ledger_knows_are_there() -> None:
    runs = [Run("rq", "7", "render", "high", Outcome.FAILED, AT + at, number) for number, at in ((3, 9), (1, 1))]

    assert [one.number for one in attempts_of([Attempt(2, "retried")], runs)] == [1, 2, 3]


def test_bars_share_one_scale() -> None:
    attempts = [Attempt(1, "retried", AT + 1_000, AT + 2_000), Attempt(2, "running", AT + 7_000)]
    first, second = bars(attempts, AT, AT + 10_000)

    assert (first.x, first.width, first.gap.replace("\u202f", " "), first.level) == (100, 100, "waited 1 s", Level.WARN)
    assert (second.x, second.width, second.gap.replace("\u202f", " ")) == (700, 300, "backed off 5 s")


def test_a_moment_is_wide_enough_to_be_seen() -> None:
    instant = bars([Attempt(1, "failed", AT + 3_600_000, AT + 3_600_000)], AT, AT)

    assert instant[0].width > 0
    assert instant[0].x + instant[0].width <= 1000


def test_the_page_shows_life_attempts_and_arguments(jobs_visit: Visit) -> None:
    page = jobs_visit("/jobs/rq/a81f")
    text = words(page)

    assert "images.enhance running, attempt 2 of 4" in text
    assert "put off for 6 s" in text
    assert "1 retried waited 14 s ran 30.2 s" in text
    assert "512 MiB at most" in text
    assert "2 running backed off 60.5 s running for" in text
    assert '"api_key": "<redacted>"' in text
    assert "on w-1 , busy now" in text
    assert "<script>alert(1)" not in page
    assert [f"/jobs/rq/{id}?" in page for id in ("0f77", "b120", "b121")] == [True] * 3
    assert "timeout 180 s" in text


def test_a_job_that_its_queue_has_forgotten_is_told_from_the_ledger(jobs_visit: Visit, filled: SimpleNamespace) -> None:
    failed = next(one for one in filled.history if one.outcome == "failed" and one.traceback)
    text = words(jobs_visit(job_path("rq", failed.id)))

    assert "The queue has forgotten this job." in text
    assert "images.enhance failed" in text or f"{failed.kind} failed" in text
    assert "raise Timeout(" in text


def test_a_queue_that_is_away_leaves_what_was_seen(visit: Visit, world: SimpleNamespace) -> None:
    world.rq.error = "Redis at localhost:6379 does not answer"
    report = JobReport("rq", "a/b c", "render", "high", 1, "failed", finished_ms=world.clock.now_ms(), error="boom")
    world.ledger.take([report], world.clock.now_ms())
    text = words(visit(job_path("rq", "a/b c"), jobs=lambda: world.watch, clock=world.clock))

    assert "The queue cannot be asked now" in text
    assert "Redis at localhost:6379 does not answer" in text
    assert "render failed" in text


@pytest.mark.parametrize("path", ["/jobs/rq/nobody", "/jobs/nowhere/a81f", "/jobs/rq/%00", "/jobs/rq/" + "x" * 3_000])
def test_a_job_that_nobody_knows_is_not_found(fetch: Callable, served: Callable, path: str) -> None:
    assert "There is no such job" in fetch(served(), path, 404)


def test_a_long_argument_is_cut(visit: Visit, world: SimpleNamespace, made: SimpleNamespace) -> None:
    one = made.job("big", "render", "high", JobState.QUEUED)
    world.rq.jobs = {"big": made.Detail(one, ("x" * 200_000,))}
    page = visit("/jobs/rq/big", jobs=lambda: world.watch, clock=world.clock)

    assert len(page) < 120_000
    assert "more characters" in page


@pytest.mark.parametrize(
    ("told", "address", "says"),
    [
        pytest.param({}, "", "Not known: the worker has not told.", id="nothing"),
        pytest.param(
            {"trace_id": "4bf92f"}, "", "With jobs.trace_url in trackside.yml traces are links", id="no address"
        ),
        pytest.param({"trace_id": "4bf92f"}, "https://tempo.example/{trace_id}", "trace 4bf92f", id="a link"),
        pytest.param({"request_id": "8d2f"}, "", "enqueued by the request 8d2f", id="a request"),
    ],
)
def test_a_run_leads_to_its_spans_when_they_are_known(
    visit: Visit, world: SimpleNamespace, told: dict[str, str], address: str, says: str
) -> None:
    world.watch._elsewhere = Elsewhere(trace_url=address)
    world.ledger.take([JobReport("rq", "7", "render", finished_ms=world.clock.now_ms(), **told)], world.clock.now_ms())
    page = visit("/jobs/rq/7", jobs=lambda: world.watch, clock=world.clock)

    assert says in words(page)
    assert ('<a href="https://tempo.example/4bf92f" rel="noreferrer">4bf92f</a>' in page) is bool(address)
