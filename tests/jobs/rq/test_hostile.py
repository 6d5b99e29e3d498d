"""What anybody may have written into Redis does no harm."""

import json
import os
import pickle
import threading
import time
import zlib
from base64 import b64encode

import pytest
from redis import Redis

from trackside.model.jobs import JobQuery


def test_hostile_payloads_are_shown_and_harmless(rq, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    rq.job("evil", data=zlib.compress(pickle.dumps(("f", None, (Evil(),), {"password": "hush"}))))
    rq.job("bomb", data=zlib.compress(b"\0" * (8 << 20)))
    rq.job("large", data=os.urandom(3 << 20))
    rq.job("noise", data=b"\x80\x04\xff", description="\udcff".encode("utf-8", "surrogateescape") * 9)
    rq.redis.rpush("rq:queue:default", "evil", "bomb", "large", "noise", "vanished")
    stream = {"type": "2", "exc_string": b64encode(zlib.compress(b"\0" * (8 << 20))), "return_value": "!"}
    rq.redis.xadd("rq:results:bomb", stream)

    assert rq.source.get("evil").args == (f'posix.system("touch {tmp_path}/ran")',)
    assert rq.source.get("evil").kwargs == {"password": "[redacted]"}
    assert "more than" in rq.source.get("bomb").args[0]
    assert "cannot be read" in rq.source.get("bomb").attempts[0].traceback
    assert rq.source.get("large").args == ()
    assert "cannot be shown" in rq.source.get("noise").args[0]
    assert len(rq.source.find(JobQuery(text="touch")).jobs) == 1
    assert rq.source.find(JobQuery(text="hush")).jobs == ()
    rq.source.sample(rq.source.sample().cursor)
    json.dumps([rq.source.get(id).args for id in ("evil", "bomb", "noise")])
    assert not (tmp_path / "ran").exists()


def test_what_is_kept_beside_a_job_loses_its_secrets(rq):
    """A rate limit is named by the application: by whom it is for, and that by a token perhaps."""
    beside = {"rate_limit_key": "calls:Bearer abcdef123456", "group_id": "token=hush,7", "timeout": "180"}
    rq.job("one", status="queued", **beside)

    extra = rq.source.get("one").extra
    assert "abcdef123456" not in str(extra)
    assert "hush" not in str(extra)
    assert (extra["rate limit"], extra["time-out (s)"]) == ("calls:Bearer [Filtered]", "180")


def test_keys_of_other_types_are_as_if_they_were_not_there(rq):
    rq.redis.sadd("rq:queues", "rq:queue:default", b"rq:queue:\xff")
    for key in ("queue:default", "wip:default", "finished:default", "job:one", "results:one", "workers", "cron_jobs"):
        rq.redis.set(f"rq:{key}", "text")
    rq.redis.rpush("rq:queue:\udcff".encode("utf-8", "surrogateescape"), "one")
    sample = rq.source.sample(rq.source.sample().cursor)

    assert [queue.name for queue in sample.queues] == ["\\xff", "default"]
    assert rq.source.find(JobQuery()).jobs == ()
    assert rq.source.get("one") is None


def test_jobs_that_vanish_while_they_are_read_do_no_harm(rq):
    stop = threading.Event()

    def churn():
        other = Redis.from_url(rq.url)
        at = 0
        while not stop.is_set():
            at += 1
            id = str(at % 50)
            rq.job(id, status="started", started_at=rq.iso(time.time()))
            other.rpush("rq:queue:default", id)
            other.zadd("rq:wip:default", {f"{id}:x": time.time() + 60})
            other.zadd("rq:finished:default", {id: time.time() + 500})
            other.delete(f"rq:job:{at * 7 % 50}", "rq:queue:default" if at % 20 == 0 else "none")
        other.close()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        cursor = None
        for _ in range(60):
            cursor = rq.source.sample(cursor).cursor
            for job in rq.source.find(JobQuery(), limit=20).jobs[:3]:
                rq.source.get(job.id)
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    "cursor", [None, 1, "x", [], {}, {"version": 1}, {"version": 1, "at_ms": "x", "workers": 3}, {"version": 99}]
)
def test_a_cursor_that_makes_no_sense_begins_anew(rq, cursor):
    rq.job("one", status="finished", ended_at=rq.iso(time.time()))
    rq.redis.zadd("rq:finished:default", {"one": time.time() + 500})

    assert rq.source.sample(cursor).finished == ()
