"""Clocks that differ, workers that are silent, and entries that are kept for different times."""

import time

import pytest


def test_an_idle_worker_is_silent_for_400_seconds_and_lives(rq):
    began_ms = int(time.time() * 1000)
    rq.worker(age_s=400)
    sample = rq.source.sample()
    passed_ms = int(time.time() * 1000) - began_ms + 1

    # Of floating-point seconds a millisecond may be lost.
    assert began_ms - 2 <= sample.workers[0].beat_ms + 400_000 <= sample.at_ms + 2
    assert 79_998 - passed_ms <= sample.workers[0].expected_ms - sample.at_ms <= 80_002


def test_a_clock_ten_minutes_ahead_is_seen_and_no_wait_is_negative(rq):
    now, ahead = time.time(), 600
    started = rq.iso(now + ahead)
    rq.worker("busy", age_s=0, lifetime_s=90, state="busy", last_heartbeat=started)
    rq.worker("idle", age_s=30, last_heartbeat=rq.iso(now - 30 + ahead))
    rq.job("one", status="started", started_at=started, worker_name="busy")
    rq.redis.zadd("rq:wip:default", {"one:1": now + ahead + 90})
    rq.hash("rq:execution:one:1", created_at=now + ahead)
    rq.redis.expire("rq:execution:one:1", 90)
    cursor = rq.source.sample().cursor
    rq.job(
        "two",
        status="finished",
        age_s=-3,
        started_at=rq.iso(now - 2),
        ended_at=rq.iso(now + ahead + 1),
        worker_name="busy",
    )
    rq.redis.zadd("rq:finished:default", {"two": now + ahead + 1 + 500})

    sample = rq.source.sample(cursor)
    # What we waited for between two writes a worker waits for too: it is in its skew.
    within_s = pytest.approx(ahead, abs=time.time() - now + 0.002)

    skews = {worker.id: worker.skew_s for worker in sample.workers}
    assert skews == {"busy": within_s, "idle": within_s}
    assert sample.running[0].lease_until_ms <= sample.at_ms + 90_500
    assert [(job.id, job.wait_s) for job in sample.finished] == [("two", 0)]
    assert rq.source.sample(sample.cursor).finished == ()


def test_a_clock_behind_loses_no_job(rq):
    now = time.time()
    rq.worker("slow", age_s=30, last_heartbeat=rq.iso(now - 30 - 900))
    cursor = rq.source.sample().cursor
    rq.job("one", status="finished", ended_at=rq.iso(now - 900), worker_name="slow")
    rq.redis.zadd("rq:finished:default", {"one": now - 900 + 500})
    sample = rq.source.sample(cursor)

    assert [job.id for job in sample.finished] == ["one"]
    assert rq.source.sample(sample.cursor).finished == ()


def test_a_queue_of_mixed_lifetimes_shows_all_that_ends(rq):
    """Also of a worker with its own --results-ttl, once one of its jobs has been seen."""
    now = time.time()
    for at in range(2_000):
        rq.redis.zadd("rq:finished:default", {f"old{at}": now - 400 + at / 10 + 7200})
    rq.job("old1999", status="finished", ended_at=rq.iso(now - 400 + 199.9))
    first = rq.source.sample()
    cursor = rq.source.sample(first.cursor).cursor
    for id, lifetime_s, field in [("a", 500, None), ("b", 7200, None), ("c", 60, "60")]:
        rq.job(id, status="finished", ended_at=rq.iso(time.time()), **({"result_ttl": field} if field else {}))
        rq.redis.zadd("rq:finished:default", {id: time.time() + lifetime_s})
    rq.job("head", result_ttl="60")
    rq.redis.rpush("rq:queue:default", "head")

    seen = []
    for _ in range(3):
        sample = rq.source.sample(cursor)
        cursor = sample.cursor
        seen += [job.id for job in sample.finished]

    assert sorted(seen) == ["a", "b", "c"]
