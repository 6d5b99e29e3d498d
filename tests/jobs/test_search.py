"""The search grammar: what it says of jobs, and what it says of mistakes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.exceptions import QueryError
from trackside.jobs.search import MAX_LENGTH, MAX_TERMS, JobSearch, parse_search
from trackside.model.jobs import Job, JobDetail, JobQuery, JobState

NOW_MS = 1_800_000_000_000


def job(**more):
    facts = {
        "id": "j1",
        "kind": "render",
        "queue": "high",
        "state": JobState.FAILED,
        "raw_state": "failed",
        "enqueued_ms": NOW_MS - 700_000,
        "started_ms": NOW_MS - 660_000,
        "finished_ms": NOW_MS - 620_000,
        "attempt": 2,
        "worker": "w-3",
        "error": "TimeoutError: no answer",
    }
    return Job(**(facts | more))


def test_everything_in_one_line():
    found = parse_search(
        'state:failed queue:high kind:render worker:w-3 attempt:>1 age:>10m run:>30s args.user.id:42 "time out"'
    )

    assert found.query == JobQuery(frozenset((JobState.FAILED,)), "high", "render", "w-3", "time out")
    assert [(one.field, one.sign, one.value) for one in found.comparisons] == [
        ("attempt", ">", 1),
        ("age", ">", 600_000),
        ("run", ">", 30_000),
    ]
    assert [(one.path, one.value) for one in found.arguments] == [(("user", "id"), "42")]
    assert found.matches(job(), NOW_MS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", JobSearch(), id="nothing is everything"),
        pytest.param("   ", JobSearch(), id="spaces are nothing"),
        pytest.param('""', JobSearch(), id="an empty text is nothing"),
        pytest.param("state:processing", JobSearch(JobQuery(frozenset((JobState.RUNNING,)))), id="an alias"),
        pytest.param(
            "state:failed,retrying",
            JobSearch(JobQuery(frozenset((JobState.FAILED, JobState.RETRYING)))),
            id="several states",
        ),
        pytest.param("source:rq,db", JobSearch(sources=frozenset(("rq", "db"))), id="several sources"),
        pytest.param('kind:"send mail"', JobSearch(JobQuery(kind="send mail")), id="a value in quotes"),
        pytest.param('"say \\"no\\""', JobSearch(JobQuery(text='say "no"')), id="quotes in quotes"),
        pytest.param("'tis", JobSearch(JobQuery(text="'tis")), id="an apostrophe is text"),
        pytest.param(">5", JobSearch(JobQuery(text=">5")), id="a sign without a field is text"),
        pytest.param('"a:b"', JobSearch(JobQuery(text="a:b")), id="a colon in quotes"),
        pytest.param(
            "connection refused",
            JobSearch(JobQuery(text="connection"), texts=("refused",)),
            id="the longest word narrows, the other has to be there too",
        ),
    ],
)
def test_what_is_meant(text, expected):
    assert parse_search(text) == expected


@pytest.mark.parametrize(
    ("text", "marked", "says"),
    [
        pytest.param("state:broken", "state:broken", "no state", id="an unknown state"),
        pytest.param("queue:a queue:b", "queue:b", "said twice", id="two queues"),
        pytest.param("state:failed state:queued", "state:queued", "said twice", id="states at two places"),
        pytest.param("que:high", "que", "did you mean queue", id="a mistyped field"),
        pytest.param("http://x", "http", "goes in quotes", id="an address without quotes"),
        pytest.param("state:", "state", "needs a value", id="no value"),
        pytest.param("age:>10", "age:>10", "30s, 5m", id="a duration without a unit"),
        pytest.param("attempt:>two", "attempt:>two", "whole number", id="an attempt in words"),
        pytest.param('a "b', '"b', "has no end", id="an open quotation mark"),
        pytest.param('"a"b', "b", "a space", id="something right after a quotation mark"),
        pytest.param("queue:>high", "queue:>high", "cannot be compared", id="a queue compared"),
        pytest.param("args.user..id:1", "args.user..id:1", "path", id="a path with a hole"),
        pytest.param("args.amount:>much", "args.amount:>much", "a number", id="an argument compared with a word"),
    ],
)
def test_a_mistake_is_shown_where_it_stands(text, marked, says):
    with pytest.raises(QueryError, match=says) as caught:
        parse_search(text)

    assert text[caught.value.start : caught.value.end] == marked


def test_a_search_is_bounded():
    with pytest.raises(QueryError, match="characters"):
        parse_search("a" * (MAX_LENGTH + 1))
    with pytest.raises(QueryError, match=f"more than {MAX_TERMS}"):
        parse_search("a " * (MAX_TERMS + 1))


@pytest.mark.parametrize(
    ("text", "of", "expected"),
    [
        pytest.param("attempt:2", job(), True, id="the very attempt"),
        pytest.param("attempt:>2", job(), False, id="not more attempts"),
        pytest.param("attempt:<=2", job(attempt=None), False, id="what is not known holds for nothing"),
        pytest.param("run:<41s", job(), True, id="ran"),
        pytest.param("run:>1m", job(state=JobState.RUNNING, finished_ms=None), True, id="runs until now"),
        pytest.param("wait:>30s", job(), True, id="waited"),
        pytest.param("wait:>11m", job(state=JobState.QUEUED, started_ms=None), True, id="waits until now"),
        pytest.param("age:<1m", job(), False, id="is older"),
        pytest.param("age:>0s", job(enqueued_ms=NOW_MS + 5_000), False, id="from the future"),
        pytest.param("queue:low", job(), False, id="another queue"),
        pytest.param("worker:w-3", job(worker=None), False, id="no worker"),
    ],
)
def test_what_a_job_has_to_be(text, of, expected):
    assert parse_search(text).matches(of, NOW_MS) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("args.user.id:42", True, id="in the keyword arguments"),
        pytest.param("args.user.id:43", False, id="another value"),
        pytest.param("args.user.name:ANNA", True, id="case does not matter"),
        pytest.param("args.0:image.png", True, id="by position"),
        pytest.param("args.1.size:>100", True, id="compared"),
        pytest.param("args.size:120", True, id="in an object by position"),
        pytest.param("args.size:120.0", True, id="numbers are equal as numbers"),
        pytest.param("args.draft:false", True, id="as JSON writes it"),
        pytest.param("args.password:hidden2", False, id="no secret is found"),
        pytest.param("args.nothing:1", False, id="what is not there"),
        pytest.param("args.1.tags.1:b", True, id="in a list"),
        pytest.param("args.1.tags.7:b", False, id="beyond a list"),
        pytest.param("image no\\ answer", False, id="a text that is not there"),
        pytest.param("image answer", True, id="all texts somewhere"),
    ],
)
def test_what_its_arguments_have_to_be(text, expected):
    detail = JobDetail(
        job(),
        ("image.png", {"size": 120, "tags": ["a", "b"], "draft": False}),
        {"user": {"id": 42, "name": "Anna"}, "password": "[hidden]"},
    )

    assert parse_search(text).matches_detail(detail) is expected


def test_arguments_narrow_in_the_back_end_where_that_is_safe():
    assert parse_search("args.user.id:42").query.text == "42"
    assert parse_search("args.user.name:é").query.text == ""
    assert parse_search("args.user.id:>42").query.text == ""


@given(st.text(max_size=200))
def test_any_text_is_a_search_or_a_mistake_with_a_place(text):
    try:
        found = parse_search(text)
    except QueryError as error:
        assert error.start is not None
        assert 0 <= error.start <= len(text)
    else:
        found.matches(job(), NOW_MS)
        found.matches_detail(JobDetail(job(), ("a", [1]), {"b": None}))
