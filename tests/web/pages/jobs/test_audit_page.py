"""What people did to jobs, as a list: who, when, to which, and what became of it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest

from trackside.jobs.actor import Verb
from trackside.model.jobs import JobQuery, JobState
from trackside.server.access.roles import Role

Fetch = Callable[..., str]


def rows(page: str) -> list[str]:
    table = re.search(r"<tbody>.*?</tbody>", page, re.S)
    text = [re.sub(r"<[^>]+>", " ", row) for row in re.findall(r"<tr>.*?</tr>", table[0], re.S)] if table else []
    return [" ".join(html.unescape(row).split()).replace(" ,", ",") for row in text]


def test_an_action_says_who_did_what_to_which_and_what_became_of_it(
    fetch: Fetch, acting_app: Callable, act: Callable
) -> None:
    act(Verb.CANCEL, "q001", "q002", "q003", "q004", "nobody")
    act(Verb.PAUSE, "low")
    act(Verb.CANCEL, query=JobQuery(frozenset({JobState.RUNNING}), "high"), who="Ada")
    newest, pause, first = rows(fetch(acting_app(), "/jobs/audit"))

    assert newest.endswith("Ada cancel 1 job of rq done all that matched state:running queue:high")
    assert pause.endswith("Kim pause 1 queue of rq done low")
    # Those that need a look come first.
    assert first.endswith("Kim cancel 5 jobs of rq 3 done, 2 left alone q003, nobody, q001 and 2 more")


@pytest.mark.parametrize(
    ("query", "who"),
    [
        pytest.param("", ["Ada", "Kim"], id="all"),
        pytest.param("?who=Kim", ["Kim"], id="of somebody"),
        pytest.param("?source=mail", [], id="of another source"),
        pytest.param("?source=rq&job=q002", ["Ada"], id="of a job"),
        pytest.param("?before=2", ["Kim"], id="older ones"),
        pytest.param("?before=x&who=%00&job=%F0%9F%98%80", [], id="no sense"),
    ],
)
def test_a_part_of_them_has_an_address(
    fetch: Fetch, acting_app: Callable, act: Callable, query: str, who: list[str]
) -> None:
    act(Verb.CANCEL, "q001")
    act(Verb.CANCEL, "q002", who="Ada")
    found = rows(fetch(acting_app(Role.VIEWER), f"/jobs/audit{query}"))

    assert [next(name for name in ("Ada", "Kim") if name in row) for row in found] == who


def test_the_next_page_goes_on_where_this_one_ends(fetch: Fetch, acting_app: Callable, act: Callable) -> None:
    for _ in range(53):
        act(Verb.CANCEL, "q001")
    app = acting_app()
    first = fetch(app, "/jobs/audit")
    older = html.unescape(re.search(r'<a href="([^"]*)" rel="next"', first)[1])  # type: ignore[index]

    assert len(rows(first)) == 50
    assert len(rows(fetch(app, older))) == 3
    assert "Newest" in fetch(app, older)


def test_the_page_of_a_job_shows_what_was_done_to_it(fetch: Fetch, acting_app: Callable, act: Callable) -> None:
    act(Verb.CANCEL, "q003", "q004")
    page = html.unescape(fetch(acting_app(), "/jobs/rq/q003"))

    assert "<b>Kim</b> cancel: there is no such job (any more)" in page
    assert "/jobs/audit?source=rq&job=q003" in page
    assert "What people did to it" not in fetch(acting_app(), "/jobs/rq/q005")


def test_the_page_of_all_jobs_leads_there(fetch: Fetch, acting_app: Callable) -> None:
    assert 'href="/jobs/audit?' in fetch(acting_app(), "/jobs")


def test_nothing_done_yet_says_where_the_buttons_are(fetch: Fetch, acting_app: Callable) -> None:
    assert "act_url" in fetch(acting_app(), "/jobs/audit")


def test_without_job_queues_there_is_nothing_to_tell(visit: Callable[..., str]) -> None:
    assert "No job queue is watched" in visit("/jobs/audit")


def test_texts_of_people_are_only_texts(fetch: Fetch, acting_app: Callable, act: Callable) -> None:
    act(Verb.CANCEL, "q001", who="<script>alert(1)</script>")

    assert "<script>alert" not in fetch(acting_app(), "/jobs/audit?who=<script>alert(1)</script>")


@pytest.mark.parametrize(
    ("verb", "ids", "sentence"),
    [
        pytest.param(Verb.CANCEL, ("q001",), "1 job of rq was cancelled.", id="one"),
        pytest.param(Verb.CANCEL, ("q001", "q002"), "2 jobs of rq were cancelled.", id="several"),
        pytest.param(Verb.CANCEL, ("q001", "q003"), "Only 1 of 2 jobs of rq was cancelled.", id="not all"),
        pytest.param(Verb.CANCEL, ("q003",), "No job of rq was cancelled.", id="none"),
        pytest.param(Verb.PAUSE, ("low", "high"), "2 queues of rq were paused.", id="queues"),
    ],
)
def test_an_outcome_is_a_sentence(
    fetch: Fetch, acting_app: Callable, act: Callable, verb: Verb, ids: tuple[str, ...], sentence: str
) -> None:
    assert f"<span>{sentence}</span>" in fetch(acting_app(), f"/jobs/actions/{act(verb, *ids)}")


def test_what_is_over_is_not_asked_for_again_and_again(fetch: Fetch, acting_app: Callable, act: Callable) -> None:
    page = fetch(acting_app(Role.VIEWER), f"/jobs/actions/{act(Verb.CANCEL, 'q001')}?refresh=5")

    assert 'data-refresh-s="0"' in page
    assert ">Stop<" not in page
