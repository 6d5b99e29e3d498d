"""RQ's jobs by what is asked of them, page by page."""

import time
import zlib
from base64 import b64encode

import pytest

from trackside.model.jobs import JobQuery, JobState


def test_all_pages_have_each_job_once_and_newest_first(rq):
    now = time.time()
    for at in range(120):
        rq.job(f"q{at:03}", age_s=1_000 - at)
        rq.redis.rpush("rq:queue:default", f"q{at:03}")
        rq.job(f"f{at:03}", status="finished", ended_at=rq.iso(now - 500 + at))
        rq.redis.zadd("rq:finished:default", {f"f{at:03}": float("inf") if at < 60 else now + at})
    rq.redis.sadd("rq:queues", "rq:queue:empty")

    pages = [rq.source.find(JobQuery(), limit=7)]
    while pages[-1].next:
        rq.redis.lpop("rq:queue:default")
        rq.redis.rpush("rq:queue:default", "later")
        pages.append(rq.source.find(JobQuery(), pages[-1].next, limit=7))
    ids = [job.id for page in pages for job in page.jobs]

    assert len(ids) == len(set(ids))
    assert [id for id in ids if id[0] == "f" and id >= "f060"] == [f"f{at:03}" for at in range(119, 59, -1)]
    queued = [id for id in ids if id[0] == "q"]
    # Some were taken from the other end meanwhile.
    assert queued == [f"q{at:03}" for at in range(119, 119 - len(queued), -1)]
    assert len(queued) >= 120 - len(pages)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(JobQuery(states=frozenset([JobState.QUEUED])), {"a", "b"}, id="waiting"),
        pytest.param(JobQuery(states=frozenset([JobState.FAILED])), {"c"}, id="failed"),
        pytest.param(JobQuery(states=frozenset([JobState.CANCELLED])), {"d"}, id="stopped"),
        pytest.param(JobQuery(states=frozenset([JobState.RETRYING])), {"e"}, id="will be tried again"),
        pytest.param(JobQuery(queue="other"), {"b"}, id="of a queue"),
        pytest.param(JobQuery(queue="none"), set(), id="of a queue that is not there"),
        pytest.param(JobQuery(kind="tasks.mail"), {"a"}, id="of a kind"),
        pytest.param(JobQuery(kind="rq_tasks.add"), {"b", "c", "d", "e"}, id="described in other words"),
        pytest.param(JobQuery(worker="w"), {"c", "d"}, id="of a worker"),
        pytest.param(JobQuery(text="BOOM"), {"c"}, id="by its error"),
        pytest.param(JobQuery(text="[1, 2]"), {"a", "b", "c", "d", "e"}, id="by its arguments"),
        pytest.param(JobQuery(text="x", states=frozenset([JobState.BLOCKED])), set(), id="nothing"),
    ],
)
def test_jobs_are_found_by(rq, query, expected):
    rq.job("a", description="tasks.mail('x')")
    rq.job("b", description="Adds numbers")
    rq.job("c", status="failed", worker_name="w")
    rq.job("d", status="stopped", worker_name="w")
    rq.job("e", status="scheduled", started_at=rq.iso(time.time()), retries_left=1)
    rq.redis.sadd("rq:queues", "rq:queue:other")
    rq.redis.rpush("rq:queue:default", "a")
    rq.redis.rpush("rq:queue:other", "b")
    rq.hash("rq:job:b", origin="other")
    rq.redis.zadd("rq:failed:default", {"c": 1, "d": 2})
    rq.redis.zadd("rq:scheduled:default", {"e": time.time() + 60})
    trace = "Traceback (most recent call last):\n  File x\nValueError: boom"
    rq.redis.xadd("rq:results:c", {"type": "2", "exc_string": b64encode(zlib.compress(trace.encode()))})

    assert {job.id for job in rq.source.find(query).jobs} == expected


@pytest.mark.parametrize("after", ["x", "[]", "{}", '{"queue:default": 7, "finished:default": ["x"]}', "[" * 9_999])
def test_a_page_that_makes_no_sense_is_the_first(rq, after):
    rq.job("one")
    rq.redis.rpush("rq:queue:default", "one")

    assert [job.id for job in rq.source.find(JobQuery(), after).jobs] == ["one"]


def test_a_long_search_stops_and_goes_on(rq):
    pipeline = rq.redis.pipeline()
    for at in range(5_200):
        fields = {"status": "queued", "origin": "default", "description": "a.b()"}
        pipeline.hset(f"rq:job:{at}", mapping=fields | ({"enqueued_at": rq.iso(at)}))
        pipeline.rpush("rq:queue:default", str(at))
    pipeline.sadd("rq:queues", "rq:queue:default")
    pipeline.hset("rq:job:3", "description", "wanted()")
    pipeline.execute()
    first = rq.source.find(JobQuery(text="wanted"))

    assert (first.jobs, first.is_cut) == ((), True)
    second = rq.source.find(JobQuery(text="wanted"), first.next)
    assert ([job.id for job in second.jobs], second.next, second.is_cut) == (["3"], "", False)


def test_secrets_in_errors_are_neither_shown_nor_found(rq):
    trace = "Traceback (most recent call last):\n  File x\nOSError: redis://:hunter2@cache refused"
    for id in ("a", "b"):
        rq.job(id, status="failed")
        rq.redis.zadd("rq:failed:default", {id: 1})
        rq.redis.xadd(f"rq:results:{id}", {"type": "2", "exc_string": b64encode(zlib.compress(trace.encode()))})

    assert rq.source.find(JobQuery(text="hunter2"), limit=1) == rq.source.find(JobQuery(text="absent"), limit=1)
    assert len(rq.source.find(JobQuery(text="cache refused")).jobs) == 2
    detail = rq.source.get("a")
    assert detail.job.error == "OSError: redis://:[Filtered]@cache refused"
    assert detail.attempts[0].traceback == trace.replace("hunter2", "[Filtered]")
