"""procrastinate: tables that the real library has made and filled."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trackside.jobs.sql.libraries import library_map
from trackside.model.jobs import JobQuery, JobState

FROM_THE_START = {"place": "0", "id": "0", "top_ms": 0, "floor": None, "seen": ""}


@pytest.fixture
def source(postgres, library, open_source):
    subprocess.run(
        [sys.executable, Path(__file__).with_name("fill_procrastinate.py"), postgres.url],
        env={**os.environ, "PYTHONPATH": str(library("procrastinate"))},
        check=True,
        capture_output=True,
    )
    source = open_source(postgres.url, library_map("procrastinate"))
    yield source


def by_kind(jobs):
    return {job.kind: job for job in jobs}


def test_what_the_real_library_leaves(source, postgres, open_source):
    sample = source.sample(FROM_THE_START)

    high, mail = sample.queues
    assert {state.value: count for state, count in high.counts.items() if count} == {"queued": 2}
    assert {state.value: count for state, count in mail.counts.items() if count} == {"scheduled": 1, "retrying": 1}
    ((deferred_ms,),) = postgres.run(
        "SELECT floor(extract(epoch FROM min(at)) * 1000)::bigint FROM procrastinate_events"
        " JOIN procrastinate_jobs j ON j.id = job_id WHERE queue_name = 'high'"
    )
    assert (high.oldest_ready_ms, mail.oldest_ready_ms) == (deferred_ms, None)
    states = [job.state for job in sample.finished if job.kind != "tick"]
    assert states == [JobState.SUCCEEDED] * 3 + [JobState.FAILED]
    ((passed_s,),) = postgres.run("SELECT extract(epoch FROM now() - min(at))::float FROM procrastinate_events")
    assert all(job.run_s >= 0 and job.wait_s >= 0 for job in sample.finished)
    assert all(job.run_s + job.wait_s <= passed_s for job in sample.finished)
    assert [(one.name, one.queue, one.last_ms % 1000) for one in sample.schedules] == [("tick", "mail", 0)]
    assert source.sample(sample.cursor).finished == ()

    retrying = by_kind(source.find(JobQuery(states=frozenset({JobState.RETRYING}))).jobs)["again"]
    detail = source.get(retrying.id)
    assert [(one.number, one.outcome) for one in detail.attempts] == [(1, "retried")]
    sent = source.find(JobQuery(kind="send", states=frozenset({JobState.SUCCEEDED}))).jobs[-1]
    assert source.get(sent.id).kwargs == {"to": 0, "password": "[redacted]"}
    assert [one.outcome for one in source.get(sent.id).attempts] == ["succeeded"]

    reader = open_source(postgres.reader_url(source.table), library_map("procrastinate"))
    before = postgres.digest()
    reader.sample(reader.sample(FROM_THE_START).cursor)
    reader.find(JobQuery(text="s3cret"))
    reader.get(sent.id)
    assert postgres.digest() == before

    # A worker takes one and dies: first its beat gets old, then its row is deleted by another worker.
    postgres.run("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '5 min')")
    ((id,),) = postgres.run(
        "SELECT id FROM procrastinate_fetch_job_v2(ARRAY['high']::varchar[],"
        " (SELECT max(id) FROM procrastinate_workers))"
    )
    sample = source.sample(sample.cursor)
    (worker,) = sample.workers
    assert (worker.jobs, worker.state) == ((str(id),), "busy") and worker.expected_ms < sample.at_ms
    assert (sample.running[0].worker, sample.running[0].attempt) == (worker.id, 1)
    postgres.run("DELETE FROM procrastinate_workers")
    sample = source.sample(sample.cursor)
    assert (sample.workers, sample.running[0].worker) == ((), None)

    # It fails for good, is retried by hand, and succeeds: two ends, each reported once.
    ends = []
    for status in ("failed", "todo", "doing", "succeeded"):
        postgres.run(f"UPDATE procrastinate_jobs SET status = '{status}' WHERE id = %s", (id,))
        sample = source.sample(sample.cursor)
        ends += [(job.id, job.state.value) for job in sample.finished]
    assert ends == [(str(id), "failed"), (str(id), "succeeded")]
